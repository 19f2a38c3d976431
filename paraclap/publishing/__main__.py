"""Publish a model, a query corpus, the metric or the demo: `python -m paraclap.publishing`."""

from paraclap.publishing.push import main

if __name__ == "__main__":
    raise SystemExit(main())
