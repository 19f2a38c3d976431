"""Errors of training with a one-line message."""

from collections.abc import Iterator
from contextlib import contextmanager


class TrainingError(ValueError):
    """The given arguments or data cannot be used for training; the message says why and what to do."""


@contextmanager
def loading(option: str, name: str) -> Iterator[None]:
    """Turn errors of loading something pretrained into a `TrainingError` that names it.

    Args:
        option: The option with which it was given.
        name: Hub id or folder.

    Raises:
        TrainingError: If it does not exist, or the Hub cannot be reached.
    """
    try:
        yield
    except OSError as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise TrainingError(
            f"--{option} {name} cannot be loaded: {reason[0].rstrip('.')}. Give a folder, or the id of a model "
            "that is cached or can be downloaded from the Hub."
        ) from error
