"""The model card: its metadata and text, filled from the records of evaluation and training, never by hand."""

from typing import Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCard, ModelCardData
from huggingface_hub import eval_result_entries_to_yaml as entries_to_yaml

from dataset_scripts.corpora import recorded_corpus
from dataset_scripts.tables import markdown_table
from paraclap.evaluation.tables import result_rows, template_rows
from paraclap.resources import resource

from .base_model_names import base_model, named_encoders
from .errors import CardError
from .facts import Facts
from .local_paths import last_part

# Zero-shot audio classification is not a task of the Hub, but the tag of that name makes the model findable.
PIPELINE_TAG = "audio-classification"
TASK = "zero-shot-audio-classification"
METRICS = (("uar", "recall", "UAR"), ("accuracy", "accuracy", "accuracy"), ("macro_f1", "f1", "macro-F1"))


def card_data(facts: Facts) -> ModelCardData:
    """Return the card's metadata."""
    corpora = list(map(recorded_corpus, facts.corpora))
    datasets = [corpus.hub_dataset for corpus in corpora if corpus.hub_dataset]
    more = {"base_model_relation": "finetune"} if facts.base_models else {}
    return ModelCardData(
        language=sorted({language for corpus in corpora for language in corpus.languages} | {"en"}),
        license=facts.licence,
        library_name="transformers",
        pipeline_tag=PIPELINE_TAG,
        tags=[TASK, "paraclap", "speech", "paralinguistics", "speech-emotion-recognition", "custom_code"],
        base_model=list(facts.base_models) or None,
        datasets=datasets or None,
        metrics=["recall", "accuracy", "f1"],
        model_name=facts.name,
        eval_results=eval_results(facts) or None,
        **more,
    )


def eval_results(facts: Facts) -> list[EvalResult]:
    """Return the evaluation for the card's model-index."""
    limited = f", at most {facts.limit} utterances" if facts.limit else ""
    return [
        EvalResult(
            task_type=PIPELINE_TAG,
            task_name="zero-shot audio classification",
            dataset_type=recorded_corpus(result["corpus"]).hub_dataset or result["corpus"],
            dataset_name=f"{recorded_corpus(result['corpus']).title} "
            f"({result['column']}, {len(result['prompts'])} classes{limited})",
            dataset_config=task,
            dataset_split=result["split"],
            metric_type=kind,
            metric_name=name,
            metric_value=round(result[key], 4),
        )
        for task, result in facts.tasks.items()
        for key, kind, name in METRICS
    ]


def eval_results_yaml(facts: Facts) -> str:
    """Return the UARs on corpora of the Hub as the YAML of `.eval_results/*.yaml`; empty if there are none."""
    limited = f", drawn at random (--limit {facts.limit})" if facts.limit else ""
    entries = [
        EvalResultEntry(
            dataset_id=recorded_corpus(result["corpus"]).hub_dataset,
            task_id=task,
            value=round(result["uar"], 4),
            notes=f"UAR, zero-shot, {result['n']} utterances of the split {result['split']}{limited}",
        )
        for task, result in facts.tasks.items()
        if recorded_corpus(result["corpus"]).hub_dataset
    ]
    return yaml.safe_dump(entries_to_yaml(entries), sort_keys=False) if entries else ""


def model_card(facts: Facts) -> ModelCard:
    """Return the whole card."""
    known = list(map(recorded_corpus, facts.corpora))
    languages = [name for corpus in known for name in corpus.languages.values()]
    corpora = [{"corpus": one.title, "licence": one.licence, "homepage": one.homepage} for one in known]
    sources = [{"made of": name, "licence": licence} for name, licence in facts.sources.items()]
    return ModelCard.from_template(
        card_data(facts),
        template_str=resource("model_card.md").read_text(encoding="utf-8"),
        name=facts.name,
        repo_id=facts.repo_id,
        template=facts.template,
        prompts=markdown_table(template_rows(facts.tasks)),
        protocol=facts.evaluation.get("protocol"),
        results=markdown_table(result_rows(facts.tasks, facts.corpora)),
        pictures=list(facts.pictures.items()),
        corpora=markdown_table(corpora),
        recipe=recipe(facts.training),
        licence=facts.licence,
        licence_reason=licence_reason(facts),
        sources=markdown_table(sources) or "The sources are not recorded.",
        languages=", ".join(dict.fromkeys(languages)) or "unrecorded languages",
        collapse=collapse(facts),
        energy=energy(facts.training, facts.watts),
    )


