"""Scenes: several labelled things of several sizes in one picture, with an exact label map, from a seed.

Each thing is a cut-out: the pixels of a labelled picture that are not background (class 0). Cut-outs are pasted whole
pixel on whole pixel, so a scene's label is that of the topmost cut-out at that place, or 0. Portraits are drawn anew at
the size they have in the scene; cut-outs of real pictures are resized, their label maps to the nearest pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from gannotate.data.labelled import LabelledSet, resize_picture
from gannotate.data.portraits import render
from gannotate.data.portraits.background import paint_background
from gannotate.data.portraits.camera import develop
from gannotate.data.portraits.canvas import Canvas
from gannotate.data.portraits.palette import draw_looks
from gannotate.errors import UsageError
from gannotate.labels import IGNORE
from gannotate.seeding import numpy_stream

TRIES = 20
"""Places that are tried for a thing before the scene goes without it."""


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """What a scene looks like."""

    size: int = 160
    """Side of the square scene in px."""
    unit: int = 64
    """Side in px of a thing's picture at scale 1."""
    fewest: int = 2
    """Fewest things that are tried to place."""
    most: int = 4
    """Most things."""
    scale_low: float = 0.5
    """Smallest scale; the logarithm of a scale is drawn uniformly."""
    scale_high: float = 2.0
    """Largest scale."""
    hidden: float = 0.3
    """Largest part of a thing that later ones may hide."""

    def __post_init__(self) -> None:
        if not 0 < self.scale_low <= self.scale_high:
            raise UsageError(
                f"scales from {self.scale_low} to {self.scale_high} were given; give two positive numbers, the smaller "
                "first, e.g. 0.5 and 2"
            )
        if self.unit * self.scale_high > self.size:
            raise UsageError(
                f"things of {self.unit} px at scale {self.scale_high} do not fit into scenes of {self.size} px; give "
                f"scenes of at least {math.ceil(self.unit * self.scale_high)} px"
            )
        if not 1 <= self.fewest <= self.most or not 0 <= self.hidden < 1:
            raise UsageError(
                f"{self.fewest} to {self.most} things hidden up to {self.hidden} were asked for; give at least 1, the "
                "smaller number first, and a part from 0 to below 1"
            )


@dataclass(frozen=True)
class Cutout:
    """A labelled picture whose background is see-through: picture uint8 (s, s, c), label_map uint8 (s, s)."""

    picture: UInt8[np.ndarray, "s s c"]
    label_map: UInt8[np.ndarray, "s s"]


@dataclass(frozen=True)
class Placed:
    """A cut-out at its place in a scene: the row and column of its first pixel, which may lie outside."""

    cutout: Cutout
    top: int
    left: int
    scale: float


@dataclass(frozen=True)
class Scene:
    """A composed picture uint8 (size, size, c) with its exact label map uint8 (size, size), and what is in it."""

    picture: UInt8[np.ndarray, "s s c"]
    label_map: UInt8[np.ndarray, "s s"]
    things: tuple[Placed, ...]


class Things(Protocol):
    """Where the parts of scenes come from; the same random numbers give the same parts."""

    def cutout(self, rng: np.random.Generator, side: int) -> Cutout:
        """A thing whose picture is `side` px wide and high."""
        ...

    def background(self, rng: np.random.Generator, side: int) -> UInt8[np.ndarray, "s s c"]:
        """A picture of `side` px without any thing."""
        ...


class Portraits:
    """Rendered portraits before rendered backgrounds; `first_seed` and up are the seeds of the persons."""

    def __init__(self, first_seed: int = 0, style: str = "natural") -> None:
        self.first_seed, self.style = first_seed, style

    def cutout(self, rng: np.random.Generator, side: int) -> Cutout:
        """One of a million persons."""
        portrait = render(self.first_seed + int(rng.integers(1_000_000)), side, self.style)
        return Cutout(portrait.picture, portrait.label_map)

    def background(self, rng: np.random.Generator, side: int) -> UInt8[np.ndarray, "s s c"]:
        """What stands behind one of a million persons."""
        seed = self.first_seed + int(rng.integers(1_000_000))
        canvas = Canvas(side)
        paint_background(canvas, seed, draw_looks(seed, self.style))
        return develop(canvas, seed, self.style)


