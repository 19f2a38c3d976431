"""Stages a model: writes the very folder that is to be published, and proves that it works without this project."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import soundfile
from huggingface_hub import ModelCard
from safetensors import SafetensorError
from transformers import pipeline

from modeling_paraclap import ParaClapModel, ParaClapProcessor
from modeling_paraclap.release_paraclap import TASK, save_release
from paraclap.resources import resource
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

from . import fresh_check
from .cards import (
    Facts,
    base_model,
    card_data,
    eval_results_yaml,
    licence_of,
    model_card,
    named_encoders,
    read_results,
)
from .hub import TOKEN, PublishError, files_of

TOLERANCE = 1e-6  # between the scores of the source model and of the staged one
TEXTS = (".md", ".json", ".yaml", ".py", ".txt", ".csv", "")
LICENCE = """\
The weights (model.safetensors) are under {licence}: see README.md.
The code (*.py) is under the Apache License 2.0, which follows.

"""


def stage_model(
    source: Path,
    folder: Path,
    repo_id: str,
    results: Path | None = None,
    base_models: Sequence[str] = (),
    licence: str | None = None,
    watts: float | None = None,
) -> dict[str, float]:
    """Writes a model's folder for the Hub and checks it.

    Args:
        source: Release folder, as training or `save_release` writes it.
        folder: Empty folder to write.
        repo_id: ORG/NAME, for the card.
        results: An evaluation's results.json; pictures beside it are published. By default the source folder's own, if
            it has one.
        base_models: In place of those that the training record names.
        licence: In place of the rule of `licences`.
        watts: What one of training's devices draws, for an estimate of its energy.

    Returns:
        Label -> score of the sample recording, which the fresh process confirmed.

    Raises:
        PublishError: If the source is no release, or the staged folder does not work as the source does.
        CardError: If results or training record cannot be used.
        LicenceError: If no licence follows from the rule.
    """
    if not (source / "config.json").is_file():
        raise PublishError(
            f"{source} is no release folder: it has no config.json. Give what training wrote (RUN/best)."
        )
    if results is None and (source / "results.json").is_file():
        results = source / "results.json"
    facts = Facts(
        repo_id=repo_id,
        template=json.loads((source / "config.json").read_text(encoding="utf-8")).get("hypothesis_template", ""),
        evaluation=read_results(results) if results else {},
        training=_json(source / "training.json"),
        corpora=_json(source / "bins.json").get("fitted_on", {}).get("corpora", []),
        base_models=list(base_models),
        licence=licence,
        watts=watts,
    )
    try:
        model = ParaClapModel.from_pretrained(source, dtype="auto").eval()
        processor = ParaClapProcessor.from_pretrained(source)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise PublishError(f"{source} does not load: {' '.join(str(error).split())[:300]}") from error
    save_release(model, processor, folder)
    write_preprocessor_config(folder)
    soundfile.write(folder / fresh_check.SAMPLE, synthesise(VOICES[1]), SAMPLING_RATE, subtype="PCM_16")
    if (source / "bins.json").is_file():
        shutil.copyfile(source / "bins.json", folder / "bins.json")
    if facts.training:
        started_from = {f"{t}_model_name_or_path": base_model(n) for t, n in named_encoders(facts.training).items()}
        record = facts.training | {"arguments": facts.training["arguments"] | started_from}
        _write_json(folder / "training.json", without_folders(record))
    if results:
        _write_json(folder / "results.json", without_folders(facts.evaluation))
        facts.pictures = copy_pictures(results.parent, folder, facts.tasks)
    if listed := eval_results_yaml(facts):
        (folder / ".eval_results").mkdir()
        (folder / ".eval_results" / "paraclap.yaml").write_text(listed, encoding="utf-8")
    notice = LICENCE.format(licence=licence_of(facts)) + resource("LICENSE").read_text(encoding="utf-8")
    (folder / "LICENSE").write_text(notice, encoding="utf-8")
    model_card(facts).save(folder / "README.md")
    check_metadata(ModelCard.load(folder / "README.md").data.to_dict(), card_data(facts).to_dict())
    check_no_token(folder)
    return check_scores(source, folder)


def write_preprocessor_config(folder: Path) -> None:
    """Writes the feature extractor's settings also where transformers 4 looks for them."""
    settings = json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))
    extractor = settings["feature_extractor"] | {"processor_class": settings["processor_class"]}
    _write_json(folder / "preprocessor_config.json", dict(sorted(extractor.items())))


def copy_pictures(evaluation: Path, folder: Path, tasks: dict[str, dict]) -> dict[str, str]:
    """Copies the confusion matrices of an evaluation; file name -> caption."""
    pictures = {}
    for task, result in tasks.items():
        picture = evaluation / f"{task}_confusion.png"
        if picture.is_file():
            shutil.copyfile(picture, folder / picture.name)
            pictures[picture.name] = f"Confusion matrix of {task}: UAR {result['uar']:.3f}, {result['n']} utterances"
    return pictures


def without_folders(record):
    """A record without the publisher's folders: of each absolute path its last part is left."""
    if isinstance(record, dict):
        return {key: without_folders(value) for key, value in record.items()}
    if isinstance(record, list):
        return [without_folders(value) for value in record]
    if isinstance(record, str):
        return re.sub(r"(?<![\w:/.])~?/(?:[^\s/\"']+/)+(?=[^\s/\"'])", "", record)
    return record


def check_metadata(read: dict, written: dict) -> None:
    """Checks that the card's metadata say, when huggingface_hub reads them back, what was meant.

    Raises:
        PublishError: If they do not.
    """
    if read != written:
        wrong = next(key for key in {*read, *written} if read.get(key) != written.get(key))
        raise PublishError(
            f"The card's metadata do not survive: {wrong} is {read.get(wrong)}, not {written.get(wrong)}."
        )


def check_no_token(folder: Path) -> None:
    """Refuses a folder with something in it that looks like a token.

    Raises:
        PublishError: If there is one; the token is not printed.
    """
    for file in files_of(folder):
        if file.suffix in TEXTS and TOKEN.search(file.read_text(encoding="utf-8", errors="replace")):
            raise PublishError(f"{file.name} holds what looks like a token of the Hub. Remove it from the source.")


def check_scores(source: Path, folder: Path) -> dict[str, float]:
    """Loads the staged folder in a fresh process without the package and compares its scores with the source's.

    Raises:
        PublishError: If it does not load, or scores differently.
    """
    sample = str(folder / fresh_check.SAMPLE)
    expected = fresh_check.score(pipeline(TASK, model=str(source), device="cpu"), sample)
    with tempfile.TemporaryDirectory() as home:
        secret = ("TOKEN", "HF_HOME", "PYTHON")
        environment = {key: value for key, value in os.environ.items() if not any(part in key for part in secret)}
        environment |= {"HF_HOME": home, "HF_MODULES_CACHE": home, "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-I", fresh_check.__file__, str(folder.resolve())]
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise PublishError(
            f"The staged folder does not load without this project: {done.stderr.strip().splitlines()[-1]}"
        )
    for way, scores in json.loads(done.stdout.splitlines()[-1]).items():
        worst = max(scores, key=lambda label: abs(scores[label] - expected[label]))
        if abs(scores[worst] - expected[worst]) > TOLERANCE:
            raise PublishError(
                f"The staged folder's {way} scores “{worst}” {scores[worst]:.7f}, the source {expected[worst]:.7f}. "
                "Nothing was published."
            )
    return expected


def _json(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _write_json(file: Path, content: dict) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
