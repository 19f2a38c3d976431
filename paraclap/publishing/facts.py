"""Facts for a model card, and what follows from them: the model's sources and its licence."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dataset_scripts.corpora import recorded_corpus

from .base_model_names import base_model, named_encoders
from .errors import CardError, LicenceError
from .licences import BASE_MODEL_LICENCES, Decision, licence_of_model
from .local_paths import last_part
from .records import read_corpora, read_json, read_results, read_training


@dataclass(frozen=True)
class Facts:
    """Facts for a model card.

    Attributes:
        repo_id: Repo id of the model on the Hub.
        template: The model's own prompt template.
        evaluation: Content of results.json; empty if there is none.
        training: Content of training.json; empty if there is none.
        corpora: Names of the training corpora.
        base_models: Repo ids of the base models on the Hub.
        decision: The publisher's decision on the licence, in place of the rule.
        watts: Power of one training device in W, as measured by the publisher.
        pictures: Captions of the pictures by file name.
    """

    repo_id: str
    template: str
    evaluation: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    corpora: Sequence[str] = ()
    base_models: Sequence[str] = ()
    decision: Decision | None = None
    watts: float | None = None
    pictures: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the model's name, without its owner."""
        return self.repo_id.split("/")[-1]

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """Return the results of the evaluation by task."""
        return self.evaluation.get("tasks", {})

    @property
    def limit(self) -> int | None:
        """Return the limit of utterances per corpus in the evaluation; None if there was none."""
        return self.evaluation.get("protocol", {}).get("limit")

    @property
    def sources(self) -> dict[str, str]:
        """Return the licence of each source of the model.

        Raises:
            LicenceError: If a base model's licence is unknown and no licence was given for the model.
        """
        sources = {one.title: one.licence for one in map(recorded_corpus, self.corpora)}
        for name in self.base_models:
            if name not in BASE_MODEL_LICENCES and not self.decision:
                raise LicenceError(f"The licence of the base model {name} is unknown. Read it and give --license.")
            sources[name] = BASE_MODEL_LICENCES.get(name, "see its page")
        return sources

    @property
    def licence(self) -> str:
        """Return the Hub's identifier of the model's licence.

        Raises:
            LicenceError: If the rule yields no licence, or the publisher's decision needs a reason.
        """
        return licence_of_model(self.sources, self.decision)


def gather_facts(
    source: Path,
    repo_id: str,
    results: Path | None = None,
    base_models: Sequence[str] = (),
    decision: Decision | None = None,
    watts: float | None = None,
) -> Facts:
    """Return the facts on the model in a release folder.

    Args:
        source: The release folder.
        repo_id: Repo id on the Hub, ORG/NAME.
        results: An evaluation's results.json; by default the folder's own, if it has one.
        base_models: Base models, in place of those in the training record.
        decision: The publisher's decision on the licence.
        watts: Power of one training device in W.

    Raises:
        CardError: If a record is damaged, or has a folder where a base model's name is needed.
    """
    if results is None and (source / "results.json").is_file():
        results = source / "results.json"
    training = read_training(source / "training.json")
    template = read_json(source / "config.json").get("hypothesis_template", "")
    return Facts(
        repo_id=repo_id,
        template=template if isinstance(template, str) else "",
        evaluation=read_results(results) if results else {},
        training=training,
        corpora=read_corpora(source / "bins.json"),
        base_models=tuple(base_models) or named_base_models(training),
        decision=decision,
        watts=watts,
    )


def with_pictures(facts: Facts, pictures: dict[str, str]) -> Facts:
    """Return the facts with the pictures beside the card."""
    return replace(facts, pictures=pictures)


def named_base_models(training: dict[str, Any]) -> tuple[str, ...]:
    """Return the Hub's names of the base models that a training record names.

    Raises:
        CardError: If it names an unknown folder.
    """
    found = []
    for name in named_encoders(training).values():
        known = base_model(name)
        if known is None:
            raise CardError(
                f"The model was trained from the folder {last_part(name)}: name the base model in it, and all others, "
                "with --base_model ORG/NAME ..."
            )
        found.append(known)
    return tuple(found)
