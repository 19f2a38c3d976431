"""Stage a model: write the folder to publish, and check that it works without this package."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile
import transformers
from huggingface_hub import ModelCard
from safetensors import SafetensorError

from modeling_paraclap import ParaClapModel, ParaClapProcessor
from modeling_paraclap.release_paraclap import TASK, save_release
from paraclap.resources import resource
from paraclap.synthetic_speech import SAMPLING_RATE, VOICES, synthesise

from . import fresh_check
from .base_model_names import base_model, published_training
from .cards import card_data, eval_results_yaml, model_card
from .checks import check_staged, copy_file
from .errors import PublishError
from .facts import Facts, gather_facts, with_pictures
from .licences import Decision
from .local_paths import clean_record
from .records import read_json
from .weights import compact_file

TOLERANCE = 1e-6  # between the scores of the source model and of the staged one
PNG = b"\x89PNG\r\n\x1a\n"
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
    decision: Decision | None = None,
    watts: float | None = None,
) -> dict[str, float]:
    """Write a model's folder for the Hub and check it.

    Args:
        source: Release folder written by training or `save_release`.
        folder: Empty folder to write.
        repo_id: ORG/NAME, for the card.
        results: An evaluation's results.json; pictures beside it are published. By default the source folder's own, if
            it has one.
        base_models: Base models, in place of those in the training record.
        decision: Decision on the licence, in place of the rule of `licences`.
        watts: Power of one training device in W, for an estimate of the energy.

    Returns:
        Scores of the sample recording by label, confirmed in a fresh process.

    Raises:
        PublishError: If the source is not a release, its records are invalid, the rule yields no licence, or the staged
            folder does not reproduce the source's scores.
    """
    if not (source / "config.json").is_file():
        raise PublishError(
            f"{source} is not a release folder: config.json is missing. Give the folder written by training (RUN/best)."
        )
    facts = gather_facts(source, repo_id, results, base_models, decision, watts)
    write_model(source, folder)
    write_records(source, folder, facts)
    facts = with_pictures(facts, copy_pictures((results or source).parent if results else source, folder, facts.tasks))
    notice = LICENCE.format(licence=facts.licence) + resource("LICENSE").read_text(encoding="utf-8")
    (folder / "LICENSE").write_text(notice, encoding="utf-8")
    model_card(facts).save(folder / "README.md")
    check_metadata(ModelCard.load(folder / "README.md").data.to_dict(), card_data(facts).to_dict())
    check_staged(folder)
    return check_scores(source, folder)


def write_model(source: Path, folder: Path) -> None:
    """Write the losslessly compacted weights, configuration, processor, code and a sample recording.

    Raises:
        PublishError: If the source does not load.
    """
    try:
        model = ParaClapModel.from_pretrained(source, dtype="auto").eval()
        processor = ParaClapProcessor.from_pretrained(source)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise PublishError(f"{source} does not load: {' '.join(str(error).split())[:300]}") from error
    save_release(model, processor, folder)
    for file in folder.glob("*.safetensors"):
        compact_file(file)
    write_json(folder / "config.json", without_sources(read_json(folder / "config.json")))
    for name in ("processor_config.json", "tokenizer_config.json"):
        write_json(folder / name, clean_record(read_json(folder / name)))
    write_preprocessor_config(folder)
    soundfile.write(folder / fresh_check.SAMPLE, synthesise(VOICES[1]), SAMPLING_RATE, subtype="PCM_16")


def write_records(source: Path, folder: Path, facts: Facts) -> None:
    """Write bins, training and results, without paths of this machine."""
    if bins := read_json(source / "bins.json"):
        write_json(folder / "bins.json", bins)
    if facts.training:
        write_json(folder / "training.json", published_training(facts.training))
    if facts.evaluation:
        write_json(folder / "results.json", clean_record(facts.evaluation))
    if listed := eval_results_yaml(facts):
        (folder / ".eval_results").mkdir()
        (folder / ".eval_results" / "paraclap.yaml").write_text(listed, encoding="utf-8")


def without_sources(config: Any) -> Any:
    """Return a configuration without the folders from which its encoders were loaded."""
    if isinstance(config, Mapping):
        cleaned = {key: without_sources(value) for key, value in config.items() if key != "_name_or_path"}
        name = base_model(config.get("_name_or_path") or ".")
        return cleaned | ({"_name_or_path": name} if name else {})
    return clean_record(config)


def write_preprocessor_config(folder: Path) -> None:
    """Write the feature extractor's settings to the file that transformers 4 expects."""
    settings = read_json(folder / "processor_config.json")
    extractor = settings["feature_extractor"] | {"processor_class": settings["processor_class"]}
    write_json(folder / "preprocessor_config.json", dict(sorted(extractor.items())))


def copy_pictures(evaluation: Path, folder: Path, tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Copy the confusion matrices of an evaluation; return their captions by file name.

    Raises:
        PublishError: If one is a link, or not a PNG picture.
    """
    pictures = {}
    for task, result in tasks.items():
        picture = evaluation / f"{task}_confusion.png"
        if not picture.exists():
            continue
        copy_file(picture, folder / picture.name)
        if not (folder / picture.name).read_bytes().startswith(PNG):
            raise PublishError(f"{picture} is not a PNG picture; evaluate again, or remove it.")
        pictures[picture.name] = f"Confusion matrix of {task}: UAR {result['uar']:.3f}, {result['n']} utterances"
    return pictures


def check_metadata(read: Mapping[str, Any], written: Mapping[str, Any]) -> None:
    """Check that the card's metadata are unchanged when huggingface_hub reads them back.

    Raises:
        PublishError: If a field differs.
    """
    if read != written:
        wrong = next(key for key in {*read, *written} if read.get(key) != written.get(key))
        raise PublishError(
            f"The card's metadata change when read back: {wrong} is {read.get(wrong)}, not {written.get(wrong)}."
        )


def check_scores(source: Path, folder: Path) -> dict[str, float]:
    """Load the staged folder in a fresh process without the package and compare its scores with the source's.

    Raises:
        PublishError: If it does not load, or its scores differ.
    """
    sample = str(folder / fresh_check.SAMPLE)
    expected = fresh_check.score(transformers.pipeline(TASK, model=str(source), device="cpu"), sample)
    for way, scores in fresh_scores(folder).items():
        worst = max(scores, key=lambda label: abs(scores[label] - expected[label]))
        if abs(scores[worst] - expected[worst]) > TOLERANCE:
            raise PublishError(
                f"The staged folder's {way} scores “{worst}” {scores[worst]:.7f}, the source {expected[worst]:.7f}. "
                "Nothing was published."
            )
    return expected


def fresh_scores(folder: Path) -> dict[str, dict[str, float]]:
    """Return the output of [`fresh_check`] run in a new process: way of loading -> label -> score.

    Raises:
        PublishError: If the folder does not load there.
    """
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
    return json.loads(done.stdout.splitlines()[-1])


def write_json(file: Path, content: Any) -> None:
    """Write an indented JSON file."""
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
