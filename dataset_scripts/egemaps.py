"""eGeMAPSv02 functionals per utterance, with openSMILE in worker processes (section 2.2 of the paper).

The values are those of ``opensmile.Smile(eGeMAPSv02, Functionals).process_file``: the signal at its own sampling rate,
and of a multi-channel file the first channel, openSMILE's own default (or the first that is not silent). The model
hears the mean of the channels; the two differ only for recordings whose channels do. One exception: samples outside
[-1, 1), which lossy and float files can have, are clipped as a conversion to 16 bits does, where openSMILE would let
them wrap around to the other sign, a click.

Only what the six functionals need is computed (see `smile_config`), unless all 88 are asked for. The results go to
Parquet shards (see `shards`) if a folder is named for them: a run that was killed goes on where it was.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from modeling_paraclap.audio_paraclap import AudioError, check_waveform, read_audio
from modeling_paraclap.waveform_paraclap import is_silent

from .engines import ENGINES, Chunk, Engine, Results, processes, ray_data
from .extras import extra
from .interrupts import postponed_interrupts
from .smile_config import reduced_configuration

if TYPE_CHECKING:
    import pandas as pd

    from .shards import Shards


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
SHARD = 500  # files per shard: what a kill can cost, some 10 s of two cores
CPUS_PER_SHARD = 8  # all wait for the slowest at a shard's end: many at a time take shards that much larger


@cache
def _smile(all_functionals: bool) -> Any:
    """Return this process's `opensmile.Smile`: a new one per file costs 11-20 % more."""
    with extra("features"):
        import opensmile
    full = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    if all_functionals:
        return full
    path = Path(_folder().name) / "six_functionals.conf"
    path.write_text(reduced_configuration(Path(full.default_config_root)), encoding="utf-8")
    return opensmile.Smile(str(path), "func")


@cache
def _folder() -> tempfile.TemporaryDirectory:
    """Return the folder of openSMILE's configuration, which it reads again for every file."""
    folder = tempfile.TemporaryDirectory(prefix="paraclap_opensmile_")
    # A worker process ends without the interpreter's own way to remove it.
    Finalize(None, folder.cleanup, exitpriority=0)
    return folder


def columns_of(all_functionals: bool) -> list[str]:
    """Return the names of the values: `FUNCTIONALS`, and openSMILE's own 88 if all are asked for."""
    return [*FUNCTIONALS, *(_smile(True).feature_names if all_functionals else ())]


def functionals_of(path: str | os.PathLike, all_functionals: bool = False) -> dict[str, float | None]:
    """Compute the `FUNCTIONALS` of one file, in this process.

    Args:
        path: the file.
        all_functionals: add all 88 of eGeMAPSv02 under openSMILE's names and just as openSMILE gives them.

    Returns:
        One number per functional; None for those of the voice where openSMILE finds no voiced frame.

    Raises:
        AudioError: If the file cannot be read, is silent, is too short for one analysis window (60 ms), or has a
            sampling rate below `MIN_SAMPLING_RATE`.
    """
    smile = _smile(all_functionals)
    waveform, sampling_rate = read_audio(path)
    if sampling_rate < MIN_SAMPLING_RATE:
        raise AudioError(f"{path}: the sampling rate is {sampling_rate} Hz; expected {MIN_SAMPLING_RATE} Hz or more.")
    check_waveform(waveform, sampling_rate, name=str(path))
    duration = len(waveform) / sampling_rate
    signal = np.clip(_channel(waveform), -1.0, 32767 / 32768)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Segment too short")  # told by the AudioError below
        values = dict(zip(smile.feature_names, smile(signal, sampling_rate)[0, :, 0].tolist(), strict=True))
    if not np.isfinite(values[FUNCTIONALS["intensity"].feature]):
        raise AudioError(f"{path}: {duration:.3f} s is too short for openSMILE's analysis window of 0.06 s.")
    voiced = values[FUNCTIONALS["pitch_mean"].feature] > 0  # eGeMAPS searches from 55 Hz, 12 semitones above 27.5 Hz
    six = {
        name: duration
        if functional.feature is None
        else values[functional.feature]
        if voiced or not functional.voiced
        else None
        for name, functional in FUNCTIONALS.items()
    }
    return six | values if all_functionals else six


def _channel(waveform: np.ndarray) -> np.ndarray:
    """Return the first channel that is not silent, of shape (samples,)."""
    channels = waveform.reshape(len(waveform), -1).T
    return next((channel for channel in channels if not is_silent(channel)), channels[0])


def _run(chunk: Chunk, all_functionals: bool) -> Results:
    """Give each position its functionals, or the reason why there are none."""
    results: Results = []
    for position, path in chunk:
        try:
            with postponed_interrupts():
                results.append((position, functionals_of(path, all_functionals)))
        except AudioError as error:
            results.append((position, str(error)))
        except ImportError:  # every file would fail
            raise
        except Exception as error:  # one file must not end a build of 50,000: its row says what happened
            results.append((position, f"{path} cannot be used: {type(error).__name__}: {error}"))
    return results


