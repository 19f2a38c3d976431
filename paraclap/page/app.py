"""The demo page: ask a ParaCLAP model in the browser how somebody speaks.

    paraclap app [--model ORG/NAME or FOLDER]

Runs as a Space on the Hub and locally. It needs gradio and the model's requirements, but nothing else of the paraclap
package. Uploads are limited in size, and deleted after a few minutes or when the server stops.
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
        arguments: Command line arguments; None for those of the process.
        named: Default of `--model`.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", default=named, help="Hub repo id or release folder; default: the package's default model"
    )
    parser.add_argument("--port", type=int, help="default: the first free port from 7860 on")
    helps = {
        "seconds": "maximum length of a recording in s",
        "megabytes": "maximum size of an upload in MB",
        "files": "maximum number of files at a time",
        "queries": "maximum number of queries at a time",
        "characters": "maximum length of a query in characters",
        "waiting": "maximum number of waiting visitors",
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
    """Run the page's server until it is stopped.

    Args:
        arguments: Command line arguments; None for those of the process.
        model_file: File with the repo id of the model that a Space shows.
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
        missing = f"error: The package {error.name} is not installed. Install the extra:"
        raise SystemExit(f'{missing} pip install "paraclap[app]"') from error

    limits = Limits(**{field.name: getattr(args, f"max_{field.name}") for field in fields(Limits)})
    model = args.model or default_model()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # else recordings would be left behind
    with tempfile.TemporaryDirectory(prefix="paraclap-app-") as folder:  # holds all uploads
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = folder
        build_app(model, limits).launch(
            server_port=args.port,
            max_file_size=f"{limits.megabytes}mb",
            show_error=True,
            run_history=False,  # it would store recordings in the browser
            css=CSS,
            theme=THEME,
        )
    return 0


def default_model() -> str:
    """Return the folder of the package's default model.

    Raises:
        SystemExit: If the page runs without the package, or the model cannot be assembled.
    """
    try:
        from paraclap.command.errors import CommandError
        from paraclap.command.models import model_folder
    except ModuleNotFoundError as error:
        raise SystemExit("error: no model given: use --model, or set PARACLAP_MODEL") from error
    try:
        return str(model_folder(None))
    except CommandError as error:
        raise SystemExit(f"error: {error}") from error
