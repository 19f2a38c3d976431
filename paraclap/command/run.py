"""A complete run of `score` or `embed`: from recordings to a table, with progress and resuming."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import CommandError
from .journal import Journal
from .progress import progress_bar
from .recordings import Recording
from .score import Result, ScoreTask, process
from .tables import check_output, rows_of, write_table
from .workers import cores


@dataclass(frozen=True)
class Plan:
    """How to distribute the work and where to write the results.

    Attributes:
        output: Table to write, if any.
        resume: See `Journal.open`.
        jobs: Recordings processed at once; None for one per core.
        engine: "threads" or "ray".
        ray_address: Address of a cluster.

    Raises:
        CommandError: If the options contradict each other, or the output cannot be written.
    """

    output: Path | None = None
    resume: bool | None = None
    jobs: int | None = None
    engine: str = "threads"
    ray_address: str | None = None

    def __post_init__(self) -> None:
        if self.output is not None:
            check_output(self.output)
        elif self.resume is not None or self.engine == "ray":
            raise CommandError("--resume and --engine ray need an output table: name it with --output.")


def process_recordings(task: ScoreTask, recordings: Sequence[Recording], plan: Plan) -> list[Result]:
    """Process each recording, write the table, and return the results.

    Raises:
        CommandError: If the output is in use, or belongs to a run that must not be overwritten.
    """
    results: list[Result] = [{}] * len(recordings)
    with _record(task, plan) as record, progress_bar(len(recordings), "recordings") as advance:
        try:
            with closing(_process(task, recordings, record, plan)) as found:
                for number, result in found:
                    results[number] = result
                    advance()
        except (KeyboardInterrupt, SystemExit):
            if plan.output is not None:
                print(f"stopped after {sum(map(bool, results))}; continue with --resume", file=sys.stderr)
            raise
        if plan.output is not None:
            write_table(rows_of(recordings, results, task.questions), plan.output)
            record.finish(recordings)
    return results


def _record(task: ScoreTask, plan: Plan) -> AbstractContextManager[Any]:
    """Return the store of results beside the output, for resuming."""
    if plan.output is None:
        return nullcontext()
    if plan.engine == "ray":
        from .shards import ResultShards

        return ResultShards(plan.output.with_name(f"{plan.output.name}.shards"), task).open(plan.resume)
    return Journal(plan.output.with_name(f"{plan.output.name}.journal"), task.settings()).open(plan.resume)


def _process(task: ScoreTask, recordings: Sequence[Recording], record: Any, plan: Plan) -> Iterator[tuple[int, Result]]:
    jobs = plan.jobs or cores()
    if plan.engine == "ray":
        from .on_ray import process_on_ray

        return process_on_ray(task, recordings, record, jobs, plan.ray_address)
    return process(task, recordings, jobs, record)


def report_unusable(recordings: Sequence[Recording], results: Sequence[Result], output: Path | None) -> int:
    """Print a summary on standard error and return the exit status: 1 if any recording could not be used."""
    reasons = [(r.shown, result["reason"]) for r, result in zip(recordings, results, strict=True) if "reason" in result]
    where = "" if output is None else f" Written to {output}."
    print(f"{len(recordings) - len(reasons)} of {len(recordings)} recordings used.{where}", file=sys.stderr)
    for name, reason in reasons[:5]:
        print(f"  not used: {reason if name in reason else f'{name}: {reason}'}", file=sys.stderr)
    if len(reasons) > 5:
        print(f"  and {len(reasons) - 5} more; see the column `reason`.", file=sys.stderr)
    return 1 if reasons else 0
