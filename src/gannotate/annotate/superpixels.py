"""Superpixels: patches of alike colour that a click labels at once (SLIC, Achanta et al. 2012)."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from jaxtyping import UInt32
from PIL import Image

from gannotate.annotate.store import Store
from gannotate.data.pictures import read_picture
from gannotate.errors import GannotateError, UsageError

SMALLEST_PX = 2
"""Side of the smallest superpixels on offer."""

COMPACTNESS = 20.0
"""How much nearness counts beside colour (CIELAB). Were each superpixel given its most frequent class, 92.5 % of the
pixels of portraits, blood cells and X-rays would be right (64 px, 5 and 8 px wide superpixels); 91.9 % with 10, the
paper's value, and 89.7 % with squares."""

KEPT = 16
"""Pictures, times sizes, whose superpixels stay in memory: 1 MB each at 512 px."""


def superpixels(picture: Image.Image, side_px: int) -> UInt32[np.ndarray, "h w"]:
    """The superpixel of every pixel, numbered from 0, each in one piece and about side_px x side_px large.

    Raises:
        UsageError: smaller than 2 px, or larger than a quarter of the picture (from .4 on, a noisy one may be all one).
    """
    largest = max(SMALLEST_PX, min(picture.size) // 4)
    if not SMALLEST_PX <= side_px <= largest:
        raise UsageError(f"superpixels of {side_px} px were asked for; give {SMALLEST_PX} to {largest} px")
    from skimage.segmentation import slic  # here, because its import takes a second that no other tool needs

    # grey pictures as RGB too: then compactness means the same for both
    pixels = np.asarray(picture.convert("RGB"))
    wanted = max(1, round(pixels.shape[0] * pixels.shape[1] / side_px**2))
    found = slic(pixels, n_segments=wanted, compactness=COMPACTNESS, start_label=0)
    return found.astype(np.uint32)


class Superpixels:
    """Superpixels of a project's pictures, computed when they are first asked for; for many threads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._kept: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, seed: int, side_px: int) -> UInt32[np.ndarray, "size size"]:
        """The superpixels of a pool picture.

        Raises:
            UsageError: not a picture of the pool, or no such size.
        """
        self.store.check_seed(seed)
        with self._lock:  # two at once would be slower than one after the other
            if (seed, side_px) not in self._kept:
                path = self.store.project.pool_picture_path(seed)
                try:
                    picture = read_picture(path)
                except GannotateError as error:
                    raise GannotateError(f"{path} cannot be read ({error}); add that picture again") from error
                self._kept[seed, side_px] = superpixels(picture, side_px)
            self._kept.move_to_end((seed, side_px))
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return self._kept[seed, side_px]
