"""Publish a model, a query corpus, the metric or the page: `paraclap push` without an installed command."""

from paraclap.publishing.push import main

if __name__ == "__main__":
    raise SystemExit(main())
