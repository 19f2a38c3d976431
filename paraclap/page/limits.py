"""Limits for visitors of the page, so that it stays responsive for others."""

from dataclasses import dataclass


class PageError(ValueError):
    """Invalid input of a visitor; the message is shown on the page."""


@dataclass(frozen=True)
class Limits:
    """Limits of the page, which its owner can change.

    Attributes:
        seconds: Maximum length of a recording in s.
        megabytes: Maximum size of an upload in MB.
        files: Maximum number of files at a time.
        queries: Maximum number of queries at a time.
        characters: Maximum length of a query in characters.
        waiting: Maximum number of waiting visitors; further ones are asked to come back later.
    """

    seconds: float = 600
    megabytes: int = 20
    files: int = 50
    queries: int = 30
    characters: int = 100
    waiting: int = 30

    @property
    def of_recordings(self) -> str:
        """The limits of a recording as text."""
        length = f"{self.seconds:g} s" if self.seconds < 120 else f"{self.seconds / 60:.3g} min"
        return f"up to {length} and {self.megabytes} MB"

    @property
    def of_queries(self) -> str:
        """The limits of the queries as text."""
        return f"2 to {self.queries} queries of up to {self.characters} characters"

    def read_queries(self, text: str | None) -> list[str]:
        """Split typed text into queries at commas and line breaks, and drop repeated ones.

        Raises:
            PageError: If there are too few or too many, or one is too long.
        """
        text = text or ""
        longest = 2 * self.queries * self.characters
        if len(text) > longest:
            raise PageError(f"{len(text)} characters are too many: expected {self.of_queries}.")
        queries = list(dict.fromkeys(query.strip() for query in text.replace("\n", ",").split(",") if query.strip()))
        if len(queries) < 2:
            raise PageError("Enter two or more queries separated by commas: they are compared with each other.")
        if len(queries) > self.queries:
            raise PageError(f"{len(queries)} queries are too many: expected {self.of_queries}.")
        if too_long := [query for query in queries if len(query) > self.characters]:
            raise PageError(f"“{too_long[0][:20]}…” has {len(too_long[0])} characters: expected {self.of_queries}.")
        return queries
