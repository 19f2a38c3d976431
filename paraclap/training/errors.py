"""Errors of training that are explained in a line."""

from collections.abc import Iterator
from contextlib import contextmanager


class TrainingError(ValueError):
    """What was given cannot be trained on; the message says why and what to do."""


@contextmanager
def loading(option: str, name: str) -> Iterator[None]:
    """Load something pretrained, with an error that names it.

    Args:
        option: The option by which it was given.
        name: Hub id or folder.

    Raises:
        TrainingError: If it is not there, or the Hub cannot be reached.
    """
    try:
        yield
    except OSError as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise TrainingError(
            f"--{option} {name} cannot be loaded: {reason[0].rstrip('.')}. Give the name of a model that this machine "
            "can fetch from the Hub or has in its cache, or a folder."
        ) from error
