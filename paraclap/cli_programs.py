"""Commands that pass their arguments on to other programs: corpus, train, evaluate, table1, push and app."""

import importlib
import sys
from collections.abc import Sequence

import typer

from .cli_options import one_line_errors

PANEL = "Train and publish models"
FORWARD = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
# Name -> module whose `main` takes the arguments, the extra it needs, and its summary.
PROGRAMS = {
    "train": ("paraclap.training.__main__", "train", "Train a model on a query corpus."),
    "evaluate": ("paraclap.evaluation.__main__", "evaluate", "Evaluate a model zero-shot on speech corpora."),
    "table1": ("paraclap.evaluation.table1", "evaluate", "Reproduce the paper's Table 1, with baselines."),
    "app": ("paraclap.page.app", "app", "Run the demo page on this machine."),
    "push": (
        "paraclap.publishing.__main__",
        "publish",
        "Publish a model, corpus, metric or the page on the Hub.",
    ),
}
CORPUS_PROGRAMS = {
    "list": ("dataset_scripts.corpora.__main__", "features", "List the supported corpora and tasks."),
    "verify": ("dataset_scripts.corpora.__main__", "features", "Check your copy of a corpus: NAME=DIR."),
    "download": ("dataset_scripts.corpora.__main__", "features", "Download a corpus from its owner: NAME=DIR."),
    "build": ("dataset_scripts.build_query_corpus", "features", "Build a query corpus in Parquet."),
}


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    summary = "List, verify, download and build corpora."
    corpus = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help=summary)
    app.add_typer(corpus, name="corpus", rich_help_panel=PANEL)
    for name in CORPUS_PROGRAMS:
        _add(corpus, name, CORPUS_PROGRAMS[name], f"paraclap corpus {name}")
    for name in PROGRAMS:
        _add(app, name, PROGRAMS[name], f"paraclap {name}", rich_help_panel=PANEL)


def _add(app: typer.Typer, name: str, program: tuple[str, str, str], called: str, **settings: str) -> None:
    module, extra_name, summary = program

    def command(context: typer.Context) -> None:
        # `corpora` has commands of its own: the name is its first argument.
        arguments = [name, *context.args] if module.endswith("corpora.__main__") else context.args
        raise typer.Exit(run_program(module, extra_name, arguments, called))

    app.command(name, help=summary, context_settings=FORWARD, add_help_option=False, **settings)(command)


def run_program(module: str, extra_name: str, arguments: Sequence[str], called: str) -> int:
    """Run a program's `main` and return its exit status; an error for a missing package names the extra to install."""
    from dataset_scripts.extras import extra

    with one_line_errors(), extra(extra_name):
        main = importlib.import_module(module).main
    sys.argv = [called, *arguments]  # what a program calls itself in its help
    return main(list(arguments)) or 0
