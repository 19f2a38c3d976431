"""Build a query corpus: Parquet with audio, attributes, bins and queries, from corpora in their original layouts.

    python -m dataset_scripts.build_query_corpus --corpora nemo=DIR emodb=DIR librispeech=DIR --output_dir OUT

OUT holds ``data/{train,validation,test}-*.parquet``, ``README.md`` (so that ``datasets.load_dataset(OUT)`` reads it),
``bins.json``, ``rejected.csv`` (every file left out, with the reason), ``summary.txt`` and ``build.json`` (how it was
made). It is written beside OUT and takes OUT's place when it is complete: a rerun never mixes with what was there.
Only the functionals stay: they are in ``OUT.functionals/``, Parquet shards keyed by file, so that a run that was killed
goes on where it was, and another template or other bins never compute them again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from .binning import ATTRIBUTES, Bins, fit_bins
from .catalogue import remarks_of
from .corpora import CORPORA, OWN, SPLITS, CorpusError, parse_corpora, scan_corpus
from .egemaps import extract_functionals
from .engines import ENGINES, WorkerError
from .extras import need, program_extra
from .folders import FolderInUseError, locked, written_whole
from .queries import INDEX, TemplateIndex, with_paraphrases
from .tables import rejected_lines, write_csv

if TYPE_CHECKING:
    import pandas as pd

LISTED = 50  # files left out that are printed; the CSV has all


@dataclass(frozen=True)
class BuildOptions:
    """How a query corpus is built.

    Attributes:
        num_proc: worker processes for openSMILE.
        audio: "embed" puts the bytes of the original files into Parquet, "path" only their absolute paths.
        bins: edges fitted before; None fits them on the training rows.
        overwrite: replace an output folder that `build_query_corpus` did not write.
        all_functionals: keep all 88 of eGeMAPSv02, as columns beside the six that queries speak of.
        index: the templates of the queries.
        report: draw ``report.png``.
        engine: what runs openSMILE, "processes" or "ray".
        ray_address: the cluster of the engine "ray"; None takes ``RAY_ADDRESS``, or runs Ray on this machine.
    """

    num_proc: int = 1
    audio: str = "embed"
    bins: Bins | None = None
    overwrite: bool = False
    all_functionals: bool = False
    index: TemplateIndex | None = None
    report: bool = False
    engine: str = "processes"
    ray_address: str | None = None


def check_output_dir(output_dir: Path, corpora: dict[str, Path], overwrite: bool) -> None:
    """Refuse to replace a folder that this command did not write.

    Raises:
        FileExistsError: If `output_dir` is a file, or a folder with other content and `overwrite` is False.
        ValueError: If a corpus lies in `output_dir` and would be deleted with it.
    """
    for name, root in corpora.items():
        if Path(root).resolve().is_relative_to(output_dir):
            raise ValueError(
                f"The corpus {name} ({root}) lies in {output_dir}, which is replaced; name another folder."
            )
    from .build_record import BUILD_FILE

    if output_dir.is_dir():
        if any(output_dir.iterdir()) and not (output_dir / BUILD_FILE).is_file() and not overwrite:
            raise FileExistsError(
                f"{output_dir} is not empty and was not written by this command (no {BUILD_FILE} in it); name another "
                f"folder, or replace its whole content with --overwrite."
            )
    elif output_dir.exists():
        raise FileExistsError(f"{output_dir} is a file; expected a folder or a name that is free.")


def build_query_corpus(
    corpora: Mapping[str, Path], output_dir: Path, options: BuildOptions | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build a query corpus: labels, functionals, bins, queries, Parquet.

    Args:
        corpora: corpus name -> folder.
        output_dir: the folder to write; replaced as a whole.
        options: the defaults if not given.

    Returns:
        The rows written (all columns but audio and queries), and the files left out (corpus, file, reason).

    Raises:
        CorpusError: If a corpus is not as its owner ships it, or nothing in it can be read.
        FileExistsError: As [`check_output_dir`].
        FolderInUseError: If another process writes `output_dir`.
        ValueError: If there are no training rows to fit bins on, or a corpus lies within `output_dir`.
    """
    from .build_record import write_record

    options = options or BuildOptions()
    started = time.time()
    output_dir = Path(output_dir).expanduser().resolve()
    check_output_dir(output_dir, corpora, options.overwrite)
    with locked(output_dir):  # from here on, since the functionals are shared by all builds into this folder
        frame, rejected, functionals = _read_and_measure(corpora, output_dir, options)
        bins = options.bins or fit_bins(frame)
        frame = bins.apply(frame)
        with written_whole(output_dir) as folder:
            _write_corpus(folder, frame, rejected, bins, functionals, options)
            record = {
                "command": "dataset_scripts.build_query_corpus",
                "corpora": list(corpora),  # not the folders: OUT may be published
                "audio": options.audio,
                "all_functionals": options.all_functionals,
                "rows": {split: int((frame["split"] == split).sum()) for split in SPLITS},
                "rejected": len(rejected),
                "seconds": round(time.time() - started, 1),
                "versions": {name: version(name) for name in ("opensmile", "datasets", "pyarrow", "soundfile")},
            }
            write_record(folder, record)
    return frame, rejected


