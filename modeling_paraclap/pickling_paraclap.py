"""Modules whose weights are parametrized, such as the weight norm of wav2vec 2.0, can be sent to other processes.

torch refuses to pickle them, because each has a class of its own, made when it was parametrized. That stops everything
that sends a model where processes are spawned: loaders, launchers, `torch.save(model)`.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm


def make_picklable(module: nn.Module) -> None:
    """Let every parametrized module in a module be pickled; see [`_reduce`]."""
    for part in module.modules():
        if parametrize.is_parametrized(part):
            type(part).__reduce_ex__ = _reduce  # the class is this module's alone


def _reduce(module: nn.Module, protocol: Any) -> tuple:
    """Return the plain class, and the module's content with its parametrizations apart."""
    state = module.__dict__.copy()
    state["_modules"] = {name: part for name, part in module._modules.items() if name != "parametrizations"}
    # Weight norm's hook for the names of older checkpoints is a local function; `weight_norm` registers it anew.
    hooks = module._load_state_dict_pre_hooks.items()
    state["_load_state_dict_pre_hooks"] = OrderedDict((key, hook) for key, hook in hooks if not _is_compat_hook(hook))
    return _new_module, (parametrize.type_before_parametrizations(module),), (state, dict(module.parametrizations))


def _new_module(plain_class: type[nn.Module]) -> nn.Module:
    unfinished = type(plain_class.__name__, (plain_class,), {"__setstate__": _restore, "plain_class": plain_class})
    return unfinished.__new__(unfinished)


def _restore(module: Any, saved: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Parametrize the plain module anew and give it the very tensors that were saved."""
    state, parametrizations = saved
    module.__class__ = module.plain_class
    module.__dict__.update(state)
    for name, saved_list in parametrizations.items():
        with torch.no_grad():
            setattr(module, name, nn.Parameter(saved_list(), requires_grad=False))
        for parametrization in saved_list:
            if type(parametrization).__name__ == "_WeightNorm":
                weight_norm(module, name, parametrization.dim)
            else:
                parametrize.register_parametrization(module, name, parametrization, unsafe=saved_list.unsafe)
        module.parametrizations[name] = saved_list
    make_picklable(module)


def _is_compat_hook(hook: Any) -> bool:
    function = getattr(hook, "hook", hook)
    return getattr(function, "__qualname__", "").startswith("weight_norm.<locals>")
