"""Evaluate a model zero-shot: `paraclap evaluate` without an installed command."""

from paraclap.evaluation.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main())
