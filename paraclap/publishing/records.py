"""Records of training and evaluation, validated when they are read."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dataset_scripts.corpora import CorpusError, recorded_corpus

from .base_model_names import named_encoders
from .errors import CardError

# Task names are part of file names.
TASK_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file; empty if the file does not exist.

    Raises:
        CardError: If the file cannot be read, or does not hold an object.
    """
    if not file.exists():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CardError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise CardError(f"{file} holds a {type(content).__name__}; expected an object.")
    return content


# -------------------------------------------------------------------------------------------------------------- results


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value)) and bool(value)


def _is_map_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Mapping) and all(map(_is_text, value)) and all(map(check, value.values()))


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_share, value))


def _is_comparisons(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, Mapping) and _is_texts(entry.get("templates")) and _is_share(entry.get("uar"))
        for entry in value
    )


def _is_corpus(value: Any) -> bool:
    """Return whether this can be the name of a corpus; one of the user's own can have any."""
    try:
        return _is_text(value) and bool(recorded_corpus(value))
    except CorpusError:
        return False


# Field of a task's result -> (what it has to be, the check, whether it may be missing or null)
FIELDS: dict[str, tuple[str, Callable[[Any], bool], bool]] = {
    "corpus": ("the name of a corpus", _is_corpus, False),
    "split": ("text", _is_text, False),
    "column": ("text", _is_text, False),
    "templates": ("a list of texts", _is_texts, False),
    "prompts": ("label -> prompts", lambda value: bool(value) and _is_map_of(_is_texts)(value), False),
    "n": ("a number of utterances", lambda value: _is_number(value) and value >= 1, False),
    "uar": ("a number from 0 to 1", _is_share, False),
    "accuracy": ("a number from 0 to 1", _is_share, False),
    "macro_f1": ("a number from 0 to 1", _is_share, False),
    "chance": ("a number from 0 to 1", _is_share, False),
    "most_predicted": (
        "a label and its share",
        lambda value: isinstance(value, Mapping) and _is_text(value.get("label")) and _is_share(value.get("share")),
        False,
    ),
    "paper_uar": ("variant -> UAR", _is_map_of(_is_share), False),
    "intervals": ("measure -> two numbers", lambda value: _is_map_of(_is_interval)(value) and "uar" in value, True),
    "calibrated": ("text", _is_text, True),
    "uar_per_template": ("a list of templates and UAR", _is_comparisons, True),
}


def read_results(file: Path) -> dict[str, Any]:
    """Return the content of an evaluation's results.json.

    Raises:
        CardError: If the file is missing, or a field is missing or of the wrong type.
    """
    if not file.is_file():
        raise CardError(f"{file} does not exist; expected the results.json of an evaluation.")
    content = read_json(file)
    protocol, tasks = content.get("protocol"), content.get("tasks")
    if not isinstance(protocol, Mapping) or not isinstance(tasks, Mapping):
        raise CardError(f"{file} has no protocol and tasks; expected the results.json of an evaluation.")
    for name in ("utterances", "intervals"):
        if not _is_text(protocol.get(name)):
            raise CardError(f"{file}: {name} of the protocol is {protocol.get(name)!r}; expected text.")
    limit = protocol.get("limit")
    if limit is not None and not (isinstance(limit, int) and limit > 0):
        raise CardError(f"{file}: limit of the protocol is {limit!r}; expected a number of utterances, or null.")
    for task, result in tasks.items():
        check_result(file, task, result)
    return content


def check_result(file: Path, task: str, result: Any) -> None:
    """Check the entry of one task.

    Raises:
        CardError: If its name is not a safe file name, or a field is missing or of the wrong type.
    """
    if not TASK_NAME.fullmatch(task):
        raise CardError(f"{file} has the task {task!r}; expected letters, digits, '-', '_' and '.', as in 'ravdess'.")
    if not isinstance(result, Mapping):
        raise CardError(f"{file}: the task {task} is {result!r}; expected an object.")
    for field, (kind, is_right, optional) in FIELDS.items():
        value = result.get(field)
        if not (optional and value is None) and not is_right(value):
            raise CardError(f"{file}: {field} of the task {task} is {value!r}; expected {kind}.")


# ------------------------------------------------------------------------------------------------------------- training


def read_training(file: Path) -> dict[str, Any]:
    """Return the content of a release's training.json; empty if there is none.

    Raises:
        CardError: If it is not a record written by training.
    """
    content = read_json(file)
    if not content:
        return {}
    if not isinstance(content.get("arguments"), Mapping):
        raise CardError(f"{file} has no arguments; expected the record that training wrote.")
    for tower, name in named_encoders(content).items():
        if not _is_text(name):
            raise CardError(f"{file}: {tower}_model_name_or_path is {name!r}; expected a name or folder.")
    seconds, device = content.get("seconds"), content.get("device")
    if seconds is not None:
        whole = isinstance(device, Mapping) and _is_text(device.get("name")) and _is_number(device.get("processes"))
        if not (_is_number(seconds) and seconds >= 0 and whole):
            raise CardError(
                f"{file}: seconds is {seconds!r} and device {device!r}; expected a duration, and name and processes."
            )
    numbers = {"max_steps": content["arguments"].get("max_steps")}
    numbers |= {name: content.get(name) for name in ("steps_made", "steps_of_all_epochs")}
    for name, number in numbers.items():
        if number is not None and (type(number) is not int or number < 0):
            raise CardError(f"{file}: {name} is {number!r}; expected a number of steps.")
    if not isinstance(content.get("git_revision"), (str, type(None))):
        raise CardError(f"{file}: git_revision is {content['git_revision']!r}; expected text.")
    return content


def read_corpora(file: Path) -> list[str]:
    """Return the names of the training corpora, on which a release's bins.json was fitted.

    Raises:
        CardError: If the file is damaged, or what it names cannot be a corpus.
    """
    fitted_on = read_json(file).get("fitted_on", {})
    names = fitted_on.get("corpora", []) if isinstance(fitted_on, Mapping) else None
    if not isinstance(names, list) or not all(map(_is_text, names)):
        raise CardError(f"{file}: fitted_on is {fitted_on!r}; expected the names of corpora.")
    if not all(map(_is_corpus, names)):
        raise CardError(f"{file}: the model was trained on {names!r}; expected the names of corpora.")
    return names