class LabelledThings:
    """Cut-outs of labelled pictures, e.g. cells, before the pictures' own backgrounds."""

    def __init__(self, data: LabelledSet) -> None:
        """Square pictures of one size, each with something that is not background.

        Raises:
            UsageError: pictures that are not square, or none with a thing and some background.
        """
        if data.pictures.shape[1] != data.pictures.shape[2]:
            raise UsageError(f"things come from square pictures, not from {data.pictures.shape[1:3]}; read them square")
        thing = (data.label_maps != 0) & (data.label_maps != IGNORE)
        usable = [index for index, one in enumerate(thing) if one.any() and not (data.label_maps[index] != 0).all()]
        if not usable:
            raise UsageError("none of the labelled pictures shows a thing before a background; give others")
        self.data = data.take(usable)

    def cutout(self, rng: np.random.Generator, side: int) -> Cutout:
        """One of the pictures at another size."""
        index = int(rng.integers(len(self.data)))
        label_map = Image.fromarray(self.data.label_maps[index]).resize((side, side), Image.Resampling.NEAREST)
        return Cutout(_resized(self.data.pictures[index], side), np.asarray(label_map))

    def background(self, rng: np.random.Generator, side: int) -> UInt8[np.ndarray, "s s c"]:
        """One of the pictures with its things filled in from around them, mirrored until it is large enough."""
        index = int(rng.integers(len(self.data)))
        filled = fill_in(self.data.pictures[index], self.data.label_maps[index] != 0)
        missing = max(0, side - len(filled))
        return np.pad(filled, ((0, missing), (0, missing), (0, 0)), mode="symmetric")[:side, :side]


def compose(seed: int, things: Things, config: SceneConfig | None = None) -> Scene:
    """The scene of `seed`; things that find no place without hiding too much of others are left out."""
    config = config or SceneConfig()
    rng = numpy_stream("scene", seed)
    picture = things.background(rng, config.size).copy()
    label_map = np.zeros((config.size, config.size), np.uint8)
    owner = np.full((config.size, config.size), -1)
    placed: list[Placed] = []
    sizes: list[int] = []
    for _ in range(int(rng.integers(config.fewest, config.most + 1))):
        scale = math.exp(rng.uniform(math.log(config.scale_low), math.log(config.scale_high)))
        cutout = things.cutout(rng, round(config.unit * scale))
        place = _place(rng, cutout, owner, sizes, config)
        if place is None:
            continue
        (top, left), solid = place, cutout.label_map != 0
        rows, columns, inside = _window(top, left, len(solid), config.size)
        shown = solid[inside]
        picture[rows, columns][shown] = cutout.picture[inside][shown]
        label_map[rows, columns][shown] = cutout.label_map[inside][shown]
        owner[rows, columns][shown] = len(placed)
        placed.append(Placed(cutout, top, left, scale))
        sizes.append(int(shown.sum()))
    return Scene(picture, label_map, tuple(placed))


def _place(
    rng: np.random.Generator, cutout: Cutout, owner: np.ndarray, sizes: list[int], config: SceneConfig
) -> tuple[int, int] | None:
    """A place, at most a quarter of a side outside, where every thing before stays visible enough."""
    solid, side = cutout.label_map != 0, len(cutout.label_map)
    for _ in range(TRIES):
        top, left = (int(one) for one in rng.integers(-(side // 4), config.size - side + side // 4 + 1, 2))
        rows, columns, inside = _window(top, left, side, config.size)
        left_over = owner.copy()
        left_over[rows, columns][solid[inside]] = len(sizes)
        visible = np.bincount(left_over[left_over >= 0], minlength=len(sizes) + 1)
        if visible[-1] and all(visible[index] >= (1 - config.hidden) * size for index, size in enumerate(sizes)):
            return top, left
    return None


def _window(top: int, left: int, side: int, size: int) -> tuple[slice, slice, tuple[slice, slice]]:
    """Rows and columns of a scene that a cut-out covers, and which of the cut-out's those are."""
    rows, columns = slice(max(0, top), min(size, top + side)), slice(max(0, left), min(size, left + side))
    return rows, columns, (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))


def fill_in(picture: UInt8[np.ndarray, "h w c"], unknown: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w c"]:
    """The picture with its unknown pixels replaced by what surrounds them, smoothly.

    Each takes the mean of the known pixels in the smallest square (3, 5, 9, ... px wide) around it that holds some.
    """
    filled, missing, radius = picture.astype(np.float64), unknown.copy(), 1
    known, values = (~unknown).astype(np.float64), picture * (~unknown)[..., None].astype(np.float64)
    while missing.any() and not unknown.all():
        weight = _box_sum(known[..., None], radius)
        reached = missing & (weight[..., 0] > 0.5)
        filled[reached] = (_box_sum(values, radius) / np.maximum(weight, 1))[reached]
        missing &= ~reached
        radius *= 2
    return filled.round().astype(np.uint8)


def _box_sum(values: np.ndarray, radius: int) -> np.ndarray:
    """Sum over the square of `radius` around each pixel of (h, w, c)."""
    padded = np.pad(values, ((radius + 1, radius), (radius + 1, radius), (0, 0))).cumsum(0).cumsum(1)
    width = 2 * radius + 1
    return padded[width:, width:] - padded[:-width, width:] - padded[width:, :-width] + padded[:-width, :-width]


def _resized(picture: UInt8[np.ndarray, "h w c"], side: int) -> UInt8[np.ndarray, "s s c"]:
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    return np.asarray(resize_picture(image, side, side)).reshape(side, side, -1)
