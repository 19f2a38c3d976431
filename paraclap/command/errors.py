"""Errors that end a command with one line."""


class CommandError(ValueError):
    """Something that was given cannot be used; the message says what, what was expected, and what to do."""
