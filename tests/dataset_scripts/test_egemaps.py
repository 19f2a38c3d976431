"""The functionals: openSMILE's own values to the last bit, one row for one bad file."""

import os
import struct
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import opensmile
import pandas as pd
import pytest
import soundfile
from helpers.owners_layouts import RATE, voice, write

from dataset_scripts import egemaps
from dataset_scripts.egemaps import FUNCTIONALS, extract_functionals, functionals_of
from dataset_scripts.engines import WorkerError
from modeling_paraclap.audio_paraclap import AudioError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def smile():
    return opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)


def process_file(smile, path):
    """What openSMILE itself gives for a file, under our names."""
    values = smile.process_file(path).iloc[0]
    return {name: float(values[f.feature]) for name, f in FUNCTIONALS.items() if f.feature}


@pytest.mark.parametrize(("rate", "extension"), [(16000, "wav"), (44100, "wav"), (16000, "flac"), (8000, "wav")])
def test_values_are_those_of_process_file(tmp_path, smile, rate, extension):
    path = write(tmp_path / f"a.{extension}", seconds=1.23, rate=rate)
    ours = functionals_of(path)
    duration = ours.pop("duration")
    assert duration == int(1.23 * rate) / rate
    assert ours == process_file(smile, path)
    assert 12 < ours["pitch_mean"] < 60
    assert ours["pitch_std"] > 0
    assert -60 < ours["intensity"] < 0


def test_values_on_real_speech(corpora, smile):
    path = corpora / "EMO-DB" / "wav" / "03a01Fa.flac"
    ours = functionals_of(path)
    ours.pop("duration")
    assert ours == process_file(smile, path)


def test_of_several_channels_the_first_counts_as_in_process_file(tmp_path, smile):
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([voice(pitch=120), voice(pitch=240)], axis=1), RATE)
    ours = functionals_of(path)
    ours.pop("duration")
    assert ours == process_file(smile, path)
    assert 24 < ours["pitch_mean"] < 27  # 120 Hz is 25.5 semitones above 27.5 Hz, 240 Hz 37.5


def test_samples_beyond_full_scale_are_clipped_and_do_not_wrap_around(tmp_path):
    loud = voice() * 4
    soundfile.write(tmp_path / "float.wav", loud, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "clipped.wav", np.clip(loud, -1, 32767 / 32768), RATE, subtype="FLOAT")
    assert functionals_of(tmp_path / "float.wav") == functionals_of(tmp_path / "clipped.wav")


def test_without_a_voice_there_is_no_pitch(tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    functionals, rejected = extract_functionals([tmp_path / "a.wav"])
    assert rejected.empty
    assert functionals[["pitch_mean", "pitch_std", "jitter", "shimmer"]].isna().all(axis=None)
    assert functionals["duration"].iloc[0] == 1
    assert np.isfinite(functionals["intensity"].iloc[0])


@pytest.mark.parametrize("level", [0.0, 0.25])
@pytest.mark.parametrize("channels", [1, 2])
def test_digital_silence_is_rejected(tmp_path, level, channels):
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.full((RATE, channels), level), RATE)
    functionals, rejected = extract_functionals([path])
    assert functionals.empty
    assert "is silent: all samples are the same" in rejected["reason"].iloc[0]


def test_a_silent_first_channel_is_skipped(tmp_path):
    soundfile.write(tmp_path / "one.wav", voice(), RATE)
    soundfile.write(tmp_path / "second.wav", np.stack([0 * voice(), voice()], axis=1), RATE)
    assert functionals_of(tmp_path / "second.wav") == functionals_of(tmp_path / "one.wav")


def make_bad_files(folder):
    """Files that cannot be used, and what the report must say of each."""
    whole = write(folder / "whole.wav").read_bytes()
    (folder / "truncated.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("not audio at all\n" * 20)
    write(folder / "short.wav", seconds=0.02)
    write(folder / "slow.wav", rate=1000)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    # A header of 10^9 Hz, and an RF64 file whose ds64 chunk is too short
    rate = (10**9).to_bytes(4, "little")
    (folder / "fast.wav").write_bytes(whole[:24] + rate + whole[28:])
    (folder / "rf64.wav").write_bytes(
        b"RF64\xff\xff\xff\xffWAVEds64" + (4).to_bytes(4, "little") + b"abcd" + whole[12:]
    )
    os.mkfifo(folder / "pipe.wav")
    (folder / "folder.wav").mkdir()
    return {
        "truncated.wav": "truncated",
        "empty.wav": "empty",
        "text.wav": "not audio",
        "missing.wav": "does not exist",
        "short.wav": "0.020 s is too short",
        "slow.wav": "1000 Hz",
        "silent.wav": "is silent",
        "fast.wav": "1000000000 Hz",
        "rf64.wav": "",
        "pipe.wav": "not a regular file",
        "folder.wav": "is a folder",
    }


@pytest.mark.parametrize("num_proc", [1, 2])
def test_a_bad_file_costs_its_row_and_no_more(tmp_path, num_proc):
    reasons = make_bad_files(tmp_path)
    good = [write(tmp_path / f"good{i}.wav", pitch=100 + 20 * i).name for i in range(10)]
    files = [*good[:5], *reasons, *good[5:]]
    frame = pd.DataFrame({"file": files, "corpus": "mini"}, index=range(100, 100 + len(files)))
    frame["path"] = [str(tmp_path / file) for file in files]
    functionals, rejected = extract_functionals(frame, num_proc=num_proc)
    assert list(frame.loc[functionals.index, "file"]) == good
    assert list(frame.loc[rejected.index, "file"]) == list(rejected["file"]) == list(reasons)
    for file, reason in zip(rejected["file"], rejected["reason"], strict=True):
        assert reasons[file] in reason
        assert file in reason
        assert str(tmp_path) not in reason, "the report names no folder of this machine"
    assert list(functionals.columns) == list(FUNCTIONALS)
    for position, file in zip(functionals.index, good, strict=True):
        assert functionals.loc[position].to_dict() == functionals_of(tmp_path / file)


@pytest.mark.parametrize("num_proc", [1, 2])
def test_no_process_leaves_a_folder_behind(tmp_path, num_proc):
    file = write(tmp_path / "a.wav")
    code = (
        "from dataset_scripts.egemaps import extract_functionals\n"
        f"if __name__ == '__main__': print(len(extract_functionals([{str(file)!r}] * 20, num_proc={num_proc})[0]))"
    )
    (tmp_path / "build.py").write_text(code)
    # Not in tmp_path: multiprocessing's sockets lie there, whose paths have at most 108 bytes.
    with tempfile.TemporaryDirectory() as temporary:
        variables = os.environ | {"TMPDIR": temporary, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, tmp_path / "build.py"], env=variables, capture_output=True, text=True)
        assert done.stdout == "20\n", done.stderr
        assert not list(Path(temporary).glob("paraclap*"))


