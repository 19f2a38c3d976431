"""Answers in free text are matched to labels as in the paper, and faulty files are refused."""

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from paraclap.evaluation.answers import AnswerError, SentenceEncoder, load_answers
from paraclap.evaluation.systems import AnswersSystem


@pytest.fixture(scope="module")
def encoder(text_encoder):
    return SentenceEncoder(text_encoder)


def test_an_answer_means_the_label_whose_text_it_is(encoder):
    files = {"a.wav": "speaker is sad", "b.wav": "speaker is angry", "c.wav": "", "d.wav": "a calm female"}
    system = AnswersSystem("Pengi", files, encoder)
    prompts = [["speaker is angry"], ["speaker is sad"], ["speaker is calm", "a calm female"]]
    frame = pd.DataFrame({"file": ["a.wav", "b.wav", "c.wav", "e.wav", "d.wav", "a.wav"], "path": "unread"})
    embeds, reasons = system.embed_utterances(frame, batch_size=2, max_length_s=None)
    assert reasons == dict.fromkeys([2, 3], "The system has no answer for it.")
    scores = embeds @ system.embed_labels(prompts).T
    assert scores.argmax(1).tolist() == [1, 0, 2, 1]
    assert scores[0, 1] == pytest.approx(1, abs=1e-5)
    mean = F.normalize(encoder(prompts[2]).mean(0), dim=-1)
    torch.testing.assert_close(scores[2, 2], encoder(["a calm female"])[0] @ mean)


def test_padding_does_not_change_an_embedding(encoder):
    alone = encoder(["speaker is sad"])[0]
    beside = encoder(["speaker is sad", "a high high high female is angry and sad and calm"])[0]
    torch.testing.assert_close(alone, beside, atol=1e-5, rtol=0)


def test_answers_are_read_with_quotes_and_umlauts(tmp_path):
    file = tmp_path / "answers.csv"
    file.write_text('file,answer\na/b.wav,"The speaker, Jürgen, is NA."\nc.wav, sad \nd.wav,NA\n', encoding="utf-8")
    assert load_answers(file) == {"a/b.wav": "The speaker, Jürgen, is NA.", "c.wav": "sad", "d.wav": "NA"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,text\na.wav,sad\n", "has no column 'answer'; it has file, text"),
        (b"file,answer\na.wav,sad\nb.wav,sad\na.wav,angry\n", "several answers for 'a.wav', again in row 4"),
        (b"file,answer\na.wav,\xff\xfe\n", "is not a CSV"),
        (b"", "is not a CSV"),
    ],
)
def test_a_faulty_file_is_refused(tmp_path, content, message):
    file = tmp_path / "answers.csv"
    file.write_bytes(content)
    with pytest.raises(AnswerError, match=message):
        load_answers(file)
