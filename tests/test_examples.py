"""The examples run as their docstrings say, and do what they promise."""

import dataclasses

import numpy as np
import pytest
import soundfile

from examples import embeddings_for_scikit_learn, search_recordings, sentence_encoder
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two classes of synthetic voices, four recordings each, in train and test."""
    root = tmp_path_factory.mktemp("recordings")
    for split, offset in (("train", 0), ("test", 10)):
        for label, voice in (("quiet", VOICES[2]), ("loud", VOICES[3])):
            (root / split / label).mkdir(parents=True)
            for seed in range(4):
                varied = dataclasses.replace(voice, pitch=voice.pitch + 3 * seed)
                file = root / split / label / f"{seed}.wav"
                soundfile.write(file, synthesise(varied, 1.0, seed + offset), SAMPLING_RATE)
    return root


def test_search_orders_by_cosine_and_keeps_its_index(recordings, tiny_release, tmp_path, capsys, monkeypatch):
    (recordings / "train" / "quiet" / "broken.wav").write_text("no audio")
    index = tmp_path / "index.parquet"
    command = [
        str(recordings / "train"),
        "speaker is calm",
        "--model",
        str(tiny_release),
        "--index",
        str(index),
        "--k",
        "20",
    ]
    search_recordings.main(command)
    printed = capsys.readouterr().out
    assert "left out: " in printed
    assert "broken.wav" in printed
    lines = [line.split() for line in printed.splitlines() if line.startswith("  ")]
    found = {file: float(cosine) for cosine, file in lines}
    assert len(found) == 8
    assert list(found.values()) == sorted(found.values(), reverse=True)
    model, processor = search_recordings.load(str(tiny_release))
    query = search_recordings.embed_query("speaker is calm", model.eval(), processor)
    for file, cosine in found.items():
        assert np.dot(query, search_recordings.embed_recording(file, model, processor)) == pytest.approx(
            cosine, abs=1e-3
        )

    (recordings / "train" / "quiet" / "broken.wav").unlink()
    monkeypatch.setattr(search_recordings, "embed_recording", None)  # nothing is embedded again
    search_recordings.main(command)
    assert capsys.readouterr().out == "\n".join(line for line in printed.splitlines() if "left out" not in line) + "\n"


def test_search_without_recordings(tiny_release, tmp_path):
    with pytest.raises(SystemExit, match="no readable recording below"):
        search_recordings.main([str(tmp_path), "speaker is calm", "--model", str(tiny_release)])


def test_embeddings_train_a_classifier(recordings, tiny_release, capsys):
    command = [str(recordings / "train"), str(recordings / "test"), "--model", str(tiny_release)]
    embeddings_for_scikit_learn.main(command)
    figures = dict(line.split(": UAR ") for line in capsys.readouterr().out.splitlines())
    assert float(figures["logistic regression"]) >= 0.75
    assert 0 <= float(figures["zero-shot"]) <= 1


def test_the_encoder_gives_the_embeddings_of_the_model(recordings, tiny_release, capsys):
    encoder = sentence_encoder.ParaClapEncoder(str(tiny_release))
    model, processor = search_recordings.load(str(tiny_release))
    files = [str(file) for file in sorted((recordings / "test").rglob("*.wav"))[3:6]]
    sentences = ["speaker is calm", "a female is speaking with a high voice", "calm"]
    text = np.stack([search_recordings.embed_query(sentence, model.eval(), processor) for sentence in sentences])
    audio = np.stack([search_recordings.embed_recording(file, model, processor) for file in files])
    rate = 48000  # as a dataset has it, at another rate
    rows = [{"array": np.repeat(soundfile.read(files[0], dtype="float32")[0], 3), "sampling_rate": rate}]
    np.testing.assert_allclose(encoder.encode(sentences), text, atol=1e-5)
    np.testing.assert_allclose(encoder.encode([{"text": sentences[:2]}, {"text": sentences[2:]}]), text, atol=1e-5)
    found = encoder.encode([{"audio": files[:2]}, {"audio": files[2:]}], task_metadata=None, hf_split="test")
    np.testing.assert_allclose(found, audio, atol=1e-5)
    assert encoder.encode([{"audio": rows}]) @ audio[0] == pytest.approx(1, abs=0.05)
    cosines = encoder.similarity(text, audio)
    np.testing.assert_allclose(cosines, text @ audio.T, atol=1e-6)
    np.testing.assert_allclose(encoder.similarity_pairwise(text, audio), cosines.diagonal(), atol=1e-6)
    with pytest.raises(ValueError, match="nothing to embed"):
        encoder.encode([])
    sentence_encoder.main([sentences[0], *files, "--model", str(tiny_release)])
    printed = [float(line.split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert printed == pytest.approx(cosines[0].tolist(), abs=1e-3)
