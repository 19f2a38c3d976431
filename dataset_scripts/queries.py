"""Generate queries: labels and bins of an utterance in the paper's templates (section 2.2, supplement Table 1).

``queries.csv`` is the only place where a template is written: the attribute, the condition on its bin (perhaps with a
second one, ``low & pitch_std not low``) and the text. ``emotions.csv`` holds every emotion's adjective and noun, and
the names that corpora give it; ``emotion_words.csv`` further words for it, some held out for testing.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from .quantiles import BINS

VARIANTS = ("rand5", "rand1", "only_emo", "no_emo")
GENDERS = ("female", "male")


@dataclass(frozen=True)
class Template:
    """One row of ``queries.csv``.

    Attributes:
        attribute: what the query speaks of: ``pitch_mean``, ``jitter+pitch_std`` (jitter, on a condition of the pitch
            variation), ``arousal+emotion`` ("speaker is very angry").
        source: the attribute whose bin or label selects the template.
        bin: low, mid or high; None for a label (emotion, gender).
        condition: ``(attribute, wanted, bin)``: that attribute's bin must be (wanted) or must not be (not wanted)
            `bin`; None if there is no second condition.
        text: the query, with ``{emotion}``, ``{emotion_noun}`` or ``{gender}`` to fill in.
    """

    attribute: str
    source: str
    bin: str | None
    condition: tuple[str, bool, str] | None
    text: str


def _read_csv(name: str) -> list[dict[str, str]]:
    with open(Path(__file__).parent / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _parse(source: str, condition: str, text: str) -> Template:
    match = re.fullmatch(r"(label|low|mid|high)(?: & (\w+) (not )?(low|mid|high))?", condition)
    if not match:
        raise ValueError(
            f"queries.csv: condition {condition!r} of {text!r}; expected 'low' or 'low & NAME [not] high'."
        )
    own, other, negated, other_bin = match.groups()
    attribute = source
    if other:
        attribute += f"+{other}"
    if "{emotion" in text and source != "emotion":
        attribute += "+emotion"
    return Template(
        attribute, source, None if own == "label" else own, (other, not negated, other_bin) if other else None, text
    )


TEMPLATES: tuple[Template, ...] = tuple(
    _parse(row["attribute"], row["bin"], row["query"]) for row in _read_csv("queries.csv")
)
# Source and bin (None for a label) -> templates, in the order of the table.
TemplateIndex = Mapping[tuple[str, str | None], Sequence[Template]]


def index_templates(templates: Sequence[Template]) -> TemplateIndex:
    """Group templates by source and bin, as `generate_queries` looks them up."""
    index: dict[tuple[str, str | None], list[Template]] = {}
    for template in templates:
        index.setdefault((template.source, template.bin), []).append(template)
    return index


INDEX = index_templates(TEMPLATES)


def with_paraphrases(path: str | Path) -> TemplateIndex:
    """Return the templates, each followed by a user's paraphrases of it.

    Args:
        path: YAML, from a template of ``queries.csv``, word for word, to a list of paraphrases:
            ``"has a high pitch": ["speaks in a high voice"]``. One of ``speaker is {emotion}`` may hold ``{emotion}``
            and ``{emotion_noun}``, one of ``a {gender} is speaking`` ``{gender}``.

    Raises:
        ValueError: If the file is not such a mapping, a template is not in the table, or a paraphrase is empty, occurs
            twice or has another placeholder.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(texts, list) for texts in content.values()):
        raise ValueError(f'{path}: expected templates with lists of paraphrases, like "is loud": ["speaks loudly"].')
    by_text = {template.text: template for template in TEMPLATES}
    for text in content:
        if text not in by_text:
            raise ValueError(f"{path}: {text!r} is not a template of dataset_scripts/queries.csv; copy it from there.")
    templates, seen = [], set(by_text)
    for template in TEMPLATES:
        templates.append(template)
        for text in content.get(template.text, ()):
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"{path}: {template.text!r} has the paraphrase {text!r}; expected text.")
            if text in seen:
                raise ValueError(f"{path}: {text!r} occurs twice, or is a template itself; remove one.")
            seen.add(text)
            if unknown := set(re.findall(r"{(.*?)}", text)) - _placeholders(template.text):
                raise ValueError(
                    f"{path}: {text!r} has the placeholder {', '.join(sorted(unknown))}; {template.text!r} can fill in "
                    f"{', '.join(sorted(_placeholders(template.text))) or 'none'}."
                )
            templates.append(replace(template, text=text))
    return index_templates(templates)


