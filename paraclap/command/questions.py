"""Questions: the built-in ones, labels on the command line, and a user's YAML file."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paraclap.page.questions import BUILT_IN, NamedQuestion

from .errors import CommandError

if TYPE_CHECKING:
    from modeling_paraclap.scoring_paraclap import Question, Scorer

# Name of the question made of `--labels`, and column names that no question may take.
TYPED = "label"
RESERVED = ("file", "reason", "start", "end")
EXAMPLE = 'arousal: {labels: {excited: [is excited, speaks loudly and quickly], calm: is calm}, template: "{}"}'


class QuestionError(CommandError):
    """Raised for an invalid question."""


def collect_questions(
    labels: str | Sequence[str] | Mapping[str, Any] | None = None,
    names: Sequence[str] = (),
    own: Sequence[NamedQuestion] = (),
    templates: Sequence[str] = (),
) -> list[NamedQuestion]:
    """Return the questions to ask; all built-in ones if nothing is given.

    Args:
        labels: Labels of an unnamed question; a string is split at commas, see `split_labels`.
        names: Names of built-in questions; a string may hold several, separated by commas.
        own: The user's own questions.
        templates: Prompt templates for `labels`, and for own questions that have none.

    Raises:
        QuestionError: If a question is unknown, given twice, or has fewer than two labels; if a template has no {}; or
            if no question takes the templates.
    """
    chosen = [name.strip() for entry in names for name in entry.split(",") if name.strip()]
    for name in chosen or names:
        if name not in BUILT_IN:
            raise QuestionError(f"Unknown question {name!r}: expected one of {', '.join(BUILT_IN)}.")
    questions = [BUILT_IN[name] for name in dict.fromkeys(chosen)]
    if labels is not None:
        if isinstance(labels, str):
            labels = split_labels(labels)
        questions.append(_question(TYPED, {"labels": labels if isinstance(labels, Mapping) else list(labels)}, "yours"))
    questions += own
    if not questions:
        questions = list(BUILT_IN.values())
    if templates:
        questions = _with_templates(questions, _templates(list(templates), "The question"))
    names = [question.name for question in questions]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise QuestionError(f"The question {twice[0]!r} is given twice. Rename one of the two.")
    return questions


def split_labels(text: str) -> list[str]:
    """Split a text into labels at commas; a label in double quotes may contain a comma."""
    return [label.strip() for label in next(csv.reader([text], skipinitialspace=True), []) if label.strip()]


def read_questions(file: Path) -> list[NamedQuestion]:
    """Read the questions of a YAML file; see `questions_of`.

    Raises:
        QuestionError: If the file cannot be read, or does not hold questions.
    """
    import yaml

    try:
        content = yaml.load(Path(file).read_text(encoding="utf-8"), _safe_loader())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise QuestionError(f"The questions in {file} cannot be read: {' '.join(str(error).split())}") from error
    return questions_of(content, str(file))


def embed_questions(scorer: "Scorer", questions: Sequence[NamedQuestion]) -> dict[str, "Question"]:
    """Embed the texts of questions; return the scorer's questions by name.

    Raises:
        QuestionError: If the text encoder cannot take a label or a template.
    """
    from modeling_paraclap.scoring_paraclap import Question

    asked = {question.name: Question(question.labels, question.templates) for question in questions}
    for question in asked.values():
        try:
            scorer.embed_texts(question)  # cached here, once for all threads
        except ValueError as error:
            raise QuestionError(" ".join(str(error).split())) from error
    return asked


def _safe_loader() -> type:
    """Return YAML's safe loader, made to refuse duplicate keys, of which it would silently drop the first."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict:
            names = [key.value for key, _ in node.value]
            if twice := sorted({str(name) for name in names if names.count(name) > 1}):
                raise yaml.MarkedYAMLError(problem=f"duplicate key {twice[0]!r}", problem_mark=node.start_mark)
            return super().construct_mapping(node, deep)

    return Loader


def questions_of(content: Any, source: str) -> list[NamedQuestion]:
    """Parse a mapping of questions.

    Args:
        content: Maps each question's name to its labels (a list), or to `labels` (a list, or a mapping from each label
            to its phrase or phrases) and `template` (one or a list).
        source: Name of the source, for messages.

    Raises:
        QuestionError: If it does not have this form.
    """
    if not isinstance(content, Mapping) or not content:
        raise QuestionError(f"{source} does not map names to questions. Expected, for example: {EXAMPLE}")
    return [
        _question(str(name), dict(entry) if isinstance(entry, Mapping) else {"labels": entry}, source)
        for name, entry in content.items()
    ]


def _question(name: str, entry: dict[str, Any], source: str) -> NamedQuestion:
    where = f"The question {name!r} of {source}"
    if not name.strip() or name in RESERVED or "." in name:
        raise QuestionError(f"{where} needs another name: not empty, no dot, and not one of {', '.join(RESERVED)}.")
    if unknown := sorted(map(str, entry.keys() - {"labels", "template"})):
        raise QuestionError(f"{where} has {', '.join(unknown)}; expected labels and template. For example: {EXAMPLE}")
    labels = entry.get("labels")
    if isinstance(labels, list):
        labels = _unique(labels, where)
    if not isinstance(labels, Mapping):
        raise QuestionError(f"{where} has the labels {labels!r}; expected a list, or each label with its phrases.")
    phrases = {str(label): (given,) if not isinstance(given, list) else tuple(given) for label, given in labels.items()}
    for label, texts in phrases.items():
        if not label.strip() or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise QuestionError(f"{where}: the label {label!r} has the phrases {list(texts)}; expected text.")
    if len(phrases) < 2:
        raise QuestionError(f"{where} has the labels {list(phrases)}; expected two or more: the scores compare them.")
    template = entry.get("template")
    return NamedQuestion(name, tuple(phrases.items()), None if template is None else _templates(template, where))


def _unique(labels: list, where: str) -> dict[str, str]:
    """Map each label to itself; YAML's booleans and numbers are refused."""
    for label in labels:
        if not isinstance(label, str):
            raise QuestionError(f"{where} has the label {label!r}; expected text (in YAML, put it in quotes).")
    if len(set(labels)) < len(labels):
        raise QuestionError(f"{where} has a label twice: {', '.join(labels)}. Take one of them out.")
    return {label: label for label in labels}


def _templates(templates: Any, where: str) -> tuple[str, ...]:
    templates = [templates] if isinstance(templates, str) else templates
    if not isinstance(templates, list) or not all(isinstance(template, str) for template in templates):
        raise QuestionError(f"{where} has the template {templates!r}; expected text, or a list of texts.")
    for template in templates:
        if "{}" not in template:
            raise QuestionError(f"{where}: the template {template!r} has no {{}}, which takes the label.")
    return tuple(templates)


def _with_templates(questions: list[NamedQuestion], templates: tuple[str, ...]) -> list[NamedQuestion]:
    if all(question.templates for question in questions):
        raise QuestionError(
            "A template applies to labels and to your own questions without a template; none of these is asked."
        )
    return [
        question if question.templates else NamedQuestion(question.name, question.labels, templates)
        for question in questions
    ]
