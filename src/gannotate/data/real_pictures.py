"""Real pictures for a project: which part of a picture file the pool shows, and the same part of its label map."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gannotate.data.pictures import PictureSource, Skipped, decode_picture, load_pictures, to_array
from gannotate.data.writing import encode_picture
from gannotate.errors import GannotateError, UsageError
from gannotate.picture_files import open_picture
from gannotate.project import RealPicture
from gannotate.wording import counted

LARGEST = 1024
"""Larger pictures are scaled down to a size that somebody names: labelling and training cost by the pixel."""

SMALLEST = 8
"""At fewer px nothing is learned: the shallowest encoder halves a picture three times."""

LONGEST_NAME = 100

Pixels = UInt8[np.ndarray, "size size c"]


def survey(path: str | Path, size: int | None, crop: bool) -> tuple[int, int]:
    """Size in px and channels (1 grey, 3 RGB) of a project of the pictures in a folder or zip.

    Without `size` it is the most common shorter side.

    Raises:
        UsageError: no pictures, none that is square and large enough, larger ones than LARGEST and no size given, or a
            size below SMALLEST.
    """
    if size is None:
        size = _usual_side(PictureSource(path))
    elif size < SMALLEST:
        raise UsageError(f"--size is {size}; give {SMALLEST} px or more, or leave it out for the pictures' own")
    return size, load_pictures(path, size, crop=crop, most=50).pictures.shape[-1]


def _usual_side(source: PictureSource) -> int:
    sides: Counter[int] = Counter()
    for name in source.names:
        try:
            with open_picture(source.read_bytes(name), load=False) as image:
                sides[min(image.size)] += 1
        except GannotateError:  # it is named when it is read
            continue
    if not sides:
        raise UsageError(f"of {counted(len(source.names), 'picture')} in {source.path} none can be read")
    size = max(sides, key=lambda side: sides[side])
    if size > LARGEST:
        raise UsageError(f"the pictures in {source.path} are {size} px; give the size to work at, e.g. --size 256")
    return size


def fit_picture(data: bytes, file: str, name: str, size: int, channels: int, crop: bool) -> tuple[RealPicture, Pixels]:
    """What the pool shows of a picture file: all of it, or its central square, scaled to `size`.

    Raises:
        GannotateError: not readable, smaller than `size`, or not square and `crop` is not given; the reason begins
            behind the picture's name.
    """
    image = decode_picture(data)
    width, height = image.size
    side = min(width, height)
    if width != height and not crop:
        raise GannotateError(f"is {width}x{height} px, not square; add --crop to take its central square")
    if side < size:
        raise GannotateError(f"is {width}x{height} px, smaller than the project's {size} px")
    real = RealPicture(
        name=name,
        file=PurePosixPath(file).name,
        sha256=hashlib.sha256(data).hexdigest(),
        width=width,
        height=height,
        left=(width - side) // 2,
        top=(height - side) // 2,
        side_px=side,
    )
    return real, cut(image, real, size, channels)


def cut(image: Image.Image, real: RealPicture, size: int, channels: int) -> Pixels:
    """The part of a picture that the pool shows."""
    box = (real.left, real.top, real.left + real.side_px, real.top + real.side_px)
    return to_array(image if image.size == (real.side_px,) * 2 else image.crop(box), size, channels)


def fit_labels(label_map: UInt8[np.ndarray, "h w"], real: RealPicture | None, size: int) -> UInt8[np.ndarray, "s s"]:
    """A label map of the pool's picture, from one of that size or of the whole real picture (nearest pixel).

    Raises:
        GannotateError: of another size; the reason begins behind the mask's name.
    """
    height, width = label_map.shape
    if (height, width) == (size, size):
        return label_map
    if real is None or (width, height) != (real.width, real.height):
        own = f"{size}x{size}" if real is None else f"{real.width}x{real.height} (or {size}x{size})"
        raise GannotateError(f"is {width}x{height} px, its picture {own}; give a mask of the picture's own size")
    part = label_map[real.top : real.top + real.side_px, real.left : real.left + real.side_px]
    scaled = Image.fromarray(part).resize((size, size), Image.Resampling.NEAREST)
    return np.asarray(scaled, dtype=np.uint8)


def safe_name(stem: str) -> str:
    """A picture's name from a file's without its ending: nothing that a file name may not hold, and no bare number.

    A bare number would be taken for the seed of a generated picture.
    """
    parts = [part for part in stem.replace("\\", "/").split("/") if part not in ("", "..", ".")]
    name = re.sub(r"[^\w.() -]", "_", "-".join(parts)).strip(" .")[:LONGEST_NAME] or "picture"
    return f"real-{name}" if name.isdecimal() else name


def unique_name(name: str, taken: Collection[str]) -> str:
    """`name`, or with -2, -3, ... behind it when it is taken (capitals make no difference)."""
    lower = {one.casefold() for one in taken}
    number, tried = 1, name
    while tried.casefold() in lower:
        number += 1
        tried = f"{name}-{number}"
    return tried


def read_real(
    source: PictureSource, names: Sequence[str], size: int, channels: int, crop: bool, known: Sequence[RealPicture] = ()
) -> Iterator[tuple[RealPicture, bytes] | Skipped]:
    """Pictures for the pool with their PNG bytes, one at a time; those that cannot be taken are told in their place.

    known: those that the pool has already; the same file is not taken twice.
    """
    hashes, taken = {real.sha256 for real in known}, {real.name for real in known}
    folder = os.path.commonpath([_inside(name).parent for name in source.names])
    for file in names:
        try:
            data = source.read_bytes(file)
            name = unique_name(safe_name(str(_inside(file).relative_to(folder).with_suffix(""))), taken)
            real, pixels = fit_picture(data, file, name, size, channels, crop)
        except GannotateError as error:
            yield Skipped(file, str(error))
            continue
        if real.sha256 in hashes:
            yield Skipped(file, "is in the pool already")
            continue
        hashes.add(real.sha256)
        taken.add(name)
        yield real, encode_picture(pixels)


def _inside(name: str) -> PurePosixPath:
    """The path of a file in its source; names in a zip may begin with a /."""
    return PurePosixPath(name.lstrip("/"))
