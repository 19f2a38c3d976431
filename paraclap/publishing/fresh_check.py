"""Load a staged model as a user without this package does, and print its scores of the sample as JSON.

Run as a file in a process of its own, isolated (`python -I`), with the folder as its argument: this project's package
cannot be imported there, so only the files of the folder are used.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LABELS = ("angry", "happy", "sad", "calm", "neutral", "a female is speaking", "has a high pitch")
SAMPLE = "sample.wav"
OURS = ("modeling_paraclap", "dataset_scripts", "paraclap")


class NoPackage:
    """Import hook that refuses this project's modules, which users of the folder do not have."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Refuse a module of this project; import calls this for each module."""
        if name.split(".")[0] in OURS:
            raise ModuleNotFoundError(f"{name} is missing from the folder to be published")


def score(classifier: Callable[..., list[dict[str, Any]]], sample: str) -> dict[str, float]:
    """Return the scores of the sample by label."""
    return {entry["label"]: entry["score"] for entry in classifier(sample, candidate_labels=list(LABELS))}


def main(folder: str) -> None:
    """Load the folder in every documented way, and print the scores."""
    sys.meta_path.insert(0, NoPackage)
    import torch
    from transformers import AutoModel, AutoProcessor, pipeline

    sample = str(Path(folder) / SAMPLE)
    classifier = pipeline("zero-shot-audio-classification", model=folder, trust_remote_code=True, device="cpu")
    scores = score(classifier, sample)
    model = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    queries = [model.config.hypothesis_template.replace("{}", label) for label in LABELS]
    inputs = processor(text=queries, audio=sample, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**inputs).logits_per_audio[0].float()
    print(json.dumps({"pipeline": scores, "model": dict(zip(LABELS, logits.softmax(-1).tolist(), strict=True))}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="staged release folder")
    main(parser.parse_args().folder)
