"""Portraits: parametric faces with exact label maps, from a seed, at any size, in plain NumPy.

`render(seed)` draws a person's parameters, then paints implicit shapes from back to front: background, hair behind,
neck and clothes, face and its parts, hair in front, glasses. Borders are anti-aliased in the picture only; a pixel's
label is the class of the topmost shape at its centre. The same seed is the same person at every size and in both
styles.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from jaxtyping import UInt8

from gannotate.data.portraits.background import paint_background
from gannotate.data.portraits.body import paint_body
from gannotate.data.portraits.camera import develop
from gannotate.data.portraits.canvas import Canvas
from gannotate.data.portraits.classes import CLASSES, FINE_CLASSES
from gannotate.data.portraits.hair import HairPainter
from gannotate.data.portraits.head import paint_face, paint_glasses
from gannotate.data.portraits.palette import STYLES, draw_looks
from gannotate.data.portraits.person import draw_person
from gannotate.errors import UsageError, nearest

__all__ = ["CLASSES", "FINE_CLASSES", "STYLES", "Portrait", "render", "render_many"]

SMALLEST_PX, SMALLEST_FINE_PX, LARGEST_PX = 16, 128, 4096


@dataclass(frozen=True)
class Portrait:
    """One rendered portrait."""

    picture: UInt8[np.ndarray, "h w 3"]
    """RGB, 0-255."""
    label_map: UInt8[np.ndarray, "h w"]
    """Class ids of `CLASSES`, or of `FINE_CLASSES` when asked for."""


def render(seed: int, size: int = 64, style: str = "natural", fine: bool = False) -> Portrait:
    """Draws the portrait of `seed` (any whole number >= 0), `size` pixels square.

    Args:
        style: `natural`, or `flat`: other colours, no shading, plain background, no noise; same label map.
        fine: give teeth and irises their own ids (11 and 12).

    Raises:
        UsageError: a size, style or seed that is not accepted, or `fine` below 128 px.
    """
    _check(seed, size, style, fine)
    person, looks, canvas = draw_person(seed), draw_looks(seed, style), Canvas(size)
    paint_background(canvas, seed, looks)
    hair = HairPainter(canvas, seed, person, looks)
    hair.paint_behind()
    paint_body(canvas, seed, person, looks)
    hair.paint_over_shoulders()
    paint_face(canvas, seed, person, looks, fine)
    hair.paint_cap()
    paint_glasses(canvas, person, looks)
    return Portrait(picture=develop(canvas, seed, style), label_map=canvas.labels)


def render_many(
    seeds: Iterable[int], size: int = 64, style: str = "natural", fine: bool = False, workers: int = 1
) -> Iterator[tuple[int, Portrait]]:
    """Yields (seed, portrait) in the order of `seeds`, drawn by `workers` processes when that is more than 1.

    Raises:
        UsageError: as `render`; fewer than 1 worker.
    """
    if workers < 1:
        raise UsageError(f"workers is {workers}; give the number of processes, 1 or more")
    draw = partial(render, size=size, style=style, fine=fine)
    if workers == 1:
        for seed in seeds:
            yield seed, draw(seed)
        return
    remaining, chunk = iter(seeds), 64
    with ProcessPoolExecutor(workers, initializer=_end_with_parent) as pool:
        # A bounded number of pictures is under way: memory stays small however many are asked for.
        while block := list(islice(remaining, chunk * workers * 4)):
            yield from zip(block, pool.map(draw, block, chunksize=chunk), strict=True)


def _end_with_parent() -> None:
    """Lets this process end when the one that started it is gone; one that was killed cannot end it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _check(seed: int, size: int, style: str, fine: bool) -> None:
    if style not in STYLES:
        raise UsageError(f"style {style!r} is not known; give natural or flat{nearest(style, STYLES)}")
    if not SMALLEST_PX <= size <= LARGEST_PX:
        raise UsageError(f"size is {size}; give {SMALLEST_PX} to {LARGEST_PX} pixels, e.g. 64")
    if fine and size < SMALLEST_FINE_PX:
        raise UsageError(
            f"fine classes (teeth, iris) are too small to see at {size} px; give a size of at least "
            f"{SMALLEST_FINE_PX}, or leave fine out"
        )
    if seed < 0:
        raise UsageError(f"seed is {seed}; give a whole number of at least 0")