def _placeholders(text: str) -> set[str]:
    own = set(re.findall(r"{(.*?)}", text))
    return own | {"emotion", "emotion_noun"} if own & {"emotion", "emotion_noun"} else own


EMOTION_NOUNS: dict[str, str] = {row["adjective"]: row["noun"] for row in _read_csv("emotions.csv")}
_EMOTION_NAMES: dict[str, str] = {
    name: row["adjective"]
    for row in _read_csv("emotions.csv")
    for name in (row["adjective"], row["noun"], *row["aliases"].split())
}

# Emotion -> the bins of its usual arousal, valence and dominance. An emotion that is now the one, now the other, has
# none. After the circumplex of affect (https://doi.org/10.1037/h0077714) and the means of pleasure, arousal and
# dominance for words of emotion (https://doi.org/10.1016/0092-6566(77)90037-X).
USUAL_DIMENSIONS: dict[str, dict[str, str]] = {
    row["adjective"]: {f"{name}_bin": row[name] for name in ("arousal", "valence", "dominance") if row[name]}
    for row in _read_csv("emotions.csv")
}


@cache
def emotion_words(emotion: str, held_out: bool = False, part_of_speech: str = "adjective") -> list[str]:
    """Return further English words for an emotion from ``emotion_words.csv``.

    Args:
        emotion: canonical name, the adjective in ``emotions.csv``.
        held_out: True for the words that no training may use, so that a model can be tested with them; they run from
            common to rare.
        part_of_speech: ``adjective`` or ``noun``.
    """
    wanted = (emotion, "yes" if held_out else "no", part_of_speech)
    return [
        row["word"]
        for row in _read_csv("emotion_words.csv")
        if (row["emotion"], row["held_out"], row["part_of_speech"]) == wanted
    ]


@cache
def word_queries(emotion: str) -> list[str]:
    """Return the queries of an emotion with its further words in place of its own adjective and noun."""
    adjectives, nouns = emotion_words(emotion), emotion_words(emotion, part_of_speech="noun")
    return [
        text.format(emotion=word, emotion_noun=word)
        for text in (template.text for template in INDEX["emotion", None])
        for word in (nouns if "{emotion_noun}" in text else adjectives)
    ]


def canonical_emotion(name: str, where: str = "") -> str:
    """Map a corpus's name of an emotion to an English adjective: "anger", "Angry", "Wut" -> "angry".

    Args:
        name: adjective, noun or an alias of ``emotions.csv``; case and surrounding blanks do not matter.
        where: place for the error, like ``data.tsv, row 7``.

    Raises:
        ValueError: If the name is not in the table.
    """
    key = name.strip().lower().replace(" ", "_")
    if key not in _EMOTION_NAMES:
        raise ValueError(
            f"{where + ': ' if where else ''}unknown emotion {name!r}; known are {', '.join(EMOTION_NOUNS)} "
            f"and their nouns and aliases in dataset_scripts/emotions.csv."
        )
    return _EMOTION_NAMES[key]


def generate_queries(row: Mapping, index: TemplateIndex = INDEX) -> list[tuple[str, str]]:
    """Generate every query that is true of an utterance.

    Args:
        row: mapping (a dict, a pandas row) with ``{attribute}_bin`` (low, mid, high), ``emotion`` (any name that
            `canonical_emotion` knows) and ``gender`` (female, male); what is absent or null gives no query.
        index: the templates.

    Returns:
        ``(attribute, text)`` pairs in the order of the table; for the attributes see `Template`.

    Raises:
        ValueError: If a bin, an emotion or a gender is unknown.
    """
    emotion = row.get("emotion")
    emotion = canonical_emotion(emotion) if isinstance(emotion, str) else None
    gender = row.get("gender")
    gender = gender if isinstance(gender, str) else None
    if gender is not None and gender not in GENDERS:
        raise ValueError(f"gender is {gender!r}; expected female, male or null.")
    queries: list[tuple[str, str]] = []
    for source in dict.fromkeys(source for source, _ in index):
        if source in ("emotion", "gender"):
            selected = index[source, None] if {"emotion": emotion, "gender": gender}[source] else ()
        else:
            selected = index.get((source, bin_), ()) if (bin_ := _bin_of(row, source)) else ()
        for template in selected:
            if template.condition:
                other, wanted, other_bin = template.condition
                value = _bin_of(row, other)
                if value is None or (value == other_bin) != wanted:
                    continue
            text = template.text
            if "{" in text:
                if "{emotion" in text and emotion is None:
                    continue
                text = text.format(emotion=emotion, emotion_noun=EMOTION_NOUNS.get(emotion), gender=gender)
            queries.append((template.attribute, text))
    return queries


