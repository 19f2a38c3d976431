"""eGeMAPSv02 functionals per utterance, with openSMILE in worker processes (section 2.2 of the paper).

The values are those of ``opensmile.Smile(eGeMAPSv02, Functionals).process_file``: the signal at its own sampling rate,
and of a multi-channel file the first channel, as openSMILE's own default is. (The model hears the mean of the channels;
the two differ only for recordings whose channels do.) One exception: samples outside [-1, 1), which lossy and float
files can have, are clipped as a conversion to 16 bits does, where openSMILE's would let them wrap around to the other
sign, a click.
"""

import multiprocessing
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from modeling_paraclap.audio_paraclap import AudioError, read_audio


class WorkerError(RuntimeError):
    """A worker process died."""


@dataclass(frozen=True)
class Functional:
    """One acoustic attribute.

    Attributes:
        feature: openSMILE's name in eGeMAPSv02; None for the duration, which is counted in samples.
        unit: the unit of its values.
        voiced: True if it exists only in voiced speech; openSMILE writes 0 where there is none, we write null.
    """

    feature: str | None
    unit: str
    voiced: bool = False


FUNCTIONALS: dict[str, Functional] = {
    "pitch_mean": Functional("F0semitoneFrom27.5Hz_sma3nz_amean", "semitones above 27.5 Hz", voiced=True),
    "pitch_std": Functional("F0semitoneFrom27.5Hz_sma3nz_stddevNorm", "standard deviation / mean", voiced=True),
    "intensity": Functional("equivalentSoundLevel_dBp", "dB"),
    "duration": Functional(None, "s"),
    "jitter": Functional("jitterLocal_sma3nz_amean", "fraction of the period", voiced=True),
    "shimmer": Functional("shimmerLocaldB_sma3nz_amean", "dB", voiced=True),
}

MIN_SAMPLING_RATE = 4000  # below, no pitch is found; a damaged header that says a few Hz makes openSMILE crash
CHUNK = 8  # files per task: small enough for an even load, large enough that passing them costs nothing

_smile = None  # one openSMILE object per process; a new one per file costs 11-20 % more


def _import_opensmile():
    try:
        import opensmile
    except ImportError as error:
        raise ImportError(f"The functionals need openSMILE (pip install opensmile): {error}") from error
    return opensmile


def _start_worker() -> None:
    global _smile
    opensmile = _import_opensmile()
    _smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)


def functionals_of(path: str | os.PathLike) -> dict[str, float | None]:
    """Compute the `FUNCTIONALS` of one file, in this process.

    Returns:
        One number per functional; None for those of the voice where openSMILE finds no voiced frame.

    Raises:
        AudioError: the file cannot be read, is too short for one analysis window (60 ms), or has a sampling rate below
            `MIN_SAMPLING_RATE`.
    """
    if _smile is None:
        _start_worker()
    waveform, sampling_rate = read_audio(path)
    if sampling_rate < MIN_SAMPLING_RATE:
        raise AudioError(f"{path}: the sampling rate is {sampling_rate} Hz; expected {MIN_SAMPLING_RATE} Hz or more.")
    duration = len(waveform) / sampling_rate
    signal = waveform if waveform.ndim == 1 else waveform[:, 0]
    signal = np.clip(signal, -1.0, 32767 / 32768)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Segment too short")  # told by the AudioError below
        values = dict(zip(_smile.feature_names, _smile(signal, sampling_rate)[0, :, 0].tolist(), strict=True))
    if not np.isfinite(values[FUNCTIONALS["intensity"].feature]):
        raise AudioError(f"{path}: {duration:.3f} s is too short for openSMILE's analysis window of 0.06 s.")
    voiced = values[FUNCTIONALS["pitch_mean"].feature] > 0  # eGeMAPS searches from 55 Hz, 12 semitones above 27.5 Hz
    return {
        name: duration
        if functional.feature is None
        else values[functional.feature]
        if voiced or not functional.voiced
        else None
        for name, functional in FUNCTIONALS.items()
    }


def _run(chunk: list[tuple[int, str]]) -> list[tuple[int, dict | str]]:
    """Give each position its functionals, or the reason why there are none."""
    results: list[tuple[int, dict | str]] = []
    for position, path in chunk:
        try:
            results.append((position, functionals_of(path)))
        except AudioError as error:
            results.append((position, str(error)))
    return results


def extract_functionals(
    utterances: pd.DataFrame | Sequence[str | os.PathLike], num_proc: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the functionals of many files; a file that cannot be read costs its row and no more.

    Args:
        utterances: a frame with `path` (and `corpus`, `file`, for the report), or a list of paths.
        num_proc: number of worker processes; 1 computes in this process.

    Returns:
        The functionals, one column each, indexed like the rows of `utterances` that could be read; and the others
        (corpus, file, reason), indexed likewise.

    Raises:
        ImportError: opensmile is not installed.
        WorkerError: a worker process died.
        ValueError: `num_proc` below 1.
    """
    if num_proc < 1:
        raise ValueError(f"num_proc is {num_proc}; expected 1 or more.")
    _import_opensmile()  # here, since an error in a worker's start would only say that the worker died
    if isinstance(utterances, pd.DataFrame):
        frame = utterances
    else:
        paths = [os.fspath(path) for path in utterances]
        frame = pd.DataFrame({"path": paths, "file": paths, "corpus": None})
    paths = [str(path) for path in frame["path"]]
    numbered = list(enumerate(paths))
    chunks = [numbered[start : start + CHUNK] for start in range(0, len(numbered), CHUNK)]
    values: dict[int, dict] = {}
    reasons: dict[int, str] = {}
    with tqdm(total=len(paths), desc="openSMILE functionals", unit="file") as progress:
        for results in _in_processes(chunks, num_proc) if num_proc > 1 else map(_run, chunks):
            for position, result in results:
                if isinstance(result, str):
                    reasons[position] = result
                else:
                    values[position] = result
            progress.update(len(results))
    kept, lost = sorted(values), sorted(reasons)
    functionals = pd.DataFrame(
        [values[position] for position in kept], index=frame.index[kept], columns=list(FUNCTIONALS), dtype="float64"
    )
    rejected = frame.iloc[lost].reindex(columns=["corpus", "file"])
    # The report names the corpus's own path, not where it lies on this machine.
    rejected["reason"] = [reasons[p].replace(paths[p], str(frame["file"].iloc[p])) for p in lost]
    return functionals, rejected


def _in_processes(chunks: list[list[tuple[int, str]]], num_proc: int) -> Iterator[list[tuple[int, dict | str]]]:
    # Not fork: torch's threads do not survive it. A fork server imports once and forks before any thread is there.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["dataset_scripts.egemaps", "opensmile"])
    running: dict[Future, list[tuple[int, str]]] = {}
    with ProcessPoolExecutor(num_proc, mp_context=context, initializer=_start_worker) as pool:
        try:
            for chunk in chunks:
                running[pool.submit(_run, chunk)] = chunk
                if len(running) >= 4 * num_proc:  # a bounded window, so that memory stays flat
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield future.result()
                        del running[future]
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield future.result()
                    del running[future]
        except BrokenProcessPool as error:
            files = [path for chunk in running.values() for _, path in chunk]
            raise WorkerError(
                f"A worker process died (killed, out of memory, or a crash in openSMILE) on one of {len(files)} files, "
                f"from {files[0]} to {files[-1]}. Use a smaller --num_proc; --num_proc 1 shows which file it is."
            ) from error
