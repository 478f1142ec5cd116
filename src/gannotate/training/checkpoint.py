"""Checkpoints: one safetensors file holding tensors and, as JSON in its header, everything else. No pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gannotate.errors import GannotateError
from gannotate.files import write_bytes
from gannotate.parsing import DAMAGED, load_json

Tree = Any
"""Nested dicts, lists and tuples of tensors, numbers, strings, booleans and None."""


def save_checkpoint(path: str | Path, tree: Tree) -> None:
    """Writes `tree` to `path` atomically. Tuples come back as lists; dict keys may be strings or integers."""
    tensors: dict[str, Tensor] = {}
    skeleton = _take_apart(tree, tensors)
    write_bytes(path, save(tensors, metadata={"tree": json.dumps(skeleton)}))


def load_checkpoint(path: str | Path) -> Tree:
    """Reads what `save_checkpoint` wrote; tensors on the CPU.

    Raises:
        GannotateError: missing, damaged, or not one of our checkpoints.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            skeleton = load_json((file.metadata() or {})["tree"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return _put_together(skeleton, tensors)
    except FileNotFoundError as error:
        raise GannotateError(f"no checkpoint at {path}") from error
    except (SafetensorError, RuntimeError, *DAMAGED) as error:
        raise GannotateError(f"{path} is not a whole checkpoint of this program ({error})") from error


def _take_apart(value: Tree, tensors: dict[str, Tensor]) -> Tree:
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        # contiguous copies: safetensors refuses shared or strided memory
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name, "channels_last": _is_channels_last(value)}
    if isinstance(value, dict):
        return {"dict": [[key, _take_apart(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_take_apart(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}")


def _put_together(skeleton: Tree, tensors: dict[str, Tensor]) -> Tree:
    if "tensor" in skeleton:
        tensor = tensors[skeleton["tensor"]]
        # float sums depend on the memory order, and a resumed run must equal an undisturbed one
        return tensor.contiguous(memory_format=torch.channels_last) if skeleton["channels_last"] else tensor
    if "dict" in skeleton:
        return {key: _put_together(item, tensors) for key, item in skeleton["dict"]}
    if "list" in skeleton:
        return [_put_together(item, tensors) for item in skeleton["list"]]
    return skeleton["value"]


def _is_channels_last(tensor: Tensor) -> bool:
    return tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()
