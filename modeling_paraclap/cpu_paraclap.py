"""Inference layout of a model for a CPU: the same function, computed faster.

Four things take time besides the arithmetic. A convolution wants its channels side by side as the layer norm behind it
does, but a waveform encoder turns its features over before and after each norm; a matrix product arranges its weights
for the processor's registers at every call; the convolution that tells frames their positions has so long a kernel
that a product of spectra is faster; and attention in bfloat16 is computed in small blocks. Here the features stay as
they are, the weights are arranged once, and attention is computed by whole matrices. 8-bit weights halve the arithmetic
of bfloat16 once more, where the processor has instructions for them.
"""

import types
import warnings

import torch
from torch import nn
from torch.nn import functional as F

from .attention_paraclap import NAME, products_are_faster

# WavLM's attention takes the weights out of its linear layers; the tower for little data loses its answers to 8 bits.
LEFT_ALONE = ("WavLMAttention",)
WITHOUT_INT8 = ("wavlm", "paraclap_audio")
MANY_CHANNELS = 16  # from which adding two outputs up is faster than copying the input for one product
LONG_KERNEL = 64  # from which spectra are faster
FRAMES = 256  # that the arrangement of the weights is chosen for; any other number works


def convolve_channels_last(module: nn.Module) -> None:
    """Make every `nn.Conv1d` write its output, (batch, channels, time), to memory as (batch, time, channels).

    The layer norms between them then find what they need, forward and backward. Parameters stay what they are, so that
    the module learns and is saved as before. In float32, oneDNN loses more by it than is gained; see [`FrameConv1d`].

    Args:
        module: Changed in place.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d) and not isinstance(layer.padding, str) and layer.padding_mode == "zeros":
            layer.forward = types.MethodType(_convolve, layer)


def _convolve(self: nn.Conv1d, features: torch.Tensor) -> torch.Tensor:
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
        """Turn (..., inputs) into (..., outputs)."""
        return torch.ops.mkldnn._linear_pointwise(features, self.weight, self.bias, "none", [], "")


class FrameConv1d(nn.Module):
    """A convolution as matrix products, of features that lie in memory as (batch, time, channels) before and after.

    The kernel's first `stride` taps see every sample once, so that their product needs no copy of the features.
    """

    def __init__(self, conv: nn.Conv1d):
        super().__init__()
        self.kernel_size, self.stride, self.padding = conv.kernel_size, conv.stride, conv.padding
        (kernel,) = conv.kernel_size
        self.taps = min(*conv.stride, kernel) if conv.in_channels >= MANY_CHANNELS else kernel
        weight = conv.weight.detach().transpose(1, 2)  # (outputs, taps, inputs)
        self.first = _linear(weight[:, : self.taps], conv.bias)
        self.others = _linear(weight[:, self.taps :]) if self.taps < kernel else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Turn (batch, channels, time) into (batch, channels, less time)."""
        (kernel,), (padding,) = self.kernel_size, self.padding
        features = features.transpose(1, 2)
        if padding:  # else it would be a copy
            features = F.pad(features, (0, 0, padding, padding))
        length = features.shape[1] - kernel + 1
        result = self.first(self._frames(features, length, self.taps))
        if self.others is not None:
            result += self.others(self._frames(features[:, self.taps :], length, kernel - self.taps))
        return result.transpose(1, 2)

    def _frames(self, features: torch.Tensor, length: int, taps: int) -> torch.Tensor:
        """Turn (batch, time, channels) into (batch, frames, taps * channels), a frame for every stride."""
        (stride,) = self.stride
        features = features[:, : length - 1 - (length - 1) % stride + taps]
        if taps == stride:
            return features.reshape(len(features), -1, taps * features.shape[2])
        return features.unfold(1, taps, stride).transpose(2, 3).flatten(2)


def _linear(weight: torch.Tensor, bias: torch.Tensor | None = None) -> nn.Linear:
    """Make a layer of weights (outputs, taps, inputs) for the inputs of one tap after the other."""
    layer = nn.utils.skip_init(nn.Linear, weight[0].numel(), len(weight), bias is not None, dtype=weight.dtype)
    layer.weight = nn.Parameter(weight.flatten(1).contiguous())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach())
    return layer


