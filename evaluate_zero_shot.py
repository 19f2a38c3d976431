"""Evaluate a model zero-shot: the program is `paraclap.evaluation`, `python evaluate_zero_shot.py --help` describes it."""

from paraclap.evaluation.evaluate import main

if __name__ == "__main__":
    raise SystemExit(main())
