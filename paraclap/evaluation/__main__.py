"""Evaluate a model zero-shot: `python -m paraclap.evaluation`."""

from collections.abc import Sequence

from dataset_scripts.extras import program_extra

from .arguments import parse_arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and evaluate; return the exit status."""
    args = parse_arguments(arguments)
    with program_extra("evaluate"):
        from .evaluate import evaluate
    return evaluate(args)


if __name__ == "__main__":
    raise SystemExit(main())
