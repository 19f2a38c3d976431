"""ParaCLAP with the functions of a SentenceTransformer, for tools that expect one, such as MTEB's audio tasks.

    encoder = ParaClapEncoder("ORG/NAME or FOLDER")
    sentences, recordings = encoder.encode(["speaker is bored."]), encoder.encode([{"audio": ["1.wav", "2.wav"]}])
    cosines = encoder.similarity(sentences, recordings)

    python examples/sentence_encoder.py "speaker is bored." 1.wav 2.wav [--model ORG/NAME or FOLDER]

MTEB hands over batches, {"text": sentences} or {"audio": recordings}, and names of the task that are of no use here.
`mteb.evaluate` also requires a name: `encoder.mteb_model_meta = ModelMeta.create_empty({"name": "ORG/NAME"})`. Tried
with mteb 2.26.
"""

import argparse
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize
from transformers import pipeline


class ParaClapEncoder:
    """Embeds sentences and recordings into one space.

    Args:
        model_name: Release folder, or a name on the Hub.
        revision: Revision of the Hub repository.
        device: Such as "cuda"; by default the first accelerator.
    """

    def __init__(self, model_name: str, revision: str | None = None, device: str | None = None, **kwargs):
        options = {"revision": revision, "device": device, "trust_remote_code": True}
        self.classify = pipeline("zero-shot-audio-classification", model=model_name, **options)
        self.model, self.tokenizer = self.classify.model.eval(), self.classify.tokenizer

    def encode(self, inputs: Iterable[str | dict], **kwargs) -> np.ndarray:
        """Return (n, embedding_dim) float32 of unit length, of sentences or of batches of either kind.

        Raises:
            ValueError: If there is nothing to embed.
        """
        batches = [item if isinstance(item, dict) else {"text": [item]} for item in inputs]
        if not batches:
            raise ValueError("There is nothing to embed; expected sentences, or batches with text or audio.")
        return np.concatenate(
            [(self.get_audio_embeddings if "audio" in b else self.get_text_embeddings)([b]) for b in batches]
        )

    @torch.inference_mode()
    def get_text_embeddings(self, inputs: Iterable[dict], **kwargs) -> np.ndarray:
        """Return (n, embedding_dim) of batches {"text": sentences}."""
        found = []
        for batch in inputs:
            tokens = self.tokenizer(batch["text"], padding=True, truncation=True, return_tensors="pt")
            tokens = tokens.to(self.model.device)
            found.append(self.model.get_text_features(tokens["input_ids"], tokens["attention_mask"]).pooler_output)
        return normalize(torch.cat(found).float(), dim=-1).cpu().numpy()

    def get_audio_embeddings(self, inputs: Iterable[dict], **kwargs) -> np.ndarray:
        """Return (n, embedding_dim) of batches {"audio": recordings}, files or rows of `datasets`."""
        clips = list(chain.from_iterable(batch["audio"] for batch in inputs))
        results = self.classify(clips, candidate_labels=["speech"], return_embeddings=True)
        return normalize(torch.tensor(np.stack([result["embedding"] for result in results])), dim=-1).numpy()

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return (n1, n2) cosines of all pairs."""
        first, second = (normalize(torch.as_tensor(e), dim=-1) for e in (embeddings1, embeddings2))
        return first @ second.T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return (n,) cosines of the pairs in order."""
        return torch.cosine_similarity(torch.as_tensor(embeddings1), torch.as_tensor(embeddings2), dim=-1)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentence")
    parser.add_argument("recordings", nargs="+")
    parser.add_argument("--model", default="build/paraclap-base")
    args = parser.parse_args(arguments)
    encoder = ParaClapEncoder(args.model)
    cosines = encoder.similarity(encoder.encode([args.sentence]), encoder.encode([{"audio": args.recordings}]))[0]
    for file, cosine in zip(args.recordings, cosines.tolist(), strict=True):
        print(f"{cosine:6.3f}  {file}")


if __name__ == "__main__":
    main()
