"""The functionals: openSMILE's own values to the last bit, one row for one bad file."""

import os
import subprocess
import sys
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


@pytest.mark.parametrize("kind", ["silence", "noise"])
def test_without_a_voice_there_is_no_pitch(tmp_path, kind):
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    soundfile.write(tmp_path / "a.wav", noise if kind == "noise" else 0 * noise, RATE)
    functionals, rejected = extract_functionals([tmp_path / "a.wav"])
    assert rejected.empty
    assert functionals[["pitch_mean", "pitch_std", "jitter", "shimmer"]].isna().all(axis=None)
    assert functionals["duration"].iloc[0] == 1
    assert np.isfinite(functionals["intensity"].iloc[0])


def make_bad_files(folder):
    """Files that cannot be used, and what the report must say of each."""
    whole = write(folder / "whole.wav").read_bytes()
    (folder / "truncated.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("not audio at all\n" * 20)
    write(folder / "short.wav", seconds=0.02)
    write(folder / "slow.wav", rate=1000)
    return {
        "truncated.wav": "truncated",
        "empty.wav": "empty",
        "text.wav": "not audio",
        "missing.wav": "does not exist",
        "short.wav": "0.020 s is too short",
        "slow.wav": "sampling rate is 1000 Hz; expected 4000 Hz",
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
    (tmp_path / "temporary").mkdir()
    file = write(tmp_path / "a.wav")
    code = (
        "from dataset_scripts.egemaps import extract_functionals\n"
        f"if __name__ == '__main__': print(len(extract_functionals([{str(file)!r}] * 20, num_proc={num_proc})[0]))"
    )
    (tmp_path / "build.py").write_text(code)
    variables = os.environ | {"TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, tmp_path / "build.py"], env=variables, capture_output=True, text=True)
    assert done.stdout == "20\n", done.stderr
    assert not list((tmp_path / "temporary").glob("paraclap*"))


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
