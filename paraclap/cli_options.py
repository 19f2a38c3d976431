"""Options of the `paraclap` command: a dataclass for each command, a field for each option."""

import functools
import inspect
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from .command.errors import CommandError

if TYPE_CHECKING:
    from .command.run import Plan
    from .page.questions import NamedQuestion

QUESTIONS = "Questions"
MODEL = "Model and machine"
OUTPUT = "Output"

FAILED, UNUSABLE, STOPPED = 2, 1, 130  # exit status
PATHS_HELP = "Files, folders (searched recursively), patterns such as 'data/*.wav', or - for a list on standard input."


def add_command(
    app: typer.Typer, name: str, options: type, function: Callable[[Any], int | None], **settings: Any
) -> None:
    """Register a function as a command with one option for each field of a dataclass.

    Args:
        app: The command's parent.
        name: The command's name.
        options: The dataclass; its fields are annotated as typer's parameters are.
        function: Takes an instance and returns the exit status; its docstring is the help.
        **settings: Passed to `typer.Typer.command`.
    """
    hints = get_type_hints(options, include_extras=True)

    @functools.wraps(function)
    def command(**values: Any) -> None:
        with one_line_errors():
            status = function(options(**values))
        raise typer.Exit(status or 0)

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(options)
    ]
    command.__signature__ = inspect.Signature(parameters)
    command.__annotations__ = hints
    paragraphs = inspect.getdoc(function).split("\n\n")
    app.command(name, help="\n\n".join(" ".join(text.split()) for text in paragraphs), **settings)(command)


def examples(lines: Iterable[str]) -> str:
    """Format command lines as the epilog of a command's help."""
    return "\n".join(["[bold]Examples[/bold]", *(f"  $ {escape(line)}" for line in lines)])


def escape(text: str) -> str:
    """Escape square brackets, which rich would take for markup."""
    return text.replace("[", "\\[")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Report bad input in one line and exit; an unexpected exception keeps its traceback."""
    from dataset_scripts.extras import MissingExtraError

    with stopped_by_sigterm():
        try:
            yield
        except (CommandError, MissingExtraError) as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(STOPPED) from error


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that files are closed and workers stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


Paths = Annotated[list[str], typer.Argument(metavar="PATHS", help=PATHS_HELP, show_default=False)]
Model = Annotated[
    str | None,
    typer.Option(
        help="Release folder or Hub repo id (ORG/NAME); the default model if omitted.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        help="Recordings processed at once, each with one thread; defaults to the number of cores.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Engine = Annotated[
    Literal["threads", "ray"],
    typer.Option(help="Run in threads of this process, or on Ray Data.", rich_help_panel=MODEL),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray_address",
        help="Address of a Ray cluster, HOST:PORT; defaults to RAY_ADDRESS, else a local Ray.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Resume = Annotated[
    bool | None,
    typer.Option(
        "--resume/--no-resume",
        help="Reuse the results of an earlier run for unchanged files (path, size, modification time), or start over. "
        "With neither, the results of a stopped run are not overwritten.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]


@dataclass(frozen=True)
class QuestionOptions:
    """Options for questions and labels."""

    labels: Annotated[
        str | None,
        typer.Option(
            help="Your own labels, separated by commas: 'angry,happy,sad'; quote a label that contains a comma.",
            rich_help_panel=QUESTIONS,
            show_default=False,
        ),
    ] = None
    question: Annotated[
        list[str] | None,
        typer.Option(
            help="Built-in question: emotion, gender, pitch, loudness or tempo; may be repeated. All five if no "
            "question or labels are given.",
            rich_help_panel=QUESTIONS,
            show_default=False,
        ),
    ] = None
    questions: Annotated[
        Path | None,
        typer.Option(help="YAML file with your own questions.", rich_help_panel=QUESTIONS, show_default=False),
    ] = None
    template: Annotated[
        list[str] | None,
        typer.Option(
            help="Prompt template with {} for the label; several are averaged. Defaults to the model's.",
            rich_help_panel=QUESTIONS,
            show_default=False,
        ),
    ] = None

    def collect(self) -> list["NamedQuestion"]:
        """Return the questions."""
        from .command.questions import collect_questions, read_questions

        own = [] if self.questions is None else read_questions(self.questions)
        return collect_questions(self.labels, self.question or (), own, self.template or ())


@dataclass(frozen=True)
class Inputs:
    """The recordings."""

    paths: Paths


@dataclass(frozen=True)
class RunOptions:
    """The options of a run over many recordings."""

    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Table to write: .csv, .parquet or .json.",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None
    resume: Resume = None
    model: Model = None
    jobs: Jobs = None
    engine: Engine = "threads"
    ray_address: RayAddress = None

    def plan(self) -> "Plan":
        """Return how to distribute the work and where to write the results."""
        from .command.run import Plan

        return Plan(self.output, self.resume, self.jobs, self.engine, self.ray_address)


@dataclass(frozen=True)
class ScoreOptions(RunOptions, QuestionOptions, Inputs):
    """The options of `score`."""


@dataclass(frozen=True)
class EmbedOptions(RunOptions, Inputs):
    """The options of `embed`."""


@dataclass(frozen=True)
class TimelineOptions(QuestionOptions, Inputs):
    """The options of `timeline`."""

    output_dir: Annotated[
        Path,
        typer.Option(
            "--output_dir",
            "-o",
            help="Output folder; files are named after the recordings.",
            rich_help_panel=OUTPUT,
        ),
    ] = Path()
    format: Annotated[
        Literal["textgrid", "audacity", "srt"] | None,
        typer.Option(
            help="Also write the best labels for Praat (textgrid), Audacity, or players (srt).",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None
    window: Annotated[float, typer.Option(help="Window length in s.", rich_help_panel=OUTPUT)] = 3.0
    stride: Annotated[
        float, typer.Option(help="Time between the starts of consecutive windows in s.", rich_help_panel=OUTPUT)
    ] = 1.0
    smooth: Annotated[
        float | None,
        typer.Option(
            help="Smoothing window of picture and labels in s; defaults to 1/200 of the recording, at least one "
            "window. The CSV is not smoothed.",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None
    silence: Annotated[
        float, typer.Option(help="Audio below this level, in dB of full scale, is left blank.", rich_help_panel=OUTPUT)
    ] = -60.0
    model: Model = None
    jobs: Jobs = None


@dataclass(frozen=True)
class SearchOptions:
    """The options of `search`."""

    folder: Annotated[Path, typer.Argument(help="Folder with recordings, searched recursively.", show_default=False)]
    queries: Annotated[
        list[str],
        typer.Argument(
            metavar="QUERY", help='Description of the speech as a sentence: "speaker is bored".', show_default=False
        ),
    ]
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Number of results per query.")] = 5
    index: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the index of embeddings; defaults to one in the user's cache folder.",
            show_default=False,
        ),
    ] = None
    model: Model = None
    jobs: Jobs = None


@dataclass(frozen=True)
class DescribeOptions(Inputs):
    """The options of `describe`."""

    bins: Annotated[
        Path | None,
        typer.Option(help="bins.json of a query corpus; defaults to the model's.", show_default=False),
    ] = None
    model: Model = None


@dataclass(frozen=True)
class ModelOptions:
    """The options of `model`."""

    model: Model = None
