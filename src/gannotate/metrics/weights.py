"""Weights of measuring networks, read from files of the user: nothing in a file is executed, nothing is downloaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gannotate.errors import GannotateError, why_unread


def read_state(path: Path, kind: str) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors file or a torch file.

    Args:
        kind: whose weights are wanted, for the sentences, e.g. 'inception_v3'.

    Raises:
        GannotateError: not readable, or no dict of tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the two readers raise a dozen kinds for files that are not theirs
        raise GannotateError(
            f"cannot read {kind} weights from {path} ({why_unread(error)}); give a state dict saved with "
            "torch.save, or a .safetensors file"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise GannotateError(f"{path} holds no state dict of tensors; save {kind}(...).state_dict()")
    return state


def check_shapes(found: Mapping[str, Tensor], expected: Mapping[str, Sequence[int]], sentence: str) -> None:
    """Checks that `found` holds exactly the names and shapes of `expected`.

    Args:
        sentence: begins the error, e.g. 'FILE is not a torchvision vgg16 state dict'.

    Raises:
        GannotateError: entries are missing, unknown or of another shape; names the first.
    """
    wrong = [name for name, shape in expected.items() if name not in found or found[name].shape != torch.Size(shape)]
    wrong += [name for name in found if name not in expected]
    if wrong:
        raise GannotateError(
            f"{sentence}: {len(wrong)} entries are missing, unknown or of another shape, the first is {wrong[0]!r}"
        )


def digest(paths: Sequence[Path]) -> str:
    """Eight hexadecimal digits that stand for the files' bytes, for the name of a feature space."""
    joined = hashlib.sha256(b"".join(path.read_bytes() for path in paths))
    return joined.hexdigest()[:8]
