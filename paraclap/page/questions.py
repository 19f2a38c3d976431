"""The questions that are built in: labels, the phrases that stand for them, and the prompt template."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NamedQuestion:
    """What is asked of a recording under a name of its own: labels that exclude each other.

    Attributes:
        name: Its name, and that of its column in a table.
        labels: Each label with the phrases that stand for it; the embeddings of several phrases are averaged.
        templates: Prompts with {} for the phrase, likewise averaged; None for the model's own.
    """

    name: str
    labels: tuple[tuple[str, tuple[str, ...]], ...]
    templates: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The labels without their phrases, in the order of the scores."""
        return tuple(label for label, _ in self.labels)


WHOLE = ("{}",)  # the phrases are whole queries
EMOTIONS = ("angry", "happy", "sad", "calm", "neutral", "fearful", "bored")
BUILT_IN = {
    question.name: question
    for question in (
        NamedQuestion("emotion", tuple((word, (word,)) for word in EMOTIONS), ("speaker is {}.",)),
        NamedQuestion("gender", (("female", ("a female is speaking",)), ("male", ("a male is speaking",))), WHOLE),
        NamedQuestion(
            "pitch",
            (("low", ("has a low pitch",)), ("normal", ("has a normal pitch",)), ("high", ("has a high pitch",))),
            WHOLE,
        ),
        NamedQuestion(
            "loudness",
            (("quiet", ("is quiet",)), ("normal", ("loudness is just about right",)), ("loud", ("is loud",))),
            WHOLE,
        ),
        NamedQuestion(
            "tempo",
            (("slow", ("speaks slowly",)), ("normal", ("speaks at a normal tempo",)), ("fast", ("speaks quickly",))),
            WHOLE,
        ),
    )
}
