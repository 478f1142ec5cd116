"""What every layout gives: one item a picture, which reads its files when it is asked to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

LabelMap = UInt8[np.ndarray, "h w"]


def _nothing() -> list[str]:
    return []


@dataclass(frozen=True)
class Item:
    """One picture of a split.

    name: unique in the split and fit for a file name; it may have folders, with / between them. picture, label_map:
    read them; label maps hold the benchmark's class ids and 255, at their own size. label_map is None in a split
    without labels. missing: names of files that should be there and are not. rank: the first pictures of a split are
    those of the lowest ranks, and of equal ones the first. Both readers raise GannotateError.
    """

    name: str
    picture: Callable[[], Image.Image]
    label_map: Callable[[], LabelMap] | None
    missing: Callable[[], list[str]] = _nothing
    rank: int = 0
