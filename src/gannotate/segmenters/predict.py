"""Using a trained segmenter: uint8 pictures of any size in, uint8 label maps out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Generic, Literal, TypeVar, overload

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from gannotate.errors import UsageError
from gannotate.segmenters.build import AnswerConfig, SegmenterConfig, load_segmenter
from gannotate.segmenters.tiling import View, tiled

WHOLE = View()
"""Whole pictures at the size that the network learned on."""

BATCH = 32
"""Pictures that pass the network together."""


Config = TypeVar("Config", bound=AnswerConfig)


class Predictor(ABC, Generic[Config]):
    """What labels pictures, whatever computes the answers; the same call gives the same answer each time.

    A picture that is not size x size is brought to that size (as for training), and its class probabilities are
    brought back bilinearly before the most probable class is taken. Grey pictures may be given to an RGB segmenter
    and the other way round. A `View` shows the picture in tiles, or at several scales.
    """

    config: Config

    @abstractmethod
    def answers(self, batch: np.ndarray | Sequence[np.ndarray], scale: float) -> Iterator[np.ndarray]:
        """Class probabilities float32 (k, h, w) of checked pictures, seen at `scale` times the network's size."""

    @overload
    def predict(self, pictures: np.ndarray, probabilities: Literal[False] = ..., view: View = ...) -> np.ndarray: ...
    @overload
    def predict(
        self, pictures: np.ndarray, probabilities: Literal[True], view: View = ...
    ) -> tuple[np.ndarray, np.ndarray]: ...
    @overload
    def predict(
        self, pictures: Sequence[np.ndarray], probabilities: Literal[False] = ..., view: View = ...
    ) -> list[np.ndarray]: ...
    @overload
    def predict(
        self, pictures: Sequence[np.ndarray], probabilities: Literal[True], view: View = ...
    ) -> tuple[list[np.ndarray], list[np.ndarray]]: ...

    def predict(self, pictures: np.ndarray | Sequence[np.ndarray], probabilities: bool = False, view: View = WHOLE):
        """Label maps uint8 (h, w) of pictures, each at its picture's own size.

        Args:
            pictures: uint8 (n, h, w, c), or a list of uint8 (h, w, c) of any sizes; c is 1 or 3.
            probabilities: also give the class probabilities, float32 (k, h, w) a picture.
            view: whole pictures or tiles, at one scale or several.

        Returns:
            An array with a first axis of n for an array, a list for a list; with `probabilities` a pair of those.

        Raises:
            UsageError: something else than such pictures.
        """
        label_maps, kept = [], []
        for answer in self.iterate(pictures, view):
            label_maps.append(answer.argmax(0).astype(np.uint8))
            if probabilities:
                kept.append(answer)
        if isinstance(pictures, np.ndarray):
            shape = pictures.shape[1:3]
            maps = np.stack(label_maps) if label_maps else np.zeros((0, *shape), np.uint8)
            empty = np.zeros((0, self.config.classes, *shape), np.float32)
            return (maps, np.stack(kept) if kept else empty) if probabilities else maps
        return (label_maps, kept) if probabilities else label_maps

    def iterate(self, pictures: np.ndarray | Sequence[np.ndarray], view: View = WHOLE) -> Iterator[np.ndarray]:
        """Yields the class probabilities float32 (k, h, w) of each picture; takes the memory of one batch."""
        check_pictures(pictures)
        if view.tile_px is None:
            yield from self._whole(pictures, view.scales)
            return
        for picture in pictures:
            if max(picture.shape[:2]) <= view.tile_px:
                yield from self._whole([picture], view.scales)
            else:
                yield tiled(picture, view, lambda tiles: self._whole(tiles, view.scales))

    def _whole(self, pictures: np.ndarray | Sequence[np.ndarray], scales: Sequence[float]) -> Iterator[np.ndarray]:
        for start in range(0, len(pictures), BATCH):
            batch = pictures[start : start + BATCH]
            for found in zip(*(self.answers(batch, scale) for scale in scales), strict=True):
                yield found[0] if len(found) == 1 else np.mean(found, axis=0)


class Segmenter(Predictor[SegmenterConfig]):
    """A trained network that labels pictures."""

    def __init__(self, network: nn.Module, config: SegmenterConfig) -> None:
        self.config = config
        self.network = convert_conv2d_weight_memory_format(network.eval(), torch.channels_last)
        self.device = next(network.parameters()).device

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> Segmenter:
        """The segmenter in `folder`.

        Raises:
            UsageError: not a segmenter folder. GannotateError: damaged, or of a newer version.
        """
        return cls(*load_segmenter(folder, device))

    def answers(self, batch: np.ndarray | Sequence[np.ndarray], scale: float) -> Iterator[np.ndarray]:
        """See Predictor; at another scale the network takes pictures of another size, as it is convolutional."""
        step = 2**self.config.depth
        side = self.config.size if scale == 1 else max(1, round(scale * self.config.size / step)) * step
        x = np.stack([brought_to(picture, side, self.config.image_channels) for picture in batch])
        answers = self._probabilities(torch.from_numpy(x).permute(0, 3, 1, 2))
        for picture, answer in zip(batch, answers, strict=True):
            yield at_size(answer, picture.shape[0], picture.shape[1]).cpu().numpy()

    @torch.inference_mode()
    def _probabilities(self, x: UInt8[Tensor, "n c s s"]) -> Float[Tensor, "n k s s"]:
        scaled = x.to(self.device, memory_format=torch.channels_last).float() / 127.5 - 1
        return self.network(scaled).float().softmax(1)


def brought_to(picture: UInt8[np.ndarray, "h w c"], side: int, channels: int) -> UInt8[np.ndarray, "s s k"]:
    """A picture at side x side px with 1 (grey) or 3 (RGB) channels, as the network learned on them."""
    if picture.shape == (side, side, channels):
        return picture
    image = as_image(picture, channels)
    whole = image.width % side == 0 and image.height % side == 0
    kind = Image.Resampling.BOX if whole else Image.Resampling.LANCZOS
    # first along the rows, then the columns: asked for both at once, Pillow chooses which, and rounds otherwise
    image = image.resize((side, image.height), kind).resize((side, side), kind)
    return np.asarray(image).reshape(side, side, channels)


def as_image(picture: UInt8[np.ndarray, "h w c"], channels: int) -> Image.Image:
    """A picture as Pillow's, grey for 1 channel and RGB for 3."""
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    return image.convert("L" if channels == 1 else "RGB")


def check_pictures(pictures: np.ndarray | Sequence[np.ndarray]) -> None:
    """Checks that `pictures` is uint8 (n, h, w, c) or a list of uint8 (h, w, c) with 1 or 3 channels.

    Raises:
        UsageError: it is not; says what was given.
    """
    if isinstance(pictures, np.ndarray) and pictures.ndim != 4:
        raise UsageError(
            f"an array of shape {pictures.shape} was given; give pictures as uint8 (n, height, width, channels) or a "
            "list of (height, width, channels)"
        )
    for picture in pictures[:1] if isinstance(pictures, np.ndarray) else pictures:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (1, 3) or 0 in picture.shape:
            raise UsageError(
                f"a picture is {picture.dtype} {picture.shape}; give uint8 (height, width, channels) with 1 or 3 "
                "channels"
            )


def at_size(probabilities: Float[Tensor, "k s s"], height: int, width: int) -> Float[Tensor, "k h w"]:
    """Class probabilities brought to another size bilinearly."""
    if probabilities.shape[1:] == (height, width):
        return probabilities
    return F.interpolate(probabilities[None], (height, width), mode="bilinear", align_corners=False)[0]
