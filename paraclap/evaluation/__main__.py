"""Evaluate a model zero-shot: `python -m paraclap.evaluation`."""

from paraclap.evaluation.evaluate import main

if __name__ == "__main__":
    raise SystemExit(main())
