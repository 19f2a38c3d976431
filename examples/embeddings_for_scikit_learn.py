"""A few labelled recordings are enough to train a classifier of your own on ParaCLAP's embeddings.

    python examples/embeddings_for_scikit_learn.py TRAIN TEST [--model ORG/NAME or FOLDER]

TRAIN and TEST are folders with one folder for each class, such as TRAIN/angry/1.wav. Prints the unweighted average
recall of a logistic regression, and of the model itself without training (zero-shot) beside it.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import pipeline


def read_folder(
    folder: Path, classifier: Any, labels: list[str] | None = None
) -> tuple[np.ndarray, list[str], list[str]]:
    """Return embeddings (n, embedding_dim), the labels by folder, and the zero-shot predictions."""
    labels = labels or sorted(path.name for path in folder.iterdir() if path.is_dir())
    pairs = [(str(file), label) for label in labels for file in sorted((folder / label).iterdir())]
    files, truth = zip(*pairs, strict=True)
    results = classifier(list(files), candidate_labels=labels, return_embeddings=True)
    embeddings = np.stack([result["embedding"] for result in results])
    return embeddings, list(truth), [result["scores"][0]["label"] for result in results]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--model", default="build/paraclap-base")
    args = parser.parse_args(arguments)
    classifier = pipeline("zero-shot-audio-classification", model=args.model, trust_remote_code=True)
    embeddings, truth, _ = read_folder(args.train, classifier)
    trained = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(embeddings, truth)
    embeddings, truth, zero_shot = read_folder(args.test, classifier, sorted(set(truth)))
    for name, predictions in (("zero-shot", zero_shot), ("logistic regression", trained.predict(embeddings))):
        print(f"{name}: UAR {recall_score(truth, predictions, average='macro'):.3f}")


if __name__ == "__main__":
    main()
