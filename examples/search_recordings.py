"""Finds recordings by how they are spoken: "find somebody who sounds bored".

    python examples/search_recordings.py FOLDER "speaker is bored" [--model ORG/NAME or FOLDER] [--index INDEX]

Embeds every recording below FOLDER once, into a FAISS index (extra `[search]`), and shows the nearest to each query.
With `--index` the embeddings are kept, and only new recordings are embedded the next time.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModel, AutoProcessor

ENDINGS = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


def load(model: str) -> tuple:
    """Model and processor of a release, by folder or name on the Hub."""
    return tuple(kind.from_pretrained(model, trust_remote_code=True) for kind in (AutoModel, AutoProcessor))


@torch.inference_mode()
def embed_recording(file: str, model: Any, processor: Any) -> np.ndarray:
    """(projection_dim,) float32 of unit length."""
    inputs = processor(audio=file, return_tensors="pt")
    embedding = model.get_audio_features(inputs["input_values"], inputs["padding_mask"]).pooler_output[0]
    return torch.nn.functional.normalize(embedding.float(), dim=0).numpy()


@torch.inference_mode()
def embed_query(query: str, model: Any, processor: Any) -> np.ndarray:
    """(projection_dim,) float32 of unit length."""
    inputs = processor(text=[query], return_tensors="pt")
    embedding = model.get_text_features(inputs["input_ids"], inputs["attention_mask"]).pooler_output[0]
    return torch.nn.functional.normalize(embedding.float(), dim=0).numpy()


def build_index(folder: Path, model: Any, processor: Any, known: dict[str, list] | None = None) -> Dataset:
    """A dataset of all recordings below a folder, with a FAISS index of their embeddings.

    Args:
        folder: Where the recordings are.
        model: A ParaClapModel.
        processor: Its processor.
        known: File -> embedding of those that need not be embedded again.

    Raises:
        SystemExit: If none can be read.
    """
    known = known or {}
    rows = []
    for file in sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS):
        try:
            embedding = known[str(file)] if str(file) in known else embed_recording(str(file), model, processor)
            rows.append({"file": str(file), "embedding": embedding})
        except ValueError as error:  # an unreadable recording costs itself, not the search
            print(f"left out: {error}")
    if not rows:
        raise SystemExit(f"There is no readable recording below {folder}; expected {', '.join(sorted(ENDINGS))} files.")
    recordings = Dataset.from_list(rows)
    recordings.add_faiss_index("embedding", metric_type=0)  # 0 is faiss.METRIC_INNER_PRODUCT: the cosine, here
    return recordings


def search(recordings: Dataset, query: str, model: Any, processor: Any, k: int = 5) -> list[tuple[float, str]]:
    """The k recordings nearest to a query: (cosine, file), the nearest first."""
    k = min(k, len(recordings))
    cosines, found = recordings.get_nearest_examples("embedding", embed_query(query, model, processor), k=k)
    return list(zip(cosines.tolist(), found["file"], strict=True))


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("queries", nargs="+")
    parser.add_argument("--model", default="build/paraclap-base")
    parser.add_argument("--index", type=Path, help="Parquet file that keeps the embeddings")
    parser.add_argument("--k", type=int, default=5, help="recordings to show for each query")
    args = parser.parse_args(arguments)
    model, processor = load(args.model)
    model.eval()
    known = {}
    if args.index and args.index.is_file():
        kept = Dataset.from_parquet(str(args.index))
        known = dict(zip(kept["file"], kept["embedding"], strict=True))
    recordings = build_index(args.folder, model, processor, known)
    if args.index:
        recordings.drop_index("embedding")
        recordings.to_parquet(str(args.index))
        recordings.add_faiss_index("embedding", metric_type=0)
    for query in args.queries:
        print(query)
        for cosine, file in search(recordings, query, model, processor, args.k):
            print(f"  {cosine:6.3f}  {file}")


if __name__ == "__main__":
    main()
