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

QUESTIONS = "What is asked"
MODEL = "Model and machine"
OUTPUT = "Output"

FAILED, UNUSABLE, STOPPED = 2, 1, 130  # exit status
PATHS_HELP = "Files, folders (searched recursively), patterns such as 'data/*.wav', or - for a list on standard input."


def add_command(
    app: typer.Typer, name: str, options: type, function: Callable[[Any], int | None], **settings: Any
) -> None:
    """Make a function a command with one option for each field of a dataclass.

    Args:
        app: The command's parent.
        name: The command's name.
        options: The dataclass; its fields are annotated as typer's parameters are.
        function: Takes an instance and returns the exit status; its docstring is the help.
        **settings: For `typer.Typer.command`.
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
    """Return command lines as the end of a command's help."""
    return "\n".join(["[bold]Examples[/bold]", *(f"  $ {escape(line)}" for line in lines)])


def escape(text: str) -> str:
    """Return a text whose square brackets rich does not take for markup."""
    return text.replace("[", "\\[")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End with one line where what was given cannot be used; a fault of ours keeps its traceback."""
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
    """Let SIGTERM end the program as an exception does, so that files are closed and workers told."""
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
        help="Release folder, or ORG/NAME on the Hub; without it the default model.",
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
        help="Recordings at a time, each with one thread; by default as many as there are cores.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Engine = Annotated[
    Literal["threads", "ray"],
    typer.Option(help="What spreads the work: threads of this process, or Ray Data.", rich_help_panel=MODEL),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray_address",
        help="Ray cluster, HOST:PORT; without it that of RAY_ADDRESS, or a Ray that runs on this machine alone.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Resume = Annotated[
    bool | None,
    typer.Option(
        "--resume/--no-resume",
        help="Take what an earlier run has written for files that are still the same (path, size, time of change), "
        "or start over; without either, a run that was stopped is not overwritten.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]


@dataclass(frozen=True)
class QuestionOptions:
    """The options that say what is asked."""

    labels: Annotated[
        str | None,
        typer.Option(
            help="Labels of your own, with commas: 'angry,happy,sad'; one with a comma in double quotes.",
            rich_help_panel=QUESTIONS,
            show_default=False,
        ),
    ] = None
    question: Annotated[
        list[str] | None,
        typer.Option(
            help="Built-in question: emotion, gender, pitch, loudness or tempo; may be repeated. Without any question "
            "or labels, all five.",
            rich_help_panel=QUESTIONS,
            show_default=False,
        ),
    ] = None
    questions: Annotated[
        Path | None,
        typer.Option(help="YAML file with questions of your own.", rich_help_panel=QUESTIONS, show_default=False),
    ] = None
    template: Annotated[
        list[str] | None,
        typer.Option(
            help="Prompt with {} for the label; several are averaged. By default the model's own.",
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
        """Return how the work is spread, and where it goes."""
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
            help="Folder for the files, which are named as the recordings.",
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
    window: Annotated[
        float, typer.Option(help="Length of the windows that are scored, in s.", rich_help_panel=OUTPUT)
    ] = 3.0
    stride: Annotated[
        float, typer.Option(help="From the start of a window to that of the next, in s.", rich_help_panel=OUTPUT)
    ] = 1.0
    smooth: Annotated[
        float | None,
        typer.Option(
            help="Seconds that picture and labels average the scores over; by default a two-hundredth of the "
            "recording, at least a window. The CSV is not smoothed.",
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
            metavar="QUERY", help='How it is spoken, as a whole sentence: "speaker is bored".', show_default=False
        ),
    ]
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Recordings to show for each query.")] = 5
    index: Annotated[
        Path | None,
        typer.Option(
            help="Folder that keeps the embeddings; by default one of its own in the user's cache folder.",
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
        typer.Option(help="bins.json of a query corpus; by default the model's.", show_default=False),
    ] = None
    model: Model = None


@dataclass(frozen=True)
class ModelOptions:
    """The options of `model`."""

    model: Model = None
