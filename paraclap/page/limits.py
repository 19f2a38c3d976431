"""What one visitor may ask of the page, so that it stays quick for the others."""

from dataclasses import dataclass


class PageError(ValueError):
    """Something that a visitor gave cannot be used; the message is shown on the page."""


@dataclass(frozen=True)
class Limits:
    """The page's limits, which its owner may raise.

    Attributes:
        seconds: Of one recording.
        megabytes: Of one upload.
        files: At a time.
        queries: At a time.
        characters: Of one query.
        waiting: Visitors who wait for an answer; further ones are asked to come again.
    """

    seconds: float = 600
    megabytes: int = 20
    files: int = 50
    queries: int = 30
    characters: int = 100
    waiting: int = 30

    @property
    def of_recordings(self) -> str:
        """The limits of a recording, in words."""
        length = f"{self.seconds:g} s" if self.seconds < 120 else f"{self.seconds / 60:.3g} min"
        return f"up to {length} and {self.megabytes} MB"

    @property
    def of_queries(self) -> str:
        """The limits of the queries, in words."""
        return f"2 to {self.queries} queries of up to {self.characters} characters"

    def read_queries(self, text: str | None) -> list[str]:
        """Return the queries that somebody typed, with commas or line breaks between them, each once.

        Raises:
            PageError: If there are too few or too many, or one is too long.
        """
        text = text or ""
        longest = 2 * self.queries * self.characters
        if len(text) > longest:
            raise PageError(f"These are {len(text)} characters. The page takes {self.of_queries}.")
        queries = list(dict.fromkeys(query.strip() for query in text.replace("\n", ",").split(",") if query.strip()))
        if len(queries) < 2:
            raise PageError("Type two or more queries with commas between them: they are compared with each other.")
        if len(queries) > self.queries:
            raise PageError(f"These are {len(queries)} queries. The page takes {self.of_queries}.")
        if too_long := [query for query in queries if len(query) > self.characters]:
            raise PageError(
                f"“{too_long[0][:20]}…” has {len(too_long[0])} characters. The page takes {self.of_queries}."
            )
        return queries
