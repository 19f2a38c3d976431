"""The page's work: read recordings within the limits, score them, and format the answers."""

import csv
import functools
import html
import importlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from transformers import pipeline

from .heat_map import draw_over_time
from .limits import Limits, PageError
from .smoothing import Envelope, default_smoothing, length_of

WINDOW_S, STRIDE_S = 3.0, 1.0
LONG_S = 2 * WINDOW_S  # scores over time are shown for recordings of at least this length
MOST_WINDOWS = 600  # longer recordings get longer windows, farther apart
# A spreadsheet would run text that begins like this as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Asking:
    """Scores recordings with one model, for the page.

    Args:
        model: Hub repo id or release folder.
        limits: Limits for visitors.
    """

    def __init__(self, model: str, limits: Limits):
        self.model, self.limits = model, limits

    @functools.cached_property
    def classify(self) -> Any:
        """The pipeline, loaded on first use."""
        return pipeline("zero-shot-audio-classification", model=self.model, trust_remote_code=True)

    @property
    def loader(self) -> Any:
        """The model's module for reading audio, from the Hub or installed."""
        package = type(self.classify).__module__.rpartition(".")[0]
        return importlib.import_module(f"{package}.inputs_paraclap")

    def read(self, file: str | None) -> tuple[np.ndarray, Envelope]:
        """Return the waveform of a recording, mono float32 (samples,) at the model's rate, and its envelope.

        Reading stops at the length limit, whatever the file's header says.

        Raises:
            PageError: If there is no file, or it cannot be read or is too long.
        """
        if not file:
            raise PageError("Record or upload speech first.")
        name, blocks = Path(file).name, []
        envelope = Envelope(self.classify.feature_extractor.sampling_rate)
        try:
            for block in envelope.watch(self.loader.stream_input(file, envelope.sampling_rate)):
                blocks.append(block)
                if envelope.duration > self.limits.seconds:
                    raise PageError(f"{name} is too long: recordings can be {self.limits.of_recordings}.")
        except PageError:
            raise
        except ValueError as error:  # includes the loader's AudioError
            raise PageError(_named(error, file)) from error
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32), envelope

    def ask(self, file: str | None, waveform: np.ndarray, queries: list[str], **options: Any) -> Any:
        """Return the pipeline's scores.

        Raises:
            PageError: If the recording is silent or too short, or a query cannot be encoded.
        """
        audio = {"array": waveform, "sampling_rate": self.classify.feature_extractor.sampling_rate}
        try:
            return self.classify(audio, candidate_labels=queries, hypothesis_template="{}", **options)
        except ValueError as error:
            raise PageError(_named(error, file)) from error

    def score(self, file: str | None, text: str) -> tuple[dict[str, float], str, str | None]:
        """Score one recording.

        Returns:
            The score of each query, a summary as HTML, and for a long recording the scores over time as HTML.

        Raises:
            PageError: If the recording or a query cannot be used.
        """
        queries = self.limits.read_queries(text)
        waveform, envelope = self.read(file)
        over_time = None
        if envelope.duration >= LONG_S:
            stride = max(STRIDE_S, envelope.duration / MOST_WINDOWS)
            length = max(WINDOW_S, stride)
            options = {"window_length_s": length, "stride_length_s": stride, "batch_size": 8}
            result = self.ask(file, waveform, queries, **options)
            scores = {entry["label"]: entry["score"] for entry in result["scores"]}
            centres = np.array([(window["start"] + window["end"]) / 2 for window in result["windows"]])
            table = np.array([_in_order(window["scores"], queries) for window in result["windows"]])
            smoothing = default_smoothing(envelope.duration, length)
            over_time = draw_over_time(queries, centres, table, envelope, (length, stride, smoothing))
        else:
            scores = {entry["label"]: entry["score"] for entry in self.ask(file, waveform, queries)}
        best = max(scores, key=scores.get)
        heard = length_of(envelope.duration)
        return scores, f"<b>{html.escape(best)}</b> fits best, with {scores[best]:.0%}, of {heard} of audio.", over_time

    def score_batch(self, files: list[str] | None, text: str) -> tuple[list[list[str]], Path]:
        """Score several recordings.

        Returns:
            For each recording its name, the best query (or why it cannot be used) and the score; and a CSV file with
            all scores.

        Raises:
            PageError: If the queries or the number of files are invalid; an unusable recording only affects its row.
        """
        queries = self.limits.read_queries(text)
        if not files:
            raise PageError("Upload recordings first.")
        if len(files) > self.limits.files:
            raise PageError(f"{len(files)} files are too many: up to {self.limits.files} at a time.")
        shown, rows = [], [["file", "best", *queries, "problem"]]
        for file in files:
            name = Path(file).name
            try:
                waveform, _ = self.read(file)
                scores = {entry["label"]: entry["score"] for entry in self.ask(file, waveform, queries)}
            except PageError as error:
                shown.append([name, f"Not used: {error}", ""])
                rows.append([name, "", *("" for _ in queries), str(error)])
                continue
            best = max(scores, key=scores.get)
            shown.append([name, best, f"{scores[best]:.2f}"])
            rows.append([name, best, *(round(scores[query], 4) for query in queries), ""])
        output = Path(tempfile.mkdtemp()) / "scores.csv"
        with output.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([_neutralised(cell) for cell in row] for row in rows)
        return shown, output


def _in_order(scores: list[dict[str, Any]], queries: list[str]) -> list[float]:
    found = {entry["label"]: entry["score"] for entry in scores}
    return [found[query] for query in queries]


def _named(error: ValueError, file: str | None) -> str:
    """Return the error's message without the server's upload folder."""
    return str(error).replace(str(file), Path(str(file)).name)


def _neutralised(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
