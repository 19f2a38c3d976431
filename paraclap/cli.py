"""The `paraclap` command line.

Modules that need torch or more than the base install are imported by the command that needs them, so that --help and
--version are quick and always work.
"""

import sys
from importlib.metadata import version
from typing import Annotated

try:
    import typer
except ModuleNotFoundError as missing:
    sys.exit(f'error: The package {missing.name} is not installed. Install it: pip install "paraclap[cli]"')

from . import cli_programs, cli_recordings

app = typer.Typer(
    name="paraclap",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    """Print the version and exit, if requested."""
    if wanted:
        print(f"paraclap {version('paraclap')}")
        raise typer.Exit


@app.callback(epilog="Every command has its own help, with examples: paraclap score --help")
def callback(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Show the version and exit.", show_default=False
        ),
    ] = False,
) -> None:
    """Zero-shot analysis of speech: ask in plain words how somebody speaks."""


cli_recordings.register(app)
cli_programs.register(app)


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
