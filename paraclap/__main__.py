"""`python -m paraclap` is the `paraclap` command."""

from .cli import main

main()