def licence_reason(facts: Facts) -> str:
    """Return why the licence differs from the rule's, in parentheses; empty if it does not."""
    if not facts.decision:
        return ""
    return f" (the publisher's decision{f': {facts.decision.reason}' if facts.decision.reason else ''})"


def collapse(facts: Facts) -> str:
    """Return a sentence on the task whose predictions concentrate most on one class."""
    if not facts.tasks:
        return ""
    excess = {name: r["most_predicted"]["share"] * len(r["prompts"]) for name, r in facts.tasks.items()}
    task = max(excess, key=excess.get)
    most, even = facts.tasks[task]["most_predicted"], 1 / len(facts.tasks[task]["prompts"])
    return (
        f"In the most extreme case, {task}, {most['share']:.0%} of all predictions were “{most['label']}” "
        f"({even:.0%} if balanced)."
    )


def recipe(training: dict[str, Any]) -> str:
    """Return a description of the training from the run's record."""
    if not training:
        return "The training is not recorded in this release."
    arguments = training["arguments"]
    starts = {tower: base_model(name) or last_part(name) for tower, name in named_encoders(training).items()}
    frozen = [tower for tower in ("audio", "text") if arguments.get(f"freeze_{tower}")]
    facts = {
        "variant of the paper": arguments.get("variant"),
        "epochs": arguments.get("num_train_epochs"),
        "kept epoch": training.get("epoch"),
        "cut short": cut_short(training),
        "batch": arguments.get("batch_size"),
        "loss": arguments.get("loss_type"),
        "learning rate of encoders and projections": "{} and {}".format(
            arguments.get("encoder_learning_rate"), arguments.get("head_learning_rate")
        ),
        **{f"{tower} encoder": starts.get(tower, "from scratch") for tower in ("audio", "text")},
        "frozen": ", ".join(f"{tower} encoder" for tower in frozen) or "nothing",
        "length of crops in s": arguments.get("crop_s"),
        "seed": arguments.get("seed"),
        "code revision": (training.get("git_revision") or "")[:10],
    }
    rows = [{"": name, "value": value} for name, value in facts.items() if value not in (None, "", "None and None")]
    return f"{markdown_table(rows)}\n\nTrained with `paraclap train`; all arguments are in `training.json`."


def cut_short(training: dict[str, Any]) -> str:
    """Return that training ended before its epochs did, as far as the run's record tells; empty if it did not."""
    most, made, of_all = (
        training["arguments"].get("max_steps"),
        training.get("steps_made"),
        training.get("steps_of_all_epochs"),
    )
    if not made or not of_all:
        return f"after {most} steps, unless the epochs were over before (`max_steps`)" if most else ""
    if made >= of_all:
        return ""
    why = "`max_steps`" if made == most else "the run was stopped"
    return f"after {made} of the {of_all} steps of all epochs ({why})"


def energy(training: dict[str, Any], watts: float | None = None) -> str:
    """Return the duration and energy of training, as far as they are known.

    Raises:
        CardError: If the power is given but the record has no duration.
    """
    seconds, device = training.get("seconds"), training.get("device")
    if not seconds:
        if watts:
            raise CardError("--watts needs the duration of training, which training.json does not record.")
        return "The duration of training was not recorded, so its energy is unknown."
    hours = seconds * device["processes"] / 3600
    took = (
        f"Training with its validation took {seconds / 3600:.2f} hours on {device['processes']} × {device['name']}: "
        f"{hours:.2f} device-hours, excluding steps lost to interruptions."
    )
    if not watts:
        return f"{took} Its energy was not metered."
    return f"{took} At {watts:g} W per device, as stated by the publisher, that is {hours * watts / 1000:.3g} kWh."
