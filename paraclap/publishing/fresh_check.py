"""Loads a staged model as a stranger does, and prints its scores of the sample as JSON.

Run as a file in a process of its own, isolated (`python -I`), with the folder as its argument: this project's package
cannot be imported there, so whatever works comes from the folder.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LABELS = ("angry", "happy", "sad", "calm", "neutral", "a female is speaking", "has a high pitch")
SAMPLE = "sample.wav"
OURS = ("modeling_paraclap", "dataset_scripts", "paraclap")


class NoPackage:
    """Refuses to import what a stranger does not have."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Refuse a module of this project; import calls this for each module."""
        if name.split(".")[0] in OURS:
            raise ModuleNotFoundError(f"{name} is not in the folder that is to be published, and has to be")


def score(classifier: Callable[..., list[dict[str, Any]]], sample: str) -> dict[str, float]:
    """Return label -> score of the sample."""
    return {entry["label"]: entry["score"] for entry in classifier(sample, candidate_labels=list(LABELS))}


def main(folder: str) -> None:
    """Load the folder in the ways that people use, and print the scores."""
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
    main(sys.argv[1])
