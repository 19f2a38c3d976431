"""A model laid out for a CPU: the same function, computed sooner.

Two things take time besides the arithmetic. A convolution wants its channels side by side as the layer norm behind it
does, but a waveform encoder turns its features over before and after each norm; and a matrix product arranges its
weights for the processor's registers at every call. Here the features stay as they are and the weights are arranged
once. 8-bit weights halve the arithmetic of bfloat16 once more, where the processor has instructions for them.
"""

import types
import warnings

import torch
from torch import nn
from torch.nn import functional as F

# WavLM's attention takes the weights out of its linear layers; the tower for little data loses its answers to 8 bits.
LEFT_ALONE = ("WavLMAttention",)
WITHOUT_INT8 = ("wavlm", "paraclap_audio")
FRAMES = 256  # that the arrangement of the weights is chosen for; any other number works


def convolve_channels_last(module: nn.Module) -> None:
    """Makes every `nn.Conv1d` write its output, (batch, channels, time), to memory as (batch, time, channels).

    The layer norms between them then find what they need, forward and backward. Parameters stay what they are, so that
    the module learns and is saved as before. In float32, oneDNN loses more by it than is gained.

    Args:
        module (`nn.Module`): Changed in place.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d) and not isinstance(layer.padding, str) and layer.padding_mode == "zeros":
            layer.forward = types.MethodType(_convolve, layer)


def _convolve(self, features):
    image, kernel = (x[:, :, None].to(memory_format=torch.channels_last) for x in (features, self.weight))
    stride, padding, dilation = (1, *self.stride), (0, *self.padding), (1, *self.dilation)
    return F.conv2d(image, kernel, self.bias, stride, padding, dilation, self.groups)[:, :, 0]


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
    """Rearranges a model's audio tower for inference; see [`~ParaClapModel.optimize_for_cpu`].

    Args:
        model (`ParaClapModel`): On the CPU; changed in place.
        int8 (`bool`): Whether the transformer's weights become 8-bit integers.

    Raises:
        ValueError: If the model is elsewhere, was laid out before, or cannot be computed with 8-bit weights.
    """
    tower, dtype = model.audio_model, model.dtype
    if model.device.type != "cpu":
        raise ValueError(f"The model is on {model.device}; this layout is for a CPU: model.to('cpu').")
    if _refuse_to_save in model._state_dict_pre_hooks.values():
        raise ValueError("The model is laid out for a CPU already; load it again for another layout.")
    if int8:
        _quantise(tower, dtype)
    if int8 or dtype == torch.bfloat16:
        _fold_weights(tower)
        convolve_channels_last(tower)
    # Without oneDNN, and in bfloat16 on a processor that it cannot use for that, linear layers stay as they are.
    packs = torch.backends.mkldnn.is_available()
    if packs and (dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        _pack_linear(tower)
    model.eval().requires_grad_(False)
    model.register_state_dict_pre_hook(_refuse_to_save)


def _quantise(tower, dtype):
    """8-bit weights in the transformer, whose activations stay float32; bfloat16 where it convolves."""
    if "onednn" not in torch.backends.quantized.supported_engines:
        raise ValueError("This torch has no 8-bit products for the processor. Leave out int8.")
    if dtype != torch.float32 or tower.config.model_type in WITHOUT_INT8:
        raise ValueError(
            f"8-bit weights are for a waveform encoder in float32, WavLM excepted; this is a {type(tower).__name__} "
            f"in {dtype}. Leave out int8."
        )
    for module in (tower.feature_extractor, tower.encoder.pos_conv_embed):
        module.to(torch.bfloat16)
        module.register_forward_pre_hook(lambda _, inputs: (inputs[0].to(torch.bfloat16), *inputs[1:]))
        module.register_forward_hook(lambda _, inputs, output: output.float())
    engine = torch.backends.quantized.engine
    torch.backends.quantized.engine = "onednn"
    try:
        with warnings.catch_warnings():
            # torchao, which the warning names, has no 8-bit product that is fast on a CPU without a compiler.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.ao.quantization.quantize_dynamic(tower.encoder, {nn.Linear}, dtype=torch.qint8, inplace=True)
    finally:
        torch.backends.quantized.engine = engine


def _fold_weights(module):
    """Computes weight norms once, and arranges the weights of convolutions as `_convolve` takes them."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv1d):
            # Not `remove_parametrizations`, which takes the weight from all deep copies of the layer.
            folded = nn.utils.skip_init(
                nn.Conv1d,
                child.in_channels,
                child.out_channels,
                child.kernel_size,
                child.stride,
                child.padding,
                child.dilation,
                child.groups,
                bias=child.bias is not None,
                padding_mode=child.padding_mode,
                dtype=child.weight.dtype,
            )
            weight = child.weight.detach()[:, :, None].contiguous(memory_format=torch.channels_last)
            folded.weight, folded.bias = nn.Parameter(weight[:, :, 0]), child.bias
            setattr(module, name, folded)
        else:
            _fold_weights(child)


def _pack_linear(module):
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, PackedLinear(child))
        elif type(child).__name__ not in LEFT_ALONE:
            _pack_linear(child)


def _refuse_to_save(module, prefix, keep_vars):
    raise RuntimeError("This model is laid out for inference on a CPU and cannot be saved; load it again to save it.")
