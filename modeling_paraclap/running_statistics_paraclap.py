"""Frozen means unchanged: what is no parameter, a running mean above all, moves only where parameters learn.

An adapter keeps the parameters that it adds, and nothing of the model that it stands on. A running mean that moved in
its training would be lost with the model, and the adapter loaded onto that model anew would answer otherwise.
"""

import re
from typing import Any

from torch import nn

AUDIO_PARTS = ("audio_model.", "audio_pooling.", "audio_projection.")
PARTS = (*AUDIO_PARTS, "text_model.", "text_projection.")
# What compilation, activation checkpointing and FSDP put between the names of a module and its parameter.
WRAPPERS = ("_orig_mod.", "_checkpoint_wrapped_module.", "_fsdp_wrapped_module.")
MEMBER = re.compile(r"^members\.\d+\.")


def own_parameters(model: nn.Module) -> frozenset[str]:
    """Return the names of the parameters of a model's towers and projections, as they are when it is made."""
    return frozenset(name for name in map(_plain, dict(model.named_parameters())) if name.startswith(PARTS))


def audio_learns(model: nn.Module, own: frozenset[str]) -> bool:
    """Return whether the audio side learns, and through its own parameters rather than those of an adapter.

    Args:
        model: A [`ParaClapModel`].
        own: Result of `own_parameters` when the model was created.
    """
    learning = {_plain(name) for name, parameter in model.named_parameters() if parameter.requires_grad}
    learning = {name for name in learning if name.startswith(PARTS)}
    return learning <= own and any(name.startswith(AUDIO_PARTS) for name in learning)


def hold_frozen_statistics(module: nn.Module) -> None:
    """Let batch norms, which some encoders have, use their running statistics while their parameters are frozen."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.register_forward_pre_hook(_hold_if_frozen)


def _hold_if_frozen(module: nn.Module, inputs: Any) -> None:
    # Adapters may train biases beside frozen weights.
    if module.training and not all(parameter.requires_grad for parameter in module.parameters(recurse=False)):
        module.eval()  # `train()` undoes it


def _plain(name: str) -> str:
    """Return a parameter's name without wrappers, and as the first member, whose name has no prefix, has it."""
    for wrapper in WRAPPERS:
        name = name.replace(wrapper, "")
    return MEMBER.sub("", name)
