"""ParaCLAP's training, evaluation and publishing, the `paraclap` command, and its `score` for Python."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scoring import score

__all__ = ["score"]


def __getattr__(name: str) -> Any:
    """Import `score` when it is first used: it needs torch, and programs that ask for help do not."""
    if name == "score":
        from .scoring import score

        return score
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
