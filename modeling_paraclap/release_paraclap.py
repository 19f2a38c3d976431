"""Writes a release folder: what `from_pretrained` and `pipeline` load, with or without this package.

Every way to save a part of ParaCLAP writes its share of one: `save_pretrained` and `push_to_hub` of the model, the
processor, the feature extractor and the pipeline, and what calls these, such as a `Trainer`. Each copies all the code,
not only its own, as transformers would: without the pipeline's, its stock class would answer, with another prompt.
"""

import shutil
from os import PathLike
from pathlib import Path
from typing import Any

from transformers.dynamic_module_utils import get_relative_import_files
from transformers.utils import CONFIG_NAME

# The code that a release needs is what can be reached from here; these three reach all of it.
from .feature_extraction_paraclap import ParaClapFeatureExtractor
from .pipeline_paraclap import TASK, ParaClapZeroShotAudioClassificationPipeline
from .processing_paraclap import ParaClapProcessor

__all__ = [
    "TASK",
    "ParaClapFeatureExtractor",
    "ParaClapZeroShotAudioClassificationPipeline",
    "copy_code",
    "save_release",
    "share_rights",
]
HUB_ARGUMENTS = ("push_to_hub", "repo_id", "commit_message", "create_pr", "private", "token")


def save_release(model: Any, processor: ParaClapProcessor, folder: str | PathLike, **kwargs: Any) -> Path:
    """Save weights, configuration, processor, tokenizer and the code that goes with them.

    The folder loads in a process that has never seen this package, with `trust_remote_code=True`, and in one that has
    imported it, without.

    Args:
        model: A [`ParaClapModel`].
        processor: Its [`ParaClapProcessor`].
        folder: Output folder; created if missing.
        **kwargs: Handed to the model's `save_pretrained`.

    Returns:
        The folder.
    """
    model.save_pretrained(folder, **kwargs)
    processor.save_pretrained(folder, **{name: kwargs[name] for name in HUB_ARGUMENTS if name in kwargs})
    return Path(folder)


def copy_code(folder: str | PathLike) -> None:
    """Copy all code that a release needs into its folder, which is created if missing."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file in {__file__, *get_relative_import_files(__file__)}:
        target = folder / Path(file).name
        if not (target.exists() and target.samefile(file)):
            shutil.copyfile(file, target)


def share_rights(folder: str | PathLike, like: str = CONFIG_NAME, pattern: str = "model*.safetensors") -> None:
    """Give weights the rights of a file beside them: safetensors writes files that only their owner reads.

    Args:
        folder: Where they are.
        like: A file that was written as others are.
        pattern: The files with weights.
    """
    plain = Path(folder) / like
    if plain.is_file():
        for file in Path(folder).glob(pattern):
            file.chmod(plain.stat().st_mode & 0o777)
