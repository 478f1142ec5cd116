"""Label maps as regions, each one class: run lengths of COCO, and how regions that overlap become one label map.

A run-length code counts pixels down the columns, in turn outside and inside (Lin et al. 2014, COCO's mask format). Its
compressed form writes each count as its difference to the last but one, five bits a character from '0' on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from gannotate.data.formats.base import BACKGROUND, IGNORED, LabelMap, Labels, check_area
from gannotate.errors import GannotateError
from gannotate.labels import IGNORE, MAX_CLASSES

Runs = Int[np.ndarray, " r"]

MOST_LAYERS, SMALL_PX = 100, 10**8
"""Regions that cover more than SMALL_PX in all may cover the picture so many times: a file of some kilobytes could ask
for hours of painting."""

FEW_RUNS = 200
"""Up to so many are painted one by one, which costs nothing for what is not covered."""

MOST_DIGITS = 7
"""Characters of one count: 35 bits."""


@dataclass(frozen=True)
class Region:
    """A class's name, and the run lengths of where it is."""

    name: str
    runs: Runs

    @property
    def area_px(self) -> int:
        """Pixels inside."""
        return int(self.runs[1::2].sum())


def to_runs(mask: Bool[np.ndarray, "h w"]) -> Runs:
    """Run lengths down the columns, beginning outside (with a 0 when the first pixel is inside)."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], changes, [flat.size]]))
    return np.concatenate([[0], runs]) if flat[0] else runs


def to_mask(runs: Runs, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Where a region is; `runs` were checked."""
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return inside.reshape(width, height).T


def checked_runs(counts: Sequence[int], height: int, width: int) -> Runs:
    """Run lengths of a file, which must cover the picture exactly.

    Raises:
        GannotateError: a negative count, or another sum; nothing of that size is allocated.
    """
    check_area(width, height)
    total = height * width
    if len(counts) > 2 * total + 2 or any(not 0 <= count <= total for count in counts) or sum(counts) != total:
        raise GannotateError(f"has a run-length code that does not cover its {width}x{height} px")
    return np.array(counts, np.int64)


def decompressed(text: str, height: int, width: int) -> Runs:
    """Run lengths from COCO's compressed string.

    Raises:
        GannotateError: not such a string, or one that does not cover the picture.
    """
    counts: list[int] = []
    value = digits = 0
    for character in text:
        five = ord(character) - 48
        if not 0 <= five < 64 or digits >= MOST_DIGITS:
            raise GannotateError("has a run-length code that is no compressed COCO string")
        value |= (five & 31) << (5 * digits)
        digits += 1
        if five & 32:
            continue
        if five & 16:  # the last digit's sign
            value -= 1 << (5 * digits)
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = digits = 0
    if digits:
        raise GannotateError("has a run-length code that is cut off")
    return checked_runs(counts, height, width)


def paint(regions: Sequence[Region], height: int, width: int) -> Labels:
    """One label map of regions that may overlap: the smaller one lies above; what none covers is the background.

    Raises:
        GannotateError: more classes than a label map can hold, or regions that cover the picture MOST_LAYERS times.
    """
    if sum(region.area_px for region in regions) > max(MOST_LAYERS * height * width, SMALL_PX):
        raise GannotateError(f"has regions that cover its {width}x{height} px more than {MOST_LAYERS} times over")
    names = list(dict.fromkeys([BACKGROUND, *(region.name for region in regions if region.name != IGNORED)]))
    if len(names) > MAX_CLASSES:
        raise GannotateError(f"has {len(names)} classes; a label map holds {MAX_CLASSES}")
    flat = np.zeros(height * width, np.uint8)  # down the columns, as the run lengths are
    for region in sorted(regions, key=lambda region: -region.area_px):
        value = IGNORE if region.name == IGNORED else names.index(region.name)
        if len(region.runs) > FEW_RUNS:
            flat[to_mask(region.runs, height, width).T.ravel()] = value
            continue
        ends = np.cumsum(region.runs).tolist()
        for start, end in zip(ends[::2], ends[1::2], strict=False):
            flat[start:end] = value
    label_map: LabelMap = np.ascontiguousarray(flat.reshape(width, height).T)
    return Labels(label_map, tuple(names))
