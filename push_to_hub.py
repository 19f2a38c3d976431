"""Publish a model, a query corpus, the metric or the demo: the program is `paraclap.publishing`, `python push_to_hub.py --help` describes it."""

from paraclap.publishing.push import main

if __name__ == "__main__":
    raise SystemExit(main())
