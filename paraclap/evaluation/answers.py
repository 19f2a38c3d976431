"""Score systems that answer in free text, such as Pengi or an audio language model.

As in the paper (section 3.4), an answer is matched to the labels by the similarity of their text embeddings. The file
is a CSV with the columns `file`, as the corpus names it, and `answer`.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer

COLUMNS = ("file", "answer")
TEXTS_PER_BATCH = 256


class AnswerError(ValueError):
    """A file of answers that cannot be used."""


def load_answers(file: Path) -> dict[str, str]:
    """Return the answer of each file.

    Raises:
        AnswerError: If the file is not a CSV with the columns `file` and `answer`, or names a file twice.
    """
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise AnswerError(
            f"{file} is not a CSV in UTF-8 ({error}); expected the columns {', '.join(COLUMNS)}."
        ) from error
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise AnswerError(f"{file} has no column {missing[0]!r}; it has {', '.join(table.columns)}.")
    twice = table.loc[table["file"].duplicated(), "file"]
    if len(twice):
        raise AnswerError(f"{file} has several answers for {twice.iloc[0]!r}, again in row {twice.index[0] + 2}.")
    return dict(zip(table["file"], table["answer"].str.strip(), strict=True))


class SentenceEncoder:
    """A BERT-like sentence encoder: the mean of the states of a text's valid tokens, of unit length.

    Args:
        name: Hub id or folder, such as sentence-transformers/all-MiniLM-L6-v2.
    """

    def __init__(self, name: str | Path):
        self.tokenizer, self.model = AutoTokenizer.from_pretrained(name), AutoModel.from_pretrained(name).eval()

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (texts, dim) embeddings of unit length; texts too long for the encoder are truncated."""
        found = []
        for start in range(0, len(texts), TEXTS_PER_BATCH):
            batch = list(texts[start : start + TEXTS_PER_BATCH])
            longest = min(self.tokenizer.model_max_length, self.model.config.max_position_embeddings)
            inputs = self.tokenizer(batch, padding=True, truncation=True, max_length=longest, return_tensors="pt")
            states = self.model(**inputs).last_hidden_state
            mask = inputs["attention_mask"][..., None].to(states.dtype)
            found.append(F.normalize((states * mask).sum(1) / mask.sum(1).clamp(min=1), dim=-1))
        return torch.cat(found)
