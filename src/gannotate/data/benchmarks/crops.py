"""Gradient matching's crop rule for Pascal-Part: which objects of a picture are taken, and the square around each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float, Shaped

from gannotate.errors import GannotateError

MOST_XML_BYTES = 1 << 20
MOST_PX = 1_000_000
"""No side of a box lies further out: no picture is as large."""


@dataclass(frozen=True)
class Box:
    """A bounding box as VOC writes it: px from 1, the last ones included."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Its width in px."""
        return self.right - self.left + 1

    @property
    def height(self) -> float:
        """Its height in px."""
        return self.bottom - self.top + 1


@dataclass(frozen=True)
class Square:
    """The part of a picture that is cut out: px from 0, the last ones not included; `side_px` may reach beyond it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def side_px(self) -> int:
        """The longer side; the shorter one is padded to it with zeros on both sides."""
        return max(self.right - self.left, self.bottom - self.top)


def read_boxes(data: bytes, kind: str, file: str) -> list[Box]:
    """The boxes of a picture's objects of one kind, in the order of VOC's XML.

    Raises:
        GannotateError: not XML, larger than such a file is, with a box that is no box, or with entities, which could
            grow without bound.
    """
    # no 0 bytes: in UTF-16 and UTF-32 a declaration of entities would look otherwise
    if len(data) > MOST_XML_BYTES or b"\0" in data or b"<!" in data.replace(b"<!--", b""):
        raise GannotateError(f"{file} is no annotation of VOC: it is no plain text, too large, or declares entities")
    try:
        objects = ElementTree.fromstring(data).iterfind("object")
        return [_box(one.find("bndbox")) for one in objects if one.findtext("name", "").strip() == kind]
    except (ElementTree.ParseError, ValueError) as error:
        raise GannotateError(f"{file} is no whole annotation of VOC ({error})") from error


def _box(element: ElementTree.Element | None) -> Box:
    if element is None:
        raise ValueError("an object has no box")
    sides = [float(element.findtext(side, "")) for side in ("xmin", "ymin", "xmax", "ymax")]
    if not all(math.isfinite(side) and abs(side) <= MOST_PX for side in sides):
        raise ValueError(f"a box is {', '.join(map(str, sides))}, in px")
    return Box(*sides)


def overlaps(boxes: list[Box]) -> Float[np.ndarray, "n n"]:
    """How far boxes overlap: their common area over that of the box around both, as the paper's code measures it.

    That is less than IoU unless the boxes share two sides. A box and itself: 0.
    """
    corners = np.array([[b.left, b.top, b.right, b.bottom] for b in boxes], np.float64).reshape(-1, 4)
    first, second = corners[:, None], corners[None]
    common = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    around = np.maximum(first[..., 2:], second[..., 2:]) - np.minimum(first[..., :2], second[..., :2])
    found = np.prod(np.clip(common, 0, None), axis=-1) / (np.prod(around, axis=-1) + 1e-8)
    np.fill_diagonal(found, 0)
    return found


def square_around(box: Box, width: int, height: int) -> Square:
    """A square with the box in its middle, as far as it lies in a picture of that size."""
    side = max(box.width, box.height)
    left, right = _span(box.left - 1, box.right, side, width)
    top, bottom = _span(box.top - 1, box.bottom, side, height)
    return Square(left, top, right, bottom)


def _span(first: float, last: float, side: float, length: int) -> tuple[int, int]:
    half = (last - first) / 2
    middle = (first + last) / 2
    # a box that reaches out of the picture is pushed back into it
    middle = min(max(middle, min(length / 2, half)), max(length / 2, length - half))
    return int(min(max(middle - side / 2, 0), length)), int(min(max(middle + side / 2, 0), length))


def cut_square(array: Shaped[np.ndarray, "h w *c"], square: Square) -> Shaped[np.ndarray, "s s *c"]:
    """The square out of a picture or label map; zeros (black, background) where it reaches out of the picture."""
    part = array[square.top : square.bottom, square.left : square.right]
    side = square.side_px
    top, left = (side - part.shape[0]) // 2, (side - part.shape[1]) // 2
    found = np.zeros((side, side, *array.shape[2:]), array.dtype)
    found[top : top + part.shape[0], left : left + part.shape[1]] = part
    return found
