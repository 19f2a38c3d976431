"""What a model card is made of, and what follows from it: what the model was made of, and its licence."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dataset_scripts.corpora import CORPORA

from .errors import CardError, LicenceError
from .licences import BASE_MODEL_LICENCES, Decision, licence_of_model
from .local_paths import last_part
from .records import base_model, named_encoders, read_corpora, read_json, read_results, read_training


@dataclass(frozen=True)
class Facts:
    """What a card is made of.

    Attributes:
        repo_id: Where the model goes.
        template: The model's own prompt template.
        evaluation: Content of results.json; empty if there is none.
        training: Content of training.json; empty if there is none.
        corpora: Names of the training corpora.
        base_models: Their names on the Hub.
        decision: The publisher's decision on the licence, in place of the rule.
        watts: Power that one of training's devices draws, as the publisher measured it.
        pictures: Files beside the card -> caption.
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
        """Return task -> its result in the evaluation."""
        return self.evaluation.get("tasks", {})

    @property
    def limit(self) -> int | None:
        """Return the number of utterances of each corpus that the evaluation was limited to, if it was."""
        return self.evaluation.get("protocol", {}).get("limit")

    @property
    def sources(self) -> dict[str, str]:
        """Return all that the model was made of -> licence.

        Raises:
            LicenceError: If a base model's licence is not known and none was given for the whole.
        """
        sources = {CORPORA[name].title: CORPORA[name].licence for name in self.corpora}
        for name in self.base_models:
            if name not in BASE_MODEL_LICENCES and not self.decision:
                raise LicenceError(
                    f"The licence of the base model {name} is not known here. Read it and give --license."
                )
            sources[name] = BASE_MODEL_LICENCES.get(name, "see its page")
        return sources

    @property
    def licence(self) -> str:
        """Return the Hub's identifier of the model's licence.

        Raises:
            LicenceError: If none follows from the rule, or the publisher's decision needs a reason.
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
        repo_id: ORG/NAME, where it goes.
        results: An evaluation's results.json; by default the folder's own, if it has one.
        base_models: In place of those that the training record names.
        decision: The publisher's decision on the licence.
        watts: Power that one of training's devices draws.

    Raises:
        CardError: If a record is damaged, or names a folder where a base model's name is needed.
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
        CardError: If it names a folder that is not known.
    """
    found = []
    for name in named_encoders(training).values():
        known = base_model(name)
        if known is None:
            raise CardError(
                f"The model was trained from the folder {last_part(name)}; say with --base_model ORG/NAME what it "
                "holds (and name all base models)."
            )
        found.append(known)
    return tuple(found)
