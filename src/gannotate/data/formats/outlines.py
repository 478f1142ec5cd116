"""Regions as polygons and back. Ours run along the edges between pixels, so that nothing is lost.

A polygon in COCO and YOLO has no hole. A part with holes is therefore cut through each hole, from top to bottom, until
no piece has one; the pieces touch and do not overlap. Reading rasterises as COCO does (pycocotools), which gives back
our polygons pixel by pixel; OpenCV's fillPoly, which also paints the outline itself, makes each piece wider by up to a
pixel at its right and lower side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from pycocotools import mask as coco_mask

from gannotate.data.formats.regions import Runs, decompressed
from gannotate.errors import GannotateError

Polygon = Float[np.ndarray, "n 2"]
"""Corners (x, y) in px; (0, 0) is the top left corner of the top left pixel."""

LONGEST_PX = 4_000_000
"""A longer outline is refused: rasterising takes memory by its length."""

RIGHT, DOWN, LEFT, UP = range(4)
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def to_polygons(mask: Bool[np.ndarray, "h w"]) -> list[Polygon]:
    """Polygons without holes that cover a region exactly, each the outline of one piece."""
    left, found = mask.copy(), []
    for corners in outer_loops(mask):
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        inside = fill(corners - [x0, y0], int(y1 - y0), int(x1 - x0))
        if mask[y0:y1, x0:x1][inside].all():  # no hole, and no part in a hole
            found.append(corners.astype(np.float64))
            left[y0:y1, x0:x1] &= ~inside
    if left.any():
        column = _through_a_hole(left)
        for start, piece in ((0, left[:, :column]), (column, left[:, column:])):
            found += [polygon + np.array([start, 0.0]) for polygon in to_polygons(piece)]
    return found


def rasterise(polygons: Sequence[Polygon], height: int, width: int) -> Runs:
    """Run lengths of what the polygons cover together, as COCO rasterises them.

    Raises:
        GannotateError: a polygon of fewer than 3 corners, with one that is no number or lies further outside than the
            picture's own size, or of absurd length.
    """
    flat = []
    for polygon in polygons:
        if len(polygon) < 3 or not np.isfinite(polygon).all():
            raise GannotateError("has a polygon of fewer than 3 corners, or with a corner that is no number")
        if (polygon < [-width, -height]).any() or (polygon > [2 * width, 2 * height]).any():
            raise GannotateError(f"has a polygon that lies far outside of its {width}x{height} px")
        length = np.abs(np.diff(polygon, axis=0, append=polygon[:1])).max(axis=1).sum()
        if length > LONGEST_PX:
            raise GannotateError(f"has a polygon of {length:.3g} px around; {LONGEST_PX} at most are read")
        flat.append(polygon.ravel().tolist())
    merged: Any = coco_mask.merge(coco_mask.frPyObjects(flat, height, width))
    return decompressed(merged["counts"].decode(), height, width)


def outer_loops(mask: Bool[np.ndarray, "h w"]) -> list[Int[np.ndarray, "n 2"]]:
    """The outer outline of each part (pixels that touch at a corner only are two parts), clockwise, corners only."""
    return [loop for loop in _loops(mask) if _doubled_area(loop) > 0]


def fill(corners: Int[np.ndarray, "n 2"], height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Pixels inside a closed outline of horizontal and vertical lines."""
    crossed = np.zeros((height, width + 1), bool)
    for (x, y), (_, other) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crossed[min(y, other) : max(y, other), x] ^= True
    return np.logical_xor.accumulate(crossed, axis=1)[:, :-1]


def _loops(mask: Bool[np.ndarray, "h w"]) -> list[Int[np.ndarray, "n 2"]]:
    """Every outline with the region on its right hand: outer ones clockwise, holes the other way round."""
    leaving = _edges(mask)
    loops = []
    while leaving:
        (x, y), directions = next(iter(leaving.items()))
        heading, corners = directions[0], []
        while True:
            here = leaving.get((x, y), [])
            if not here:
                break
            turn = next(turned for turned in (heading + 1, heading, heading + 3) if turned % 4 in here) % 4
            if turn != heading or not corners:
                corners.append((x, y))
            here.remove(turn)
            if not here:
                del leaving[x, y]
            heading = turn
            x, y = x + STEPS[turn][0], y + STEPS[turn][1]
        loops.append(_without_straight(np.array(corners, np.int64)))
    return loops


def _edges(mask: Bool[np.ndarray, "h w"]) -> dict[tuple[int, int], list[int]]:
    """Edges between pixels inside and outside, by the point where they begin; the inside is on their right hand."""
    padded = np.pad(mask, 1)
    rows, columns = padded[1:, 1:-1].astype(np.int8) - padded[:-1, 1:-1], padded[1:-1, 1:].astype(np.int8)
    columns = columns - padded[1:-1, :-1]
    leaving: dict[tuple[int, int], list[int]] = {}
    for value, shift, direction, changes in (
        (1, (0, 0), RIGHT, rows),
        (-1, (1, 0), LEFT, rows),
        (-1, (0, 0), DOWN, columns),
        (1, (0, 1), UP, columns),
    ):
        for y, x in np.argwhere(changes == value).tolist():
            leaving.setdefault((x + shift[0], y + shift[1]), []).append(direction)
    return leaving


def _without_straight(corners: Int[np.ndarray, "n 2"]) -> Int[np.ndarray, "n 2"]:
    """Leaves out a first point that lies on a straight line."""
    before, after = np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0)
    straight = ((before == corners) & (corners == after)).any(axis=1)
    return corners[~straight]


def _doubled_area(corners: Int[np.ndarray, "n 2"]) -> int:
    after = np.roll(corners, -1, axis=0)
    return int((corners[:, 0] * after[:, 1] - after[:, 0] * corners[:, 1]).sum())


def _through_a_hole(mask: Bool[np.ndarray, "h w"]) -> int:
    """A column in the middle of a hole: of the middle one from left to right, so that few cuts follow each other."""
    holes = [loop[:, 0] for loop in _loops(mask) if _doubled_area(loop) < 0]
    low, high = sorted((int(columns.min()), int(columns.max())) for columns in holes)[len(holes) // 2]
    return (low + high + 1) // 2 if high - low > 1 else high
