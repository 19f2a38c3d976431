"""The page: ask a ParaCLAP model in the browser how somebody speaks.

    paraclap app [--model ORG/NAME or FOLDER]

Runs as a Space on the Hub and on one's own machine. It needs gradio and what the model needs, and nothing else of the
project's package. Uploads are limited, and are deleted a few minutes later, at the latest when the server stops.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from .limits import Limits


def parse_arguments(arguments: Sequence[str] | None, named: str | None) -> argparse.Namespace:
    """Read the command line.

    Args:
        arguments: Of the command line; None for those of the process.
        named: The model if none is given.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", default=named, help="name on the Hub, or a release folder; default: the package's default model"
    )
    parser.add_argument("--port", type=int, help="default: the first free one from 7860 on")
    helps = {
        "seconds": "longest recording, in s",
        "megabytes": "largest upload, in MB",
        "files": "most files at a time",
        "queries": "most queries at a time",
        "characters": "longest query, in characters",
        "waiting": "most visitors who wait",
    }
    for field in fields(Limits):
        kind = type(field.default)
        parser.add_argument(
            f"--max_{field.name}", type=kind, default=field.default, help=f"{helps[field.name]}; default: %(default)s"
        )
    args = parser.parse_args(arguments)
    for field in fields(Limits):
        if not getattr(args, f"max_{field.name}") > 0:
            parser.error(f"--max_{field.name} is {getattr(args, f'max_{field.name}')}; expected more than 0")
    return args


def main(arguments: Sequence[str] | None = None, model_file: Path | None = None) -> int:
    """Start the page's server, and return when it has stopped.

    Args:
        arguments: Of the command line.
        model_file: Holds the name of the model that a Space shows.
    """
    named = os.environ.get("PARACLAP_MODEL")
    if not named and model_file is not None and model_file.is_file():
        named = model_file.read_text(encoding="utf-8").strip()
    args = parse_arguments(arguments, named)
    try:
        from .layout import CSS, THEME, build_app
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("paraclap"):
            raise
        missing = f"error: The package {error.name} is not installed. Install what is needed here:"
        raise SystemExit(f'{missing} pip install "paraclap[app]"') from error

    limits = Limits(**{field.name: getattr(args, f"max_{field.name}") for field in fields(Limits)})
    model = args.model or default_model()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # else recordings would be left behind
    with tempfile.TemporaryDirectory(prefix="paraclap-app-") as folder:  # whatever is left goes when the server stops
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = folder
        build_app(model, limits).launch(
            server_port=args.port,
            max_file_size=f"{limits.megabytes}mb",
            show_error=True,
            run_history=False,  # it would keep the recordings in the browser
            css=CSS,
            theme=THEME,
        )
    return 0


def default_model() -> str:
    """Return the folder of the package's default model.

    Raises:
        SystemExit: If the page runs without the package, or the model cannot be put together.
    """
    try:
        from paraclap.command.errors import CommandError
        from paraclap.command.models import model_folder
    except ModuleNotFoundError as error:
        raise SystemExit("error: no model: give --model, or set PARACLAP_MODEL") from error
    try:
        return str(model_folder(None))
    except CommandError as error:
        raise SystemExit(f"error: {error}") from error
