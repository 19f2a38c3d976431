"""Writes a release folder: what `from_pretrained` and `pipeline` load, with or without this package."""

import json
from pathlib import Path

from transformers.dynamic_module_utils import custom_object_save

from .pipeline_paraclap import ParaClapZeroShotAudioClassificationPipeline

TASK = "zero-shot-audio-classification"


def save_release(model, processor, folder):
    """Saves weights, configuration, processor, tokenizer and the code that goes with them.

    The folder loads in a process that has never seen this package, with `trust_remote_code=True`, and in one that has
    imported it, without.

    Args:
        model: A [`ParaClapModel`].
        processor: Its [`ParaClapProcessor`].
        folder: Where to write; made if missing.

    Returns:
        The folder, as a path.
    """
    folder = Path(folder)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    # The pipeline is no part of model or processor, so nothing else copies its code or names its class.
    custom_object_save(
        ParaClapZeroShotAudioClassificationPipeline.__new__(ParaClapZeroShotAudioClassificationPipeline), folder
    )
    config_file = folder / "config.json"
    config = json.loads(config_file.read_text(encoding="utf-8"))
    config["custom_pipelines"] = {
        TASK: {
            "impl": f"pipeline_paraclap.{ParaClapZeroShotAudioClassificationPipeline.__name__}",
            "pt": ["AutoModel"],
            "default": {},
            "type": "multimodal",
        }
    }
    config_file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return folder
