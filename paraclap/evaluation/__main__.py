"""Evaluate a model zero-shot: `python -m paraclap.evaluation`."""

from dataset_scripts.extras import program_extra

with program_extra("evaluate"):
    from paraclap.evaluation.evaluate import main

if __name__ == "__main__":
    raise SystemExit(main())
