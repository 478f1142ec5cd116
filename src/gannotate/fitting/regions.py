"""Regions to label that need be no class: one class of many, one of two look-alikes, a shape that means nothing.

Each is made by a rule from a label map of all parts, as a segmenter gives it, so that it lies where it should on every
picture: RepurposeGAN (figure 8) drew shapes without any meaning on faces and had them found again on others, Teaching
GAN (figure 7) labelled one of two front teeth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw

from gannotate.errors import UsageError, nearest
from gannotate.seeding import numpy_stream
from gannotate.wording import quoted

LabelMap = UInt8[np.ndarray, "h w"]
Where = Bool[np.ndarray, "h w"]

Rule = Callable[[LabelMap], Where | None]
"""Label map of all parts -> where the region is; None where the picture does not show it."""

FEWEST = 12 / 64**2
"""What is smaller than this part of a picture is not seen: 12 px of 64 x 64."""

FORMS = {
    "class": ("CLASS",),
    "left": ("CLASS",),
    "right": ("CLASS",),
    "star": ("PAIR", "CLASS", "NUMBER"),
}
"""Kinds of region, and what is told of each behind a colon."""

STAR_CORNERS, LEAST_RADIUS, MOST_RADIUS, MOST_SHIFT, FLATTER = 10, 0.25, 0.9, 0.4, 1.2
"""A star in units of its frame: corners at even angles, how far they and its middle are from that of the frame."""


@dataclass(frozen=True)
class Region:
    """What is labelled: a kind of FORMS, names of classes, and of a star its number; str() gives what is typed."""

    kind: str
    classes: tuple[str, ...]
    number: int = 0

    def __str__(self) -> str:
        return ":".join((self.kind, *self.classes, *([str(self.number)] if self.kind == "star" else [])))

    def rule(self, names: Sequence[str]) -> Rule:
        """How it is found in label maps of classes that are called `names`.

        Raises:
            UsageError: one of its classes is not among them.
        """
        for name in self.classes:
            if name not in names:
                raise UsageError(
                    f"--region names the class {name!r}, which the segmenter does not tell apart"
                    f"{nearest(name, list(names))}; it tells {', '.join(names)} apart"
                )
        ids = [list(names).index(name) for name in self.classes]
        if self.kind == "class":
            return partial(whole_class, ids[0])
        if self.kind == "star":
            return partial(star, ids[0], ids[1], star_corners(self.number))
        return partial(one_of_two, ids[0], self.kind == "left")


def parse_region(text: str) -> Region:
    """`class:glasses`, `left:eyes`, `right:eyes` or `star:eyes:mouth:0` as a region.

    Raises:
        UsageError: none of these.
    """
    kind, *told = text.split(":")
    form = FORMS.get(kind)
    fits = form is not None and len(told) == len(form) and all(told)
    if not fits or (kind == "star" and not told[-1].isdecimal()):
        accepted = ", ".join(":".join((name, *parts)) for name, parts in FORMS.items())
        raise UsageError(f"--region is {quoted(text)}; give {accepted}, e.g. --region left:eyes or star:eyes:mouth:0")
    return Region(kind, tuple(told[:-1]), int(told[-1])) if kind == "star" else Region(kind, tuple(told))


def whole_class(index: int, parts: LabelMap) -> Where | None:
    """All of a class."""
    return _seen(parts == index)


def one_of_two(index: int, left: bool, parts: LabelMap) -> Where | None:
    """The left one of two look-alikes of a class, or else the right one: what is on its side of the middle of both.

    Left is the picture's. Nowhere where the class is one thing, or no column of pixels is between both.
    """
    centres = two_centres(parts == index)
    if centres is None:
        return None
    along = centres[1] - centres[0]
    y, x = np.mgrid[: parts.shape[0], : parts.shape[1]]
    beyond = (x - centres[:, 0].mean()) * along[0] + (y - centres[:, 1].mean()) * along[1]
    return _seen((parts == index) & ((beyond < 0) if left else (beyond >= 0)))


def star(pair: int, other: int, corners: Float[np.ndarray, "c 2"], parts: LabelMap) -> Where | None:
    """A shape in the frame of two look-alikes and a third thing: it moves, turns and stretches with these."""
    centres, third = two_centres(parts == pair), _seen(parts == other)
    if centres is None or third is None:
        return None
    y, x = np.nonzero(third)
    lowest = np.array([x.mean(), y.mean()])
    across, down = (centres[1] - centres[0]) / 2, lowest - centres.mean(axis=0)
    middle = (centres[0] + centres[1] + lowest) / 3
    points = middle + corners[:, :1] * across + corners[:, 1:] * down
    drawn = Image.new("1", parts.shape[::-1])
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in points.tolist()], fill=1)
    return _seen(np.array(drawn))


def star_corners(number: int) -> Float[np.ndarray, "c 2"]:
    """Corners of the random star of that number, in parts of half the way across its frame, and of the way down."""
    random = numpy_stream("star", number)
    angles = np.arange(STAR_CORNERS) * math.tau / STAR_CORNERS
    radii = random.uniform(LEAST_RADIUS, MOST_RADIUS, STAR_CORNERS)
    shift = random.uniform(-MOST_SHIFT, MOST_SHIFT, 2)
    corners = np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1) + shift
    return corners / [1, FLATTER]


def two_centres(found: Where) -> Float[np.ndarray, "2 2"] | None:
    """Centres (x, y) of the left and the right one of two things; None where not both are seen, or they are one."""
    y, x = np.nonzero(found)
    if len(x) < 2 * fewest_px(found):
        return None
    left = x < (x.min() + x.max()) / 2
    if min(left.sum(), (~left).sum()) < fewest_px(found) or x[~left].min() - x[left].max() < 2:
        return None
    return np.array([[x[side].mean(), y[side].mean()] for side in (left, ~left)])


def fewest_px(found: Where) -> float:
    """How many pixels of a picture must be of a thing so that it is seen."""
    return FEWEST * found.size


def _seen(found: Where) -> Where | None:
    return found if found.sum() >= fewest_px(found) else None
