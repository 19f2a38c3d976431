"""The error that ends a command with one line."""


class CommandError(ValueError):
    """Invalid input; the message says what was given, what was expected, and what to do."""