def engine_of(
    name: str, num_proc: int, all_functionals: bool = False, ray_address: str | None = None
) -> AbstractContextManager[tuple[Engine, int]]:
    """Return the engine of that name, and how many chunks it runs at a time."""
    if name == "ray":
        return ray_data(num_proc, ray_address)
    return processes(num_proc, _smile, (all_functionals,))


def extract_functionals(
    utterances: pd.DataFrame | Sequence[str | os.PathLike],
    num_proc: int = 1,
    all_functionals: bool = False,
    shards_dir: Path | None = None,
    engine: str = "processes",
    ray_address: str | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the functionals of many files; a file that cannot be read costs its row and no more.

    Args:
        utterances: a frame with `path`, `corpus` and `file`, or a list of paths.
        num_proc: number of worker processes; 1 computes in this process.
        all_functionals: all 88 of eGeMAPSv02 besides.
        shards_dir: a folder that keeps the results; files whose results are there are not read again.
        engine: what runs openSMILE, one of `ENGINES`.
        ray_address: the cluster of the engine "ray" (see `engines.ray_data`).

    Returns:
        The functionals, one column each, indexed like the rows of `utterances` that could be read; and the others
        (corpus, file, reason), indexed likewise.

    Raises:
        ImportError: If opensmile is not installed, or ray where the engine needs it.
        WorkerError: If a worker process died.
        ValueError: If `num_proc` is below 1, or the engine is unknown.
    """
    import pandas as pd

    from .shards import Shards, keys_of

    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; expected one of {', '.join(ENGINES)}.")
    if num_proc < 1:
        raise ValueError(f"num_proc is {num_proc}; expected 1 or more.")
    _smile(all_functionals)  # here, since an error in a worker's start would only say that the worker died
    columns = columns_of(all_functionals)
    if isinstance(utterances, pd.DataFrame):
        frame = utterances
    else:
        paths = [os.fspath(path) for path in utterances]
        frame = pd.DataFrame({"path": paths, "file": paths, "corpus": None})
    # By position, since an index may name a row twice.
    positions = pd.DataFrame(frame[["corpus", "file", "path"]].to_numpy(), columns=["corpus", "file", "path"])
    shards = None if shards_dir is None else Shards(shards_dir, columns, keys_of(positions))
    known = _empty(columns) if shards is None else shards.load()
    run = partial(_run, all_functionals=all_functionals)
    with engine_of(engine, num_proc, all_functionals, ray_address) as runner:
        computed = _compute(positions.drop(index=known.index), len(known), columns, run, runner, shards)
    results = pd.concat([table for table in (known, *computed) if len(table)] or [known]).sort_index()
    failed = results["error"].notna()
    functionals = results.loc[~failed, columns].astype("float64").set_axis(frame.index[results.index[~failed]])
    rejected = frame.iloc[results.index[failed]].reindex(columns=["corpus", "file"])
    rejected["reason"] = results.loc[failed, "error"].to_numpy()
    return functionals, rejected


def _empty(columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns=["error", *columns], index=pd.Index([], dtype="int64"))


def _compute(
    pending: pd.DataFrame,
    done: int,
    columns: list[str],
    run: Callable[[Chunk], Results],
    runner: tuple[Engine, int],
    shards: Shards | None,
) -> list[pd.DataFrame]:
    """Return the results (``error`` and `columns`) of the rows (corpus, file, path), a shard at a time."""
    run_chunks, at_a_time = runner
    size = SHARD * max(1, at_a_time // CPUS_PER_SHARD)
    tables = []
    with tqdm(total=done + len(pending), initial=done, desc="openSMILE functionals", unit="file") as bar:
        for start in range(0, len(pending), size):
            tables.append(_compute_shard(pending.iloc[start : start + size], run, run_chunks, columns, bar))
            if shards is not None:
                shards.add(tables[-1])
    return tables


def _compute_shard(
    rows: pd.DataFrame, run: Callable[[Chunk], Results], run_chunks: Engine, columns: list[str], bar: tqdm
) -> pd.DataFrame:
    import pandas as pd

    numbered = list(zip(rows.index, rows["path"], strict=True))
    chunks = [numbered[start : start + CHUNK] for start in range(0, len(numbered), CHUNK)]
    found: dict[int, dict] = {}
    for results in run_chunks(run, chunks):
        for position, result in results:
            if isinstance(result, str):
                # The report names the corpus's own path, not where it lies on this machine.
                result = {"error": result.replace(rows.at[position, "path"], rows.at[position, "file"])}
            found[position] = result
        bar.update(len(results))
    return pd.DataFrame([found[position] for position in rows.index], index=rows.index, columns=["error", *columns])
