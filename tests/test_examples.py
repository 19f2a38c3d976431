"""The examples run as their docstrings say, and do what they promise."""

import dataclasses

import numpy as np
import pytest
import soundfile

from examples import embeddings_for_scikit_learn, sentence_encoder
from modeling_paraclap.scoring_paraclap import Question, Scorer
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


def test_embeddings_train_a_classifier(recordings, tiny_release, capsys):
    command = [str(recordings / "train"), str(recordings / "test"), "--model", str(tiny_release)]
    embeddings_for_scikit_learn.main(command)
    figures = dict(line.split(": UAR ") for line in capsys.readouterr().out.splitlines())
    assert float(figures["logistic regression"]) >= 0.75
    assert 0 <= float(figures["zero-shot"]) <= 1


def test_the_encoder_gives_the_embeddings_of_the_model(recordings, tiny_release, capsys):
    encoder = sentence_encoder.ParaClapEncoder(str(tiny_release))
    scorer = Scorer.from_pretrained(tiny_release)
    files = [str(file) for file in sorted((recordings / "test").rglob("*.wav"))[3:6]]
    sentences = ["speaker is calm", "a female is speaking with a high voice", "calm"]
    text = scorer.embed_texts(Question.parse(sentences, "{}")).numpy()
    audio = np.stack([scorer.embed(file).embedding for file in files])
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