class SpectralConv1d(nn.Module):
    """A convolution with a long kernel, as a product of spectra, block by block (overlap-save); in float32 inside."""

    def __init__(self, conv: nn.Conv1d):
        super().__init__()
        (self.kernel,), (self.stride,), (self.padding,) = conv.kernel_size, conv.stride, conv.padding
        self.block = 2 * self.kernel  # half of it is result
        # A layer correlates, a product of spectra convolves: the kernel is turned round.
        spectrum = torch.fft.rfft(conv.weight.detach().float().flip(2), self.block)
        self.spectrum = spectrum.unflatten(0, (conv.groups, -1)).permute(3, 0, 2, 1).contiguous()
        self.bias = 0 if conv.bias is None else conv.bias.detach().float()[:, None]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Turn (batch, channels, frames) into (batch, channels, (frames + 2 * padding - kernel) // stride + 1)."""
        batch, _, frames = features.shape
        bins, groups, inputs, outputs = self.spectrum.shape
        length, step = frames + 2 * self.padding - self.kernel + 1, self.block - self.kernel + 1
        blocks = -(-length // step)
        behind = blocks * step + self.kernel - 1 - frames - self.padding
        padded = F.pad(features.float(), (self.padding, behind))
        spectra = torch.fft.rfft(padded.unfold(2, self.block, step)).unflatten(1, (groups, inputs))
        spectra = spectra.permute(4, 1, 0, 3, 2).reshape(bins, groups, batch * blocks, inputs)
        products = (spectra @ self.spectrum).view(bins, groups, batch, blocks, outputs).permute(2, 1, 4, 3, 0)
        result = torch.fft.irfft(products, self.block)[..., self.kernel - 1 :]
        result = result.reshape(batch, groups * outputs, -1)[..., : length : self.stride]
        return (result + self.bias).to(features.dtype)


def lay_out_for_cpu(model: nn.Module, int8: bool = False) -> None:
    """Rearrange a model's audio tower for inference on a CPU; see [`~ParaClapModel.optimize_for_cpu`].

    Args:
        model: On the CPU; changed in place.
        int8: Whether the transformer's weights become 8-bit integers.

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
    _replace_convolutions(tower)
    if int8 or dtype == torch.bfloat16:
        convolve_channels_last(tower)
        for layer in tower.modules():
            if isinstance(layer, nn.Conv1d):  # so that no call rearranges the kernel
                layer.weight.data = layer.weight.data.transpose(1, 2).contiguous().transpose(1, 2)
    # Without oneDNN, and in bfloat16 on a processor that it cannot use for that, linear layers stay as they are.
    packs = torch.backends.mkldnn.is_available()
    if packs and (dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        _pack_linear(tower)
        if dtype == torch.bfloat16 and tower.config._attn_implementation == "sdpa" and products_are_faster():
            tower.set_attn_implementation(NAME)
    model.eval().requires_grad_(False)
    model.register_state_dict_pre_hook(_refuse_to_save)


def _quantise(tower: nn.Module, dtype: torch.dtype) -> None:
    """Quantise the transformer's weights to 8 bits, with float32 activations; the layers before it run in bfloat16."""
    if "onednn" not in torch.backends.quantized.supported_engines:
        raise ValueError("This torch has no 8-bit products for the processor. Leave out int8.")
    if dtype != torch.float32 or tower.config.model_type in WITHOUT_INT8:
        raise ValueError(
            f"8-bit weights are for a waveform encoder in float32, WavLM excepted; this is a {type(tower).__name__} "
            f"in {dtype}. Leave out int8."
        )
    if hasattr(tower, "feature_extractor"):  # Whisper's two convolutions are too little to gain by it
        tower.feature_extractor.to(torch.bfloat16)
        tower.feature_extractor.register_forward_pre_hook(lambda _, inputs: (inputs[0].to(torch.bfloat16), *inputs[1:]))
        tower.feature_extractor.register_forward_hook(lambda _, inputs, output: output.float())
    engine = torch.backends.quantized.engine
    torch.backends.quantized.engine = "onednn"
    try:
        with warnings.catch_warnings():
            # torchao, which the warning names, has no 8-bit product that is fast on a CPU without a compiler.
            warnings.simplefilter("ignore", DeprecationWarning)
            transformer = tower.layers if hasattr(tower, "layers") else tower.encoder
            torch.ao.quantization.quantize_dynamic(transformer, {nn.Linear}, dtype=torch.qint8, inplace=True)
    finally:
        torch.backends.quantized.engine = engine


def _replace_convolutions(module: nn.Module) -> None:
    """Compute long kernels by spectra and, in float32, the others by matrix products, which bfloat16 does not need."""
    for name, child in module.named_children():
        if not isinstance(child, nn.Conv1d):
            _replace_convolutions(child)
        elif child.dilation == (1,) and child.padding_mode == "zeros" and not isinstance(child.padding, str):
            if child.kernel_size[0] >= LONG_KERNEL:
                setattr(module, name, SpectralConv1d(child))
            elif child.groups == 1 and child.weight.dtype == torch.float32:
                setattr(module, name, FrameConv1d(child))


def _pack_linear(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, PackedLinear(child))
        elif type(child).__name__ not in LEFT_ALONE:
            _pack_linear(child)


def _refuse_to_save(module: nn.Module, prefix: str, keep_vars: bool) -> None:
    raise RuntimeError("This model is laid out for inference on a CPU and cannot be saved; load it again to save it.")
