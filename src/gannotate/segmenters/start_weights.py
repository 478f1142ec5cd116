"""What a segmentation network starts from: random weights, its encoder's ImageNet weights, or any other weights.

Others are a segmenter's folder, a pre-trained encoder's (`gannotate pretrain`) or a file of weights.

Nothing is fetched unless `imagenet` is asked for by name. Such weights expect pictures less the mean and by the
deviation of ImageNet's colours; the networks here see [-1, 1]. Both are a shift and a gain a channel, the gains equal
to 2 %, and the batch normalisation after the first convolution takes out the shift and the common gain in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gannotate.errors import GannotateError, UsageError, why_unread
from gannotate.parsing import DAMAGED, load_json
from gannotate.segmenters.imagenet import imagenet_weights

RANDOM, IMAGENET = "random", "imagenet"

OWN_PREFIXES = ("encoder.", "encoder.model.")
"""Where a network here keeps its encoder: segmentation-models-pytorch's, and timm's inside it."""

FILE_PREFIXES = ("", "encoder.", "encoder.model.", "model.", "backbone.", "module.", "module.encoder.")
"""Where a file may keep it: torchvision's and timm's at the top, a segmenter's below encoder."""


def fill(network: nn.Module, weights: str, encoder: str) -> None:
    """Puts start weights into a new network: `random` leaves it as it is.

    Args:
        weights: random; imagenet, for the encoder called `encoder` (installed, or fetched from the hub); or
            a path: a segmenter's or a pre-trained encoder's folder, or a .safetensors, .pth or .pt file with the
            encoder's tensors by torchvision's, timm's or our names. All of the encoder must be there; what else fits
            by name and shape is taken too. The first convolution is brought from RGB to grey or back.

    Raises:
        UsageError: no such file, the network has no encoder, or the file is of another one. GannotateError: the
            weights cannot be fetched or read.
    """
    if weights == RANDOM:
        return
    tensors = _imagenet(encoder, network) if weights == IMAGENET else _read(Path(weights))
    own = network.state_dict()
    found = _matching(own, tensors)
    needed = [name for name in own if name.startswith("encoder.")] or [n for n in own if not n.startswith("head.")]
    missing = [name for name in needed if name not in found and not name.endswith("num_batches_tracked")]
    if missing:
        raise UsageError(
            f"{len(missing)} of the {len(needed)} tensors that the encoder {encoder} needs are not in {weights}, the "
            f"first is {missing[0]}; give weights of that encoder, or choose theirs with --encoder"
        )
    network.load_state_dict(own | found)


def encoder_in(weights: str) -> dict[str, Any]:
    """Name and depth of the encoder in a segmenter's or pre-trained encoder's folder; {} for anything else.

    Raises:
        GannotateError: the folder's config.json is damaged.
    """
    path = Path(weights) / "config.json"
    if weights in (RANDOM, IMAGENET) or not path.is_file():
        return {}
    try:
        config = load_json(path.read_bytes())
        kept = config.get("segmenter") or config.get("encoder") or {}
        return {name: kept[name] for name in ("encoder", "depth") if name in kept}
    except DAMAGED as error:
        raise GannotateError(f"{path} is damaged ({error}); make or copy that folder again") from error


def _imagenet(encoder: str, network: nn.Module) -> dict[str, Tensor]:
    if not isinstance(getattr(network, "encoder", None), nn.Module):
        raise UsageError("this network has no encoder with ImageNet weights; use --weights random, or a file's path")
    return imagenet_weights(encoder)


def _read(path: Path) -> dict[str, Tensor]:
    file = path / "model.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(
            f"{path} is no file of weights; use random, imagenet, a weights file, or the folder of a segmenter or of a "
            "pre-trained encoder"
        )
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        loaded = torch.load(file, map_location="cpu", weights_only=True)  # tensors only: executes nothing
    except Exception as error:  # the two readers raise a dozen kinds for files that are not theirs
        reason = why_unread(error)
        raise GannotateError(f"{file} is no readable file of weights ({reason}); give .safetensors or .pth") from error
    for key in ("state_dict", "model"):
        loaded = loaded.get(key, loaded) if isinstance(loaded, Mapping) else loaded
    tensors = loaded if isinstance(loaded, Mapping) else {}
    return {name: value for name, value in tensors.items() if isinstance(value, Tensor)}


def _matching(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors for our names: same name and shape anywhere, and the encoder under the prefix that finds the most."""
    best: dict[str, Tensor] = {}
    for here in OWN_PREFIXES:
        for there in FILE_PREFIXES:
            names = {name: there + name.removeprefix(here) for name in own if name.startswith(here)}
            found = {name: given[other] for name, other in names.items() if other in given}
            fitting = {name: fit for name, tensor in found.items() if (fit := _fitted(tensor, own[name])) is not None}
            best = max(best, fitting, key=len)
    elsewhere = {name: given[name] for name in own if not name.startswith("encoder.") and name in given}
    return best | {name: tensor for name, tensor in elsewhere.items() if tensor.shape == own[name].shape}


def _fitted(tensor: Tensor, like: Tensor) -> Tensor | None:
    """The tensor if it has the shape of `like`; a first convolution's, with its input channels summed or spread."""
    if tensor.shape == like.shape:
        return tensor
    other_inputs = tensor.ndim == like.ndim == 4 and len(tensor) == len(like) and tensor.shape[2:] == like.shape[2:]
    if other_inputs and like.shape[1] == 1 and tensor.shape[1] == 3:
        return tensor.sum(1, keepdim=True)  # the answer to grey shown as RGB
    if other_inputs and like.shape[1] == 3 and tensor.shape[1] == 1:
        return tensor.repeat(1, 3, 1, 1) / 3  # the answer to the mean of the colours
    return None
