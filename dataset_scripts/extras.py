"""Optional dependencies: where one is missing, one line names the extra that brings it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

OURS = ("dataset_scripts", "modeling_paraclap", "paraclap")


class MissingExtraError(ImportError):
    """A package that only an extra installs is missing."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import what an extra brings, with an error that names the extra.

        with extra("search"):
            import faiss

    Args:
        name: The extra, as setup.cfg calls it.

    Raises:
        MissingExtraError: If a third-party package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", *OURS):
            raise
        raise MissingExtraError(
            f'The package {package} is not installed. Install what is needed here: pip install "paraclap[{name}]"',
            name=package,
        ) from error


def need(*packages: str) -> None:
    """Check that packages are installed, without the seconds that importing them takes; for use in the `with` blocks.

    Raises:
        ModuleNotFoundError: If one is not installed.
    """
    for package in packages:
        if find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)


@contextmanager
def program_extra(name: str) -> Iterator[None]:
    """Import what a program's extra brings, or end the program with one line that names the extra.

    Args:
        name: The extra, as setup.cfg calls it.

    Raises:
        SystemExit: With status 2, if a third-party package is not installed.
    """
    try:
        with extra(name):
            yield
    except MissingExtraError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
