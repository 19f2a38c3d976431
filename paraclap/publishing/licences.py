"""The licence of a model, derived from its sources.

The rule: a model stands under the union of the conditions of everything it was made of, its base models and its
training corpora: attribution (by), no commercial use (nc), the same licence for what is made of it (sa). So what has
the most conditions decides: trained on nEMO (CC BY-NC-SA 4.0), EMO-DB (CC0) and LibriSpeech (CC BY 4.0), the model is
CC BY-NC-SA 4.0. Whether training makes a derived work is disputed; this is the conservative reading.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import LicenceError

# Hub identifier -> conditions. All of them allow redistribution.
CONDITIONS = {
    "cc0-1.0": frozenset(),
    "mit": frozenset(),
    "apache-2.0": frozenset(),
    "cc-by-4.0": frozenset({"by"}),
    "cc-by-sa-4.0": frozenset({"by", "sa"}),
    "cc-by-nc-4.0": frozenset({"by", "nc"}),
    "cc-by-nc-sa-4.0": frozenset({"by", "nc", "sa"}),
}
# What else sources may be under. The Open Database License asks for itself of databases alone; a model is a "produced
# work" in its words, which has to name the database.
SOURCES = CONDITIONS | {"odbl-1.0": frozenset({"by"})}
UNCONDITIONED = "apache-2.0"  # the code's licence, if no source requires another
# Further values of `--license`: identifiers that the Hub knows.
KNOWN = frozenset(CONDITIONS) | {
    "afl-3.0",
    "agpl-3.0",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc",
    "cc-by-2.0",
    "cc-by-3.0",
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nd-4.0",
    "cc-by-sa-3.0",
    "gpl-3.0",
    "lgpl-3.0",
    "odbl",
    "openrail",
    "other",
    "pddl",
    "unlicense",
}
BASE_MODEL_LICENCES = {
    "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim": "cc-by-nc-sa-4.0",
    "facebook/hubert-base-ls960": "apache-2.0",
    "facebook/hubert-large-ll60k": "apache-2.0",
    "facebook/wav2vec2-base": "apache-2.0",
    "facebook/wav2vec2-large-robust": "apache-2.0",
    "google-bert/bert-base-uncased": "apache-2.0",
    "bert-base-uncased": "apache-2.0",
    "sentence-transformers/all-MiniLM-L6-v2": "apache-2.0",
    **{f"openai/whisper-{size}": "mit" for size in ("tiny", "base", "small", "medium", "large-v2", "large-v3")},
}


# Licences of software and data that let the work be sold, and what they ask for.
FREE = {
    **dict.fromkeys(("cc0-1.0", "unlicense", "pddl"), frozenset()),
    **dict.fromkeys(
        ("mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "afl-3.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "odbl"),
        frozenset({"by"}),
    ),
}
NAMES = {"by": "attribution", "nc": "no commercial use", "sa": "share alike"}
# What terms that are no public licence are taken to ask for, as those of most corpora do.
STRICT = frozenset({"by", "nc"})


@dataclass(frozen=True)
class Decision:
    """The publisher's decision on a model's licence, in place of the rule.

    Attributes:
        licence: Hub identifier of the licence.
        reason: Why the model may be under it although a source requires more; shown in the card.
    """

    licence: str
    reason: str = ""


def licence_of_model(sources: Mapping[str, str], decision: Decision | None = None) -> str:
    """Return the Hub identifier of the licence of a model made of these sources.

    Args:
        sources: Source -> SPDX identifier of its licence.
        decision: The publisher's decision, in place of the rule.

    Raises:
        LicenceError: If a licence is unknown, two are incompatible, or the decision drops a condition of a source
            without a reason.
    """
    if decision:
        check_decision(sources, decision)
        return decision.licence
    strange = {name: licence for name, licence in sources.items() if licence.lower() not in SOURCES}
    if strange:
        name, licence = next(iter(strange.items()))
        raise LicenceError(
            f"No rule covers the licence of a model made of {name} ({licence}). Read its terms and give --license."
        )
    conditions = frozenset().union(*(SOURCES[licence.lower()] for licence in sources.values()))
    if not conditions:
        return UNCONDITIONED
    result = next(licence for licence, found in CONDITIONS.items() if found == conditions)
    for name, licence in sources.items():
        if "sa" in SOURCES[licence.lower()] and licence.lower() != result:
            raise LicenceError(
                f"{name} requires its own licence, {licence}, but the other sources require {result}. "
                "Give --license and --license_reason after asking the owners."
            )
    return result


def check_decision(sources: Mapping[str, str], decision: Decision) -> None:
    """Check that a licence keeps the conditions of the sources, or that the publisher gives a reason.

    Raises:
        LicenceError: If it drops a condition without a reason, or the Hub does not know it.
    """
    if decision.licence not in KNOWN:
        raise LicenceError(f"Unknown --license {decision.licence!r}: expected one of {', '.join(sorted(KNOWN))}.")
    if decision.reason.strip():
        return
    for name, licence in sources.items():
        dropped = dropped_conditions(licence.lower(), decision.licence)
        if dropped:
            raise LicenceError(
                f"--license {decision.licence} drops conditions of {name} ({licence}): {', '.join(dropped)}. If its "
                "owners permit that, say so with --license_reason TEXT, which is shown in the card."
            )


def dropped_conditions(source: str, licence: str) -> list[str]:
    """Return the conditions of a source's licence that another licence drops, in words."""
    needed = SOURCES.get(source, STRICT)
    if licence.startswith("cc-by"):
        kept = frozenset(licence.split("-")) & NAMES.keys()
    else:
        kept = FREE.get(licence, frozenset())  # the conditions of "other" and the like are unknown
    if "sa" in needed and licence == source:
        return []
    return [NAMES[name] for name in NAMES if name in needed - (kept - {"sa"})]
