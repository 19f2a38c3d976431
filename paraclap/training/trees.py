"""Nested states (of an optimizer, a schedule, random generators) as safetensors and JSON, which cannot run code."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

TENSOR, TUPLE, NUMBERED = "tensor", "tuple", "numbered"  # types that JSON lacks


def save_tree(tree: Any, stem: Path) -> None:
    """Write a tree of dicts, lists and plain values to STEM.json, and its tensors to STEM.safetensors.

    Raises:
        TypeError: If the tree holds anything else, or a dict has keys other than strings or integers.
    """
    tensors: dict[str, torch.Tensor] = {}
    content = _encode(tree, tensors)
    save_file(tensors, f"{stem}.safetensors")
    Path(f"{stem}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_tree(stem: Path) -> Any:
    """Return a tree written by [`save_tree`], with its tensors on the CPU.

    Raises:
        OSError: If a file is missing.
        ValueError: If the JSON is damaged.
        KeyError: If a tensor is missing.
        SafetensorError: If the tensors' file is damaged.
    """
    content = json.loads(Path(f"{stem}.json").read_text(encoding="utf-8"))
    return _decode(content, load_file(f"{stem}.safetensors"))


def _encode(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(tree, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = tree.detach().cpu().contiguous().clone()
        return {TENSOR: name}
    if isinstance(tree, tuple):
        return {TUPLE: [_encode(part, tensors) for part in tree]}
    if isinstance(tree, list):
        return [_encode(part, tensors) for part in tree]
    if isinstance(tree, dict):
        if all(isinstance(key, str) and key not in (TENSOR, TUPLE, NUMBERED) for key in tree):
            return {key: _encode(part, tensors) for key, part in tree.items()}
        if all(type(key) is int for key in tree):
            return {NUMBERED: [[key, _encode(part, tensors)] for key, part in tree.items()]}
        raise TypeError(f"A state has the keys {list(tree)[:3]}; expected strings or integers.")
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError(f"A state holds a {type(tree).__name__}; expected tensors, numbers, strings, lists or dicts.")


def _decode(content: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(content, list):
        return [_decode(part, tensors) for part in content]
    if not isinstance(content, dict):
        return content
    if content.keys() == {TENSOR}:
        return tensors[content[TENSOR]]
    if content.keys() == {TUPLE}:
        return tuple(_decode(part, tensors) for part in content[TUPLE])
    if content.keys() == {NUMBERED}:
        return {int(key): _decode(part, tensors) for key, part in content[NUMBERED]}
    return {key: _decode(part, tensors) for key, part in content.items()}