def usual_dimensions(row: Mapping) -> tuple[dict[str, str], list[tuple[str, str]], list[tuple[str, str]]]:
    """Return arousal, valence and dominance as usual for an utterance's emotion, where they were not annotated.

    Acted corpora label emotions alone, and would otherwise never have queries such as "speaker is calm" or "has low
    valence". The usual values do not tell how strong an emotion is: "speaker is very angry" remains unknown.

    Args:
        row: as for `generate_queries`.

    Returns:
        The bins that the row lacks; the ``(attribute, text)`` pairs that hold by them; and those that remain unknown.
    """
    emotion = row.get("emotion")
    usual = USUAL_DIMENSIONS[canonical_emotion(emotion)] if isinstance(emotion, str) else {}
    usual = {name: bin_ for name, bin_ in usual.items() if not isinstance(row.get(name), str)}
    pairs = [pair for pair in generate_queries({"emotion": emotion, **usual}) if pair[0] != "emotion"] if usual else []
    holds = [pair for pair in pairs if not pair[0].endswith("+emotion")]
    return usual, holds, [pair for pair in pairs if pair not in holds]


def _bin_of(row: Mapping, attribute: str) -> str | None:
    value = row.get(f"{attribute}_bin")
    if not isinstance(value, str):  # None, NaN and pandas.NA alike
        return None
    if value not in BINS:
        raise ValueError(f"{attribute}_bin is {value!r}; expected low, mid, high or null.")
    return value


def queries_of_variant(queries: Sequence[str], attributes: Sequence[str], variant: str) -> list[str]:
    """Return the queries of an utterance that a variant draws from: all, or those with or without its emotion."""
    pairs = zip(queries, attributes, strict=True)
    if variant == "only_emo":
        return [query for query, attribute in pairs if attribute == "emotion"]
    if variant == "no_emo":
        return [query for query, attribute in pairs if "emotion" not in attribute.split("+")]
    return list(queries)


def sample_queries(
    queries: Sequence[str],
    attributes: Sequence[str],
    variant: str,
    rng: np.random.Generator,
    max_queries: int = 5,
) -> str | None:
    """Draw a training caption: at most n random queries of an utterance, joined with "and" (section 2.2 of the paper).

    n is drawn uniformly from 1 to `max_queries` and cut to the size of the pool; the queries are drawn without
    replacement. The four variants are those of section 3.3.

    Args:
        queries: all queries of the utterance.
        attributes: the attribute of each, as `generate_queries` gives it.
        variant: ``rand5`` and ``rand1`` draw from all (``rand1`` exactly one), ``no_emo`` from those that do not speak
            of the emotion's label, ``only_emo`` from those that speak of nothing else.
        rng: source of randomness.
        max_queries: the n of "a maximum of n random queries"; ``rand1`` takes 1 in any case.

    Returns:
        The caption, or None where the variant leaves no query.

    Raises:
        ValueError: If the variant is unknown, `max_queries` is below 1, or the lists differ in length.
    """
    if variant not in VARIANTS:
        raise ValueError(f"Unknown variant {variant!r}; expected one of {', '.join(VARIANTS)}.")
    if max_queries < 1:
        raise ValueError(f"max_queries is {max_queries}; expected 1 or more.")
    if len(queries) != len(attributes):
        raise ValueError(f"{len(queries)} queries and {len(attributes)} attributes; expected one attribute per query.")
    pool = queries_of_variant(queries, attributes, variant)
    if not pool:
        return None
    n = 1 if variant == "rand1" else min(int(rng.integers(1, max_queries + 1)), len(pool))
    return " and ".join(pool[index] for index in rng.choice(len(pool), size=n, replace=False))