def _read_and_measure(
    corpora: Mapping[str, Path], output_dir: Path, options: BuildOptions
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return the utterances with their functionals, the files left out, and the functionals' names."""
    import pandas as pd

    from .duplicates import find_contradictions

    scanned = [scan_corpus(name, root) for name, root in corpora.items()]
    frame = pd.concat([rows for rows, _ in scanned], ignore_index=True)
    if options.bins is None:
        fit_bins(frame)  # without training rows it fails, and had better do so before minutes of openSMILE
    functionals, unreadable = extract_functionals(
        frame,
        options.num_proc,
        options.all_functionals,
        output_dir.with_name(f"{output_dir.name}.functionals"),
        options.engine,
        options.ray_address,
    )
    rejected = [*(left_out for _, left_out in scanned), unreadable]
    if functionals.empty:
        reason = pd.concat(rejected)["reason"].iloc[0]
        raise CorpusError(f"None of the {len(frame)} files could be read; the first: {reason}")
    frame = frame.join(functionals, how="inner").reset_index(drop=True)
    contradictions = find_contradictions(frame)
    rejected.append(frame.loc[contradictions.index, ["corpus", "file"]].assign(reason=contradictions))
    frame = frame.drop(index=contradictions.index).reset_index(drop=True)
    return frame, pd.concat(rejected, ignore_index=True), list(functionals.columns)


def _write_corpus(
    folder: Path,
    frame: pd.DataFrame,
    rejected: pd.DataFrame,
    bins: Bins,
    functionals: list[str],
    options: BuildOptions,
) -> None:
    """Write all of a corpus's files but its record."""
    from .parquet import write_splits
    from .report import dataset_card, summary_of

    index = INDEX if options.index is None else options.index
    sizes = write_splits(frame, folder / "data", options.audio == "embed", functionals, index)
    bins.save(folder / "bins.json")
    write_csv(rejected, folder / "rejected.csv")
    (folder / "summary.txt").write_text(summary_of(frame) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(dataset_card(frame, rejected, bins, sizes, index), encoding="utf-8")
    if options.report:
        from .sheet import draw_sheet

        draw_sheet(frame, bins, folder / "report.png", index)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--corpora",
        nargs="+",
        required=True,
        metavar="NAME=DIR",
        help=f"corpora and folders; NAME is one of {', '.join(CORPORA)}, or {OWN}",
    )
    parser.add_argument("--output_dir", type=Path, required=True, help="folder to write (replaced as a whole)")
    parser.add_argument(
        "--num_proc",
        type=int,
        default=os.cpu_count() or 1,
        help="worker processes for openSMILE (default: one per CPU, here %(default)s)",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="processes",
        help="what runs openSMILE: processes of this machine (default), or Ray Data (extra [ray])",
    )
    parser.add_argument(
        "--ray_address",
        help="the Ray cluster, which must see the corpora under the same paths (default: RAY_ADDRESS, and without it "
        "--num_proc workers on this machine)",
    )
    parser.add_argument(
        "--audio",
        choices=("embed", "path"),
        default="embed",
        help="embed: the original files' bytes, unchanged, in Parquet (default); path: only their absolute paths",
    )
    parser.add_argument("--bins", type=Path, help="apply these bins (a bins.json) instead of fitting new ones")
    parser.add_argument(
        "--all_functionals",
        action="store_true",
        help="keep all 88 functionals of eGeMAPSv02 as columns (2.5 times as slow)",
    )
    parser.add_argument(
        "--paraphrases", type=Path, help="YAML with paraphrases of the templates, which become queries, too"
    )
    parser.add_argument("--report", action="store_true", help="draw OUT/report.png: counts, histograms, captions")
    parser.add_argument("--overwrite", action="store_true", help="replace a folder that this command did not write")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, build, print the summary. Return the exit status."""
    args = parse_arguments(arguments)
    with program_extra("features"):
        need("datasets", "opensmile")
    started = time.time()
    try:
        options = BuildOptions(
            num_proc=args.num_proc,
            audio=args.audio,
            bins=Bins.load(args.bins) if args.bins else None,
            overwrite=args.overwrite,
            all_functionals=args.all_functionals,
            index=with_paraphrases(args.paraphrases) if args.paraphrases else None,
            report=args.report,
            engine=args.engine,
            ray_address=args.ray_address,
        )
        frame, rejected = build_query_corpus(parse_corpora(args.corpora), args.output_dir, options)
    except (ValueError, OSError, ImportError, WorkerError, FolderInUseError) as error:  # each says what to do
        print(f"error: {error}", file=sys.stderr)
        return 2
    print_outcome(frame, rejected, args.output_dir, time.time() - started)
    return 0


def print_outcome(frame: pd.DataFrame, rejected: pd.DataFrame, output_dir: Path, seconds: float) -> None:
    """Print the summary of a build, what it lacks, and the files left out."""
    from .report import summary_of

    print(summary_of(frame))
    print(f"\n{len(frame)} utterances written to {output_dir} in {seconds:.0f} s.")
    if empty := [name for name in ATTRIBUTES if frame[f"{name}_bin"].isna().all()]:
        print(f"No values, hence no queries, for: {', '.join(empty)}.")
    for name, here in frame["corpus"].value_counts(sort=False).items():
        if lines := remarks_of(CORPORA[name]):
            print("\n".join([f"{name}:", *lines]))
        owners = CORPORA[name].utterances
        if owners and here != owners:
            print(f"{CORPORA[name].title}: {here} utterances here, {owners} in the owner's release.")
    if rejected.empty:
        print("No file left out.")
        return
    print(f"{len(rejected)} files left out, all in {output_dir / 'rejected.csv'}:")
    print("\n".join(rejected_lines(rejected, LISTED)))


if __name__ == "__main__":
    raise SystemExit(main())
