"""Utterances with precomputed states of a frozen audio encoder in place of waveforms."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from dataset_scripts.queries import generate_queries
from modeling_paraclap.audio_paraclap import load_audio
from modeling_paraclap.modeling_paraclap import ParaClapModel

from .audio_states import AudioStates, HeardStates, content_of
from .augment import SHORTEST_PART_S
from .corpus_files import SAMPLING_RATE
from .utterances import QueryCorpus, row_functionals

LEFT_OUT = 0.4  # maximum share of an utterance that is dropped
LEAST_FRAMES = 8  # shorter utterances are kept whole


class StateCorpus(QueryCorpus):
    """[`QueryCorpus`] whose examples have the states of a randomly drawn copy of the utterance.

    Gain and excerpts are also drawn each time, and half of the draws drop a stretch; all other augmentation was applied
    when the copy was encoded.

    Args:
        *args: Arguments of [`QueryCorpus`].
        states: The states, to be computed with [`fill`].
        **kwargs: Keyword arguments of [`QueryCorpus`].
    """

    def __init__(self, *args: Any, states: AudioStates, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.states = states
        self.contents = [content_of(self.audio[int(index)]) for index in range(len(self.labels))]

    def fill(self, model: ParaClapModel, accelerator: Accelerator) -> None:
        """Encode the copies that are missing."""
        loads = {self.contents[index]: self._loader_of(int(index)) for index in self.indices}
        self.states.add(list(loads.items()), model, accelerator)

    def _loader_of(self, index: int) -> Any:
        def load() -> tuple[np.ndarray, dict[str, Any]]:
            row = {name: column[index] for name, column in self.columns.items()}
            return load_audio(self.audio[index], SAMPLING_RATE), row_functionals(row)

        return load

    def _hear(
        self, index: int, row: dict[str, Any], audio: bytes | None, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], dict[str, Any], list[tuple[str, str]]]:
        copy = int(rng.integers(self.states.copies))
        heard = self.states[self.contents[index], copy]
        heard = HeardStates(heard.states, heard.cues.copy(), dict(heard.functionals))
        options = self.augmentation
        if options.gain:
            gain = rng.uniform(-options.gain, options.gain)
            if len(heard.cues):
                heard.cues[0] += gain
            if heard.functionals["intensity"] is not None:
                heard.functionals["intensity"] += gain
        part = options.part and not isinstance(row["emotion"], str) and rng.random() < options.part
        heard = self._crop(heard, part, rng)
        frames = heard.states.shape[1]
        mask = np.ones(frames, bool)
        if frames > LEAST_FRAMES and rng.random() < 0.5:
            length = int(rng.integers(1, max(2, int(frames * LEFT_OUT))))
            start = int(rng.integers(frames - length + 1))
            mask[start : start + length] = False
        row = self._with_bins(row, heard.functionals)
        return {"states": heard.states, "cues": heard.cues, "mask": mask}, row, generate_queries(row)

    def _crop(self, heard: HeardStates, part: bool, rng: np.random.Generator) -> HeardStates:
        """Return a random crop of the maximum length, or, for a part, of a random length of at least 1 s."""
        frames = heard.states.shape[1]
        seconds = heard.functionals["duration"] or frames
        longest = max(1, int(frames * min(1.0, self.options.crop_s / seconds)))
        shortest = min(longest, max(1, int(frames * SHORTEST_PART_S / seconds)))
        length = int(shortest * (longest / shortest) ** rng.random()) if part else longest
        if length >= frames:
            return heard
        start = int(rng.integers(frames - length + 1))
        heard.functionals["duration"] = seconds * length / frames
        heard.functionals["pitch_std"] = None  # known for the whole utterance only
        if len(heard.cues):
            heard.cues[1] = math.log2(heard.functionals["duration"])
        return HeardStates(heard.states[:, start : start + length], heard.cues, heard.functionals)


def states_folder(given: str | None, output_dir: str) -> Path:
    """Return the given folder of states, or the default one in the run's folder."""
    return Path(given or Path(output_dir) / "audio_states")
