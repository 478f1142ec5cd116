"""The picture under way: colour planes, label map, and coordinate frames that paint shapes on both."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from gannotate.data.portraits.shapes import Field

Colour = Float[np.ndarray, "3 1 1"]


def colour(red: float, green: float, blue: float) -> Colour:
    """One colour as float32 planes (3, 1, 1), channels about 0 to 1."""
    return np.array([red, green, blue], np.float32).reshape(3, 1, 1)


def mix(
    first: Float[np.ndarray, "3 h w"], second: Float[np.ndarray, "3 h w"], part: float | Field
) -> Float[np.ndarray, "3 h w"]:
    """The colour `part` of the way from `first` to `second`."""
    return first + part * (second - first)


class Canvas:
    """A square picture in normalised coordinates: x and y from -1 to 1, y down, sampled at pixel centres."""

    def __init__(self, size: int):
        self.size = size
        self.planes = np.zeros((3, size, size), np.float32)
        self.labels = np.zeros((size, size), np.uint8)
        axis = ((np.arange(size) + 0.5) * (2 / size) - 1).astype(np.float32)
        self.x, self.y = np.meshgrid(axis, axis)

    def frame(self, x: float = 0.0, y: float = 0.0, scale: float = 1.0, roll: float = 0.0) -> Frame:
        """Coordinates with their origin at (x, y), turned by `roll` (radians, clockwise), in units of `scale`."""
        cosine, sine = math.cos(roll), math.sin(roll)
        dx, dy = self.x - x, self.y - y
        u = (cosine / scale) * dx + (sine / scale) * dy
        v = (cosine / scale) * dy - (sine / scale) * dx
        whole = (slice(None), slice(None))
        return Frame(self.planes, self.labels, u, v, 2 / self.size / scale, (x, y, scale, cosine, sine), whole)


@dataclass(frozen=True)
class Frame:
    """Coordinates (u, v) over a part of the canvas. Shapes are given by distances in this frame's units."""

    planes: Float[np.ndarray, "3 h w"]
    """The colours below this frame: a view, painted in place."""
    labels: UInt8[np.ndarray, "h w"]
    """The class ids below this frame: a view, painted in place."""
    u: Field
    v: Field
    pixel: float
    """Width of a pixel in this frame's units."""
    pose: tuple[float, float, float, float, float]
    """x, y, scale, cosine and sine of the frame on the canvas."""
    place: tuple[slice, slice]
    """Rows and columns of the canvas that this frame covers."""

    def window(self, u: float, v: float, radius: float) -> Frame:
        """The same coordinates on the square of pixels around (u, v) only, so that small parts cost little."""
        x0, y0, scale, cosine, sine = self.pose
        x, y = x0 + scale * (cosine * u - sine * v), y0 + scale * (cosine * v + sine * u)
        reach = scale * radius
        width = self.pixel * scale  # of a pixel, on the canvas
        rows = _span(y - reach, y + reach, width, self.labels.shape[0])
        columns = _span(x - reach, x + reach, width, self.labels.shape[1])
        cut = (rows, columns)
        return Frame(
            self.planes[:, rows, columns],
            self.labels[cut],
            self.u[cut],
            self.v[cut],
            self.pixel,
            self.pose,
            cut,
        )

    def cover(self, distance: Field, softness: float = 0.0) -> Field:
        """Coverage 0-1 of the pixels by a shape: a ramp one pixel (or `softness`, if wider) across the border."""
        ramp = max(self.pixel, softness)
        return np.clip(0.5 - distance * (1 / ramp), 0, 1)

    def paint(
        self,
        distance: Field,
        paint: Float[np.ndarray, "3 h w"],
        class_id: int | None = None,
        opacity: float | Field = 1.0,
        softness: float = 0.0,
    ) -> None:
        """Paints a shape; a pixel takes the class where its centre lies inside (borders of classes never blend)."""
        self.blend(self.cover(distance, softness) * opacity, paint)
        if class_id is not None:
            self.labels[distance < 0] = class_id

    def blend(self, alpha: Field, paint: Float[np.ndarray, "3 h w"]) -> None:
        """Moves the colours `alpha` of the way to `paint`, classes unchanged."""
        self.planes[...] += alpha * (paint - self.planes)

    def shade(self, factor: Field) -> None:
        """Multiplies the colours, classes unchanged."""
        self.planes[...] *= factor


def _span(low: float, high: float, width: float, size: int) -> slice:
    """Pixels whose centres may lie between two canvas coordinates, and one more on each side."""
    first = math.floor((low + 1) / width) - 1
    last = math.ceil((high + 1) / width) + 1
    first = min(max(first, 0), size)
    return slice(first, min(max(last, first), size))
