"""Which licence a model may have.

The rule: a model stands under the union of the conditions of everything it was made of, its base models and its
training corpora: attribution (by), no commercial use (nc), the same licence for what is made of it (sa). So what has
the most conditions decides: trained on nEMO (CC BY-NC-SA 4.0), EMO-DB (CC0) and LibriSpeech (CC BY 4.0), the model is
CC BY-NC-SA 4.0. Whether training makes a derived work is disputed; this is the reading that wrongs nobody.
"""

from collections.abc import Mapping

# Hub's identifier -> conditions. None of them forbids to pass the work on.
CONDITIONS = {
    "cc0-1.0": frozenset(),
    "mit": frozenset(),
    "apache-2.0": frozenset(),
    "cc-by-4.0": frozenset({"by"}),
    "cc-by-sa-4.0": frozenset({"by", "sa"}),
    "cc-by-nc-4.0": frozenset({"by", "nc"}),
    "cc-by-nc-sa-4.0": frozenset({"by", "nc", "sa"}),
}
UNCONDITIONED = "apache-2.0"  # the code's own, where nothing asks for more
# What else `--license` may say: identifiers that the Hub knows.
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


class LicenceError(ValueError):
    """Sources whose licences do not go together, or are not known."""


def licence_of_model(sources: Mapping[str, str], given: str | None = None) -> str:
    """The Hub's identifier of the licence that a model made of these sources gets.

    Args:
        sources: What it was made of -> SPDX identifier of its licence.
        given: The publisher's decision, in place of the rule.

    Raises:
        LicenceError: If a licence is unknown, or two cannot be met at once.
    """
    if given:
        if given not in KNOWN:
            raise LicenceError(f"--license is {given!r}; the Hub knows {', '.join(sorted(KNOWN))}.")
        return given
    strange = {name: licence for name, licence in sources.items() if licence.lower() not in CONDITIONS}
    if strange:
        name, licence = next(iter(strange.items()))
        raise LicenceError(
            f"No rule says what licence a model made of {name} ({licence}) has. Read its terms and give --license."
        )
    conditions = frozenset().union(*(CONDITIONS[licence.lower()] for licence in sources.values()))
    if not conditions:
        return UNCONDITIONED
    result = next(licence for licence, found in CONDITIONS.items() if found == conditions)
    for name, licence in sources.items():
        if "sa" in CONDITIONS[licence.lower()] and licence.lower() != result:
            raise LicenceError(
                f"{name} asks for its own licence, {licence}, and the other sources for {result}: both cannot be met. "
                "Give --license after asking the owners."
            )
    return result