def test_an_unexpected_error_costs_one_row_and_a_missing_package_ends_the_run(tmp_path, monkeypatch):
    paths = [write(tmp_path / f"{name}.wav") for name in "abc"]
    functionals_of = egemaps.functionals_of

    def fail(path, all_functionals):
        if path.endswith("b.wav"):
            raise error
        return functionals_of(path, all_functionals)

    monkeypatch.setattr(egemaps, "functionals_of", fail)
    for error in (MemoryError("12 GiB"), struct.error("unpack requires 8 bytes"), RecursionError("deep")):
        functionals, rejected = extract_functionals(paths)
        assert len(functionals) == 2
        assert f"b.wav cannot be used: {type(error).__name__}: {error}" in rejected["reason"].iloc[0]
    error = ImportError("no av")
    with pytest.raises(ImportError, match="no av"):
        extract_functionals(paths)


INTERRUPTED = """
    import os, pathlib, signal, sys
    from opensmile.core.smile import Smile
    from dataset_scripts import egemaps

    folder, log = map(pathlib.Path, sys.argv[1:3])
    egemaps.SHARD, egemaps.CHUNK = 4, 2
    make_sink = Smile._sink_callback
    calls = []

    def make_interrupted_sink(*lists):
        sink = make_sink(*lists)
        calls.append(1)

        def interrupted(*data):
            # In the middle of openSMILE's run, at its call back into Python.
            if len(calls) == 6:
                os.kill(os.getpid(), getattr(signal, sys.argv[3]))
            return sink(*data)

        return interrupted

    Smile._sink_callback = staticmethod(make_interrupted_sink)
    signal.signal(signal.SIGTERM, lambda *details: sys.exit("stopped"))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
    paths = sorted(map(str, folder.glob("*.wav")))
    try:
        egemaps.extract_functionals(paths, shards_dir=folder / "shards")
    finally:
        log.write_text(str(len(calls)))
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interrupt_within_openSMILE_stops_and_loses_no_file(tmp_path, number, monkeypatch):
    for i in range(10):
        write(tmp_path / f"{i}.wav", seconds=0.3)
    (tmp_path / "build.py").write_text(textwrap.dedent(INTERRUPTED))
    command = [sys.executable, tmp_path / "build.py", tmp_path, tmp_path / "log", number]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    stopped = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert stopped.returncode != 0
    assert {"SIGINT": "KeyboardInterrupt", "SIGTERM": "stopped"}[number] in stopped.stderr
    assert (tmp_path / "log").read_text() == "6", "it stops at once"
    assert len(list((tmp_path / "shards").glob("part-*.parquet"))) == 1, "the shard before is kept"
    calls, compute = [], egemaps.functionals_of
    monkeypatch.setattr(egemaps, "functionals_of", lambda *given: (calls.append(1), compute(*given))[1])
    monkeypatch.setattr(egemaps, "SHARD", 4)
    functionals, rejected = extract_functionals(
        sorted(map(str, tmp_path.glob("*.wav"))), shards_dir=tmp_path / "shards"
    )
    assert len(functionals) == 10
    assert rejected.empty, rejected
    assert len(calls) == 6, "what was kept is not computed again"


def _die(chunk, all_functionals):
    os._exit(1)


def test_a_worker_that_dies_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(egemaps, "_run", _die)
    with pytest.raises(WorkerError, match="A worker process died .* on one of 1 files, from .*a.wav.* --num_proc 1"):
        extract_functionals([write(tmp_path / "a.wav")], num_proc=2)


def test_num_proc_and_single_files_are_checked(tmp_path):
    with pytest.raises(ValueError, match="num_proc is 0; expected 1 or more"):
        extract_functionals([], num_proc=0)
    with pytest.raises(AudioError, match="does not exist"):
        functionals_of(tmp_path / "missing.wav")
