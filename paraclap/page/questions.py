"""The built-in questions: labels with their phrases, and prompt templates."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NamedQuestion:
    """A question with mutually exclusive labels.

    Attributes:
        name: Name of the question and of its column in a table.
        labels: Each label with its phrases; the embeddings of several phrases are averaged.
        templates: Prompt templates with {} for the phrase, likewise averaged; None for the model's.
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
