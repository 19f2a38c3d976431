"""Brings the authors' released checkpoint into this format.

    python -m modeling_paraclap.convert_paraclap_checkpoint --checkpoint best.pth.tar --output_dir DIR

The checkpoint is the `best.pth.tar` of https://huggingface.co/KeiKinn/paraclap: weights alone. Both encoders'
configurations are built in, as they are the paper's and the defaults of ParaClapConfig. The tokenizer is that of
google-bert/bert-base-uncased; without the Hub, --tokenizer takes any folder with the same vocabulary. Afterwards:

    pipeline("zero-shot-audio-classification", model="DIR")

The weights keep their own terms: the audio encoder that they continue is CC BY-NC-SA 4.0.
"""

import argparse
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from . import ParaClapConfig, ParaClapFeatureExtractor, ParaClapModel, ParaClapProcessor
from .checkpoint_paraclap import CheckpointError, hash_file, load_strictly
from .release_paraclap import save_release

TOKENIZER = "google-bert/bert-base-uncased"
PREFIXES = {"audio_branch.base.": "audio_model.", "text_branch.base.": "text_model."}
# torch's former weight norm; its present one is what transformers' encoders have.
SUFFIXES = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
DROPPED = {
    "text_model.pooler.dense.weight": "the text embedding is the state of [CLS], before BERT's pooler",
    "text_model.pooler.dense.bias": "the text embedding is the state of [CLS], before BERT's pooler",
    "text_model.embeddings.position_ids": "the constant 0, 1, 2, ...",
    "audio_model.masked_spec_embed": "only SpecAugment, which is off, would write it",
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def read_checkpoint(file: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a `.pth.tar`, without running any code that it may hold.

    Raises:
        CheckpointError: If the file is missing, is not torch's, or is anything but a flat dict of tensors.
    """
    if not Path(file).is_file():
        raise CheckpointError(f"{file} does not exist. Pass the authors' best.pth.tar as --checkpoint.")
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{file} is not a file of tensors alone that torch can read: {reason} It may be cut; download it again. "
            "Files with other objects in them are not read, as they could run code."
        ) from error
    is_flat = isinstance(weights, Mapping) and all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in weights.items()
    )
    if not is_flat:
        found = f"a dict of {', '.join(map(str, weights))}" if isinstance(weights, Mapping) else type(weights).__name__
        raise CheckpointError(f"{file} holds {found}; expected a flat dict from names to tensors, as best.pth.tar is.")
    return dict(weights)


def rename_weights(weights: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Rename the authors' weights to our names.

    Args:
        weights: Weights of the authors' checkpoint.

    Returns:
        The weights under the names of `ParaClapModel`, and the authors' names of those that it does not have -> why.
        A name that is not the authors' stays as it is, for `load_strictly` to refuse.

    Raises:
        CheckpointError: If two names become the same.
    """
    renamed, dropped = {}, {}
    for key, value in weights.items():
        name = key
        for old, new in PREFIXES.items():
            name = new + name.removeprefix(old) if name.startswith(old) else name
        for old, new in SUFFIXES.items():
            name = name.removesuffix(old) + new if name.endswith(old) else name
        if name in DROPPED:
            dropped[key] = DROPPED[name]
        elif name in renamed:
            raise CheckpointError(f"{key} is there in both spellings of weight norm; one of them must go.")
        else:
            renamed[name] = value.reshape(()) if name == "logit_scale" and value.numel() == 1 else value
    return renamed, dropped


def load_tokenizer(name_or_path: str, config: ParaClapConfig) -> Any:
    """Load BERT's tokenizer, which the checkpoint lacks.

    Raises:
        CheckpointError: If it cannot be had, or is another one than the text encoder's.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(name_or_path)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"The tokenizer {name_or_path!r} cannot be fetched: {str(error).splitlines()[0]} Pass --tokenizer with a "
            f"folder that has the tokenizer.json or vocab.txt of {TOKENIZER}; all-MiniLM-L6-v2's is the same."
        ) from error
    if len(tokenizer) != config.text_config.vocab_size:
        raise CheckpointError(
            f"The tokenizer {name_or_path!r} has {len(tokenizer)} tokens and the text encoder "
            f"{config.text_config.vocab_size}: it must be that of {TOKENIZER}."
        )
    tokenizer.model_max_length = config.text_config.max_position_embeddings
    return tokenizer


def convert(
    checkpoint: Path,
    output_dir: Path,
    tokenizer: str = TOKENIZER,
    dtype: torch.dtype = torch.float32,
    config: ParaClapConfig | None = None,
) -> ParaClapModel:
    """Write the release folder of an authors' checkpoint, and print what became of its keys.

    Args:
        checkpoint: The authors' `best.pth.tar`.
        output_dir: The folder to write.
        tokenizer: Hub id or folder of BERT's tokenizer.
        dtype: Data type of the written weights.
        config: The paper's by default.

    Returns:
        The model, as it was written.

    Raises:
        CheckpointError: If the file is not the authors' checkpoint, or the tokenizer not BERT's.
    """
    config = config or ParaClapConfig()
    tokenizer = load_tokenizer(tokenizer, config)  # first: it can fail before a gigabyte is read
    weights = read_checkpoint(checkpoint)
    print(f"{checkpoint}: sha256 {hash_file(checkpoint)}")
    renamed, dropped = rename_weights(weights)
    model = load_strictly(config, renamed, checkpoint).to(dtype)
    # The authors fed raw samples in [-1, 1].
    processor = ParaClapProcessor(ParaClapFeatureExtractor(do_normalize=False), tokenizer)
    save_release(model, processor, output_dir)
    print(f"{len(weights)} keys: {len(renamed)} used, {len(dropped)} dropped")
    for key, reason in dropped.items():
        print(f"  dropped {key}: {reason}")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{output_dir}: {parameters / 1e6:.1f} M parameters in {str(dtype).removeprefix('torch.')}")
    return model


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m modeling_paraclap.convert_paraclap_checkpoint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="the authors' best.pth.tar")
    parser.add_argument("--output_dir", type=Path, required=True, help="release folder to write")
    parser.add_argument(
        "--tokenizer", default=TOKENIZER, help="Hub id or folder of its tokenizer (default: %(default)s)"
    )
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of the weights (default: %(default)s)")
    args = parser.parse_args(arguments)
    try:
        convert(args.checkpoint, args.output_dir, args.tokenizer, DTYPES[args.dtype])
    except CheckpointError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
