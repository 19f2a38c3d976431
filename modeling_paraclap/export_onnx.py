"""Writes both towers of a release as ONNX files, for onnxruntime: needs `pip install "paraclap[onnx]"`.

    python -m modeling_paraclap.export_onnx --model DIR_OR_HUB_ID --output_dir DIR [--int8]

    audio.onnx   input_values (batch, samples), padding_mask (batch, samples) -> embeddings (batch, embedding_dim)
    text.onnx    input_ids (batch, tokens), attention_mask (batch, tokens)    -> embeddings (batch, embedding_dim)

The masks say what counts and is no padding, bool for audio and int64 for text, as the processor gives them; batch,
samples and tokens are free. The embeddings have unit length, so that a score is softmax(exp(logit_scale) * audio @
text.T), and exp(logit_scale) stands in export.json.
--int8 adds audio.int8.onnx and text.int8.onnx, their matrix products in dynamically quantised 8-bit integers.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoModel

from . import ParaClapModel

INPUTS = {"audio": ("input_values", "padding_mask"), "text": ("input_ids", "attention_mask")}
OPSET = 20  # the first with Gelu as one operator


class AudioTower(nn.Module):
    """Waveforms and their mask -> embeddings of unit length.

    Args:
        model: Whose audio tower and projection these are.
    """

    def __init__(self, model: ParaClapModel):
        super().__init__()
        self.model = model

    def forward(self, input_values: torch.Tensor, padding_mask: torch.Tensor) -> torch.Tensor:
        """Turn (batch, samples) and its mask into (batch, embedding_dim)."""
        return F.normalize(self.model.get_audio_features(input_values, padding_mask).pooler_output, dim=-1)


class TextTower(nn.Module):
    """Tokens and their mask -> embeddings of unit length.

    Args:
        model: Whose text tower and projection these are.
    """

    def __init__(self, model: ParaClapModel):
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Turn (batch, tokens) and its mask into (batch, embedding_dim)."""
        return F.normalize(self.model.get_text_features(input_ids, attention_mask).pooler_output, dim=-1)


def example_inputs(model: ParaClapModel, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two inputs of different lengths to trace with; the graph holds for any other batch and length."""
    if name == "audio":
        mask = torch.ones(2, 16000, dtype=torch.bool)
        values = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))
    else:
        mask = torch.ones(2, 12, dtype=torch.long)
        values = torch.full((2, 12), min(5, model.config.text_config.vocab_size - 1))
    mask[1, mask.shape[1] // 2 :] = 0
    return values, mask


@torch.no_grad()
def export_tower(model: ParaClapModel, name: str) -> torch.export.ExportedProgram:
    """Export one tower as a graph whose batch and length are dynamic.

    Args:
        model: The model, in evaluation mode and float32.
        name: `"audio"` or `"text"`.

    Returns:
        A program whose module takes and gives what `AudioTower` or `TextTower` does.
    """
    tower = AudioTower(model) if name == "audio" else TextTower(model)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    return torch.export.export(tower.eval(), example_inputs(model, name), dynamic_shapes=(free, free))


def export_onnx(model: ParaClapModel, output_dir: Path, int8: bool = False) -> Path:
    """Write `audio.onnx`, `text.onnx` and `export.json`.

    Args:
        model: The model to export; it is put into evaluation mode.
        output_dir: Folder to write; made if missing.
        int8: Whether to write the 8-bit files too.

    Returns:
        The folder.

    Raises:
        ImportError: If onnx, onnxscript or onnxruntime are missing.
        ValueError: If the model is not float32: half precision is no faster in onnxruntime on a CPU.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise ImportError(f'{error}. Exporting needs more packages: pip install "paraclap[onnx]"') from error
    if model.dtype != torch.float32:
        raise ValueError(f"The model is in {model.dtype}; load it with dtype=torch.float32 to export it.")
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    model.eval()
    for name, inputs in INPUTS.items():
        program = torch.onnx.export(
            export_tower(model, name),
            input_names=list(inputs),
            output_names=["embeddings"],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        program.save(folder / f"{name}.onnx")
        if int8:
            # Convolutions stay as they are: 8-bit ones are slower, and the first sees the waveform itself.
            quantize_dynamic(
                folder / f"{name}.onnx",
                folder / f"{name}.int8.onnx",
                op_types_to_quantize=["MatMul", "Gemm"],
                weight_type=QuantType.QInt8,
                per_channel=True,
            )
    facts = {
        "logit_scale": model.logit_scale.exp().item(),
        "logit_bias": 0.0 if model.logit_bias is None else model.logit_bias.item(),
        "projection_dim": model.config.projection_dim,
        "embedding_dim": model.config.embedding_dim,
        "hypothesis_template": model.config.hypothesis_template,
    }
    (folder / "export.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return folder


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m modeling_paraclap.export_onnx",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", required=True, help="release folder or Hub id of a ParaCLAP")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder to write")
    parser.add_argument("--int8", action="store_true", help="write 8-bit files too")
    args = parser.parse_args(arguments)
    try:
        folder = export_onnx(AutoModel.from_pretrained(args.model, dtype=torch.float32), args.output_dir, args.int8)
    except ImportError as error:
        parser.exit(2, f"error: {error}\n")
    for file in sorted(folder.glob("*.onnx*")):
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
