"""Where a segmentation network's training pictures come from: what is held in memory, drawn online, or both."""

from __future__ import annotations

import hashlib
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.data.labelled import LabelledSet
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE, check_label_map
from gannotate.segmenters.build import SegmenterConfig

Labels = Literal["soft", "hard"]
"""Learn from class probabilities where the data has them, or from label maps alone."""


class Batch(NamedTuple):
    """Pictures in [-1, 1] with their class ids (255 = ignore) and, for soft labels, class probabilities."""

    pictures: Float[Tensor, "n c h w"]
    label_maps: Int[Tensor, "n h w"]
    soft: Float[Tensor, "n k h w"] | None


class Source(Protocol):
    """Gives training pictures, as many as asked for."""

    def check(self, config: SegmenterConfig) -> None:
        """Raises UsageError or GannotateError if the pictures and labels do not fit the network."""
        ...

    def about(self, classes: int) -> dict[str, Any]:
        """What the pictures and labels are, json-able; a training is resumed only on the same."""
        ...

    def batch(self, count: int, device: torch.device) -> Batch:
        """`count` pictures, drawn with torch's global generator, which the training loop seeds before each step."""
        ...


class Stored:
    """Draws from labelled pictures in memory, without replacement where there are enough."""

    def __init__(self, data: LabelledSet, labels: Labels = "soft") -> None:
        self.data = data
        # uint8 and float16 stay so: 20,000 pictures of 64 px with 12 soft classes take 2 GB as they are
        self.pictures = torch.from_numpy(data.pictures).permute(0, 3, 1, 2)
        self.label_maps = torch.from_numpy(data.label_maps)
        self.soft = torch.from_numpy(data.soft) if labels == "soft" and data.soft is not None else None

    def check(self, config: SegmenterConfig) -> None:
        """See `check_data`."""
        check_data(self.data, config)

    def about(self, classes: int) -> dict[str, Any]:
        """Number of pictures, labelled pixels a class, and a hash of all that is read."""
        pixels = np.bincount(self.data.label_maps.ravel(), minlength=256)
        digest = hashlib.sha256(self.data.pictures.tobytes())
        digest.update(self.data.label_maps.tobytes())
        if self.soft is not None:
            digest.update(self.soft.numpy().tobytes())
        return {
            "pictures": len(self.data),
            "soft_labels": self.soft is not None,
            "labelled_px": pixels[:classes].tolist(),
            "ignored_px": int(pixels[IGNORE]),
            "hash": digest.hexdigest(),
        }

    def batch(self, count: int, device: torch.device) -> Batch:
        """`count` of the pictures."""
        picked = pick(len(self.pictures), count)
        return Batch(
            to_float(self.pictures[picked].to(device)),
            self.label_maps[picked].to(device).long(),
            None if self.soft is None else self.soft[picked].to(device).float(),
        )


def pick(available: int, count: int) -> Int[Tensor, "n ..."]:
    """`count` of the numbers below `available`; each at most once unless there are fewer."""
    return torch.randperm(available)[:count] if available >= count else torch.randint(available, (count,))


def to_float(pictures: Tensor) -> Float[Tensor, "n c h w"]:
    """uint8 pictures in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def check_data(data: LabelledSet, config: SegmenterConfig) -> None:
    """Checks that the pictures and labels fit the network.

    Raises:
        UsageError: no pictures, another size or number of channels or classes, nothing labelled. GannotateError:
            unknown class ids; names the picture.
    """
    if not len(data):
        raise UsageError("no labelled pictures were given; give at least one")
    height, width, channels = data.pictures.shape[1:]
    if (height, width, channels) != (config.size, config.size, config.image_channels):
        raise UsageError(
            f"the pictures are {width}x{height} px with {channels} channel(s), the segmenter takes {config.size}x"
            f"{config.size} with {config.image_channels}; read them with that size and number of channels"
        )
    if data.label_maps.shape != data.pictures.shape[:3]:
        raise GannotateError(f"label maps {data.label_maps.shape} do not fit pictures {data.pictures.shape}")
    if data.soft is not None and data.soft.shape != (len(data), config.classes, height, width):
        raise UsageError(
            f"the soft labels have shape {data.soft.shape}; {config.classes} classes ask for "
            f"{(len(data), config.classes, height, width)}"
        )
    for name, label_map in zip(data.names, data.label_maps, strict=True):
        check_label_map(label_map, config.classes, name)
    if (data.label_maps == IGNORE).all():
        raise UsageError(f"nothing is labelled: every pixel of the {len(data)} label maps is {IGNORE} (ignore)")
