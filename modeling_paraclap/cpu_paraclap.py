"""A model laid out for inference on a CPU: the same function, its layers replaced by faster ones.

Two things take time besides the arithmetic. A convolution wants its channels side by side as the layer norm behind it
does, but a waveform encoder turns its features over before and after each norm; and a matrix product arranges its
weights for the processor's registers at every call. Here the features stay as they are and the weights are arranged
once. 8-bit weights halve the arithmetic of bfloat16 once more, where the processor has instructions for them.
"""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

# Its attention takes the weights out of its linear layers.
LEFT_ALONE = ("WavLMAttention",)
FRAMES = 256  # that the arrangement of the weights is chosen for; any other number works


class ChannelsLastConv1d(nn.Module):
    """A convolution whose output, (batch, channels, time), lies in memory as (batch, time, channels).

    Args:
        convolution (`nn.Conv1d`): What to compute; its weight may be parametrised, as by a weight norm.
        dtype (`torch.dtype`): To compute in; the output has the dtype of the input.
    """

    def __init__(self, convolution: nn.Conv1d, dtype: torch.dtype):
        super().__init__()
        weight = convolution.weight.detach()[:, :, None].to(dtype)
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last), persistent=False)
        bias = None if convolution.bias is None else convolution.bias.detach().to(dtype)
        self.register_buffer("bias", bias, persistent=False)
        self.stride, self.padding = convolution.stride, convolution.padding  # towers ask for them
        self.dilation, self.groups = convolution.dilation, convolution.groups

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, channels, time) to (batch, channels, less time)."""
        image = features[:, :, None].to(self.weight.dtype, memory_format=torch.channels_last)
        stride, padding, dilation = (1, *self.stride), (0, *self.padding), (1, *self.dilation)
        image = F.conv2d(image, self.weight, self.bias, stride, padding, dilation, self.groups)
        return image[:, :, 0].to(features.dtype)


class PackedLinear(nn.Module):
    """A linear layer whose weight is arranged for oneDNN once; it has no other copy of it.

    `torch.compile` with frozen weights calls the same operators, which have no other public name.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().contiguous(), FRAMES)
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(..., inputs) to (..., outputs)."""
        return torch.ops.mkldnn._linear_pointwise(features, self.weight, self.bias, "none", [], "")


def lay_out_for_cpu(model: nn.Module, int8: bool = False) -> None:
    """Replaces the layers of a model's audio tower; see [`~ParaClapModel.optimize_for_cpu`].

    Args:
        model (`ParaClapModel`): In evaluation mode, on the CPU.
        int8 (`bool`): Whether the transformer's weights become 8-bit integers.

    Raises:
        ValueError: If the model is elsewhere, was laid out before, or cannot be computed with 8-bit weights.
    """
    tower = model.audio_model
    if model.device.type != "cpu":
        raise ValueError(f"The model is on {model.device}; this layout is for a CPU: model.to('cpu').")
    if any(isinstance(module, (ChannelsLastConv1d, PackedLinear)) for module in tower.modules()):
        raise ValueError("The model is laid out for a CPU already; load it again for another layout.")
    if int8:
        _quantise(model, tower)
    narrow = int8 or model.dtype == torch.bfloat16
    # In float32, oneDNN is slower on channels that lie side by side than what turning them over costs.
    if narrow:
        _replace(tower, nn.Conv1d, lambda layer: ChannelsLastConv1d(layer, torch.bfloat16))
    if model.dtype == torch.float32 or (narrow and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        _replace(tower, nn.Linear, PackedLinear)
    model.eval().requires_grad_(False)
    model.register_state_dict_pre_hook(_refuse_to_save)


def _quantise(model, tower):
    """8-bit weights in the transformer, whose activations stay float32; bfloat16 before it."""
    if "onednn" not in torch.backends.quantized.supported_engines:
        raise ValueError("This torch has no 8-bit products for the processor. Leave out int8.")
    kinds = {type(module).__name__ for module in tower.modules()}
    if model.dtype != torch.float32 or "ParaClapFrontEnd" in kinds or not kinds.isdisjoint(LEFT_ALONE):
        raise ValueError(
            f"8-bit weights are for a waveform encoder in float32, WavLM excepted; this is a {type(tower).__name__} "
            f"in {model.dtype}. Leave out int8."
        )
    extractor = tower.feature_extractor.to(torch.bfloat16)
    extractor.register_forward_pre_hook(lambda _, inputs: (inputs[0].to(torch.bfloat16), *inputs[1:]))
    extractor.register_forward_hook(lambda _, inputs, output: output.float())
    engine = torch.backends.quantized.engine
    torch.backends.quantized.engine = "onednn"
    try:
        with warnings.catch_warnings():
            # torchao, which the warning names, has no 8-bit product that is fast on a CPU without a compiler.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.ao.quantization.quantize_dynamic(tower.encoder, {nn.Linear}, dtype=torch.qint8, inplace=True)
    finally:
        torch.backends.quantized.engine = engine


def _replace(module, kind, replacement):
    for name, child in module.named_children():
        # A weight norm makes a subclass of the convolution.
        if isinstance(child, kind):
            setattr(module, name, replacement(child))
        elif type(child).__name__ not in LEFT_ALONE:
            _replace(child, kind, replacement)


def _refuse_to_save(module, prefix, keep_vars):
    raise RuntimeError("This model is laid out for inference on a CPU and cannot be saved; load it again to save it.")
