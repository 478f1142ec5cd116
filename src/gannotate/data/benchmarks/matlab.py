"""Pascal-Part's annotation files (MATLAB 5), checked before SciPy reads them: they come from elsewhere.

`scipy.io.loadmat` runs nothing of a file, but believes what a header claims: a few kilobytes can ask for gigabytes.
So the file is unpacked up to a limit first, and the size that each array claims is looked at.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from gannotate.data.pictures import MAX_PIXELS
from gannotate.errors import GannotateError

MOST_BYTES = 1 << 28
"""Unpacked size that is refused; Pascal-Part's largest file has a few megabytes."""

MOST_CELLS = 10_000
"""Cells or structs in one array: a picture has some dozen things with some dozen parts."""

DEEPEST = 8

HEADER = 128
COMPRESSED, MATRIX = 15, 14
CONTAINERS, NUMBERS = range(1, 4), range(4, 16)
"""Classes of arrays in the format: cells, structs and objects; text and numbers but for sparse ones."""


@dataclass(frozen=True)
class Part:
    """One part of a thing: its name and its pixels."""

    name: str
    mask: Bool[np.ndarray, "h w"]


@dataclass(frozen=True)
class Thing:
    """One object of a picture: the name of its kind, its pixels, and its parts in the file's order."""

    kind: str
    mask: Bool[np.ndarray, "h w"]
    parts: tuple[Part, ...]


def read_things(data: bytes, file: str) -> tuple[Thing, ...]:
    """The objects of an annotation file: anno.objects with class, mask and parts of part_name and mask.

    Raises:
        GannotateError: not a MATLAB 5 file, damaged, larger than it should be, or of another shape.
    """
    _check(data, file)
    from scipy.io import loadmat

    try:
        objects = loadmat(io.BytesIO(data), variable_names=["anno"])["anno"][0, 0]["objects"]
        things = tuple(_thing(one) for one in objects.ravel())
    except Exception as error:  # SciPy raises many kinds on a broken file, and any lookup may fail in a foreign one
        reason = " ".join(str(error).split())[:200]
        raise GannotateError(
            f"{file} is no whole annotation of Pascal-Part ({reason or type(error).__name__})"
        ) from error
    shapes = {mask.shape for thing in things for mask in (thing.mask, *(part.mask for part in thing.parts))}
    if len(shapes) != 1:
        raise GannotateError(f"{file} has masks of several sizes: {', '.join(map(str, sorted(shapes))) or 'none'}")
    return things


def _thing(one: np.void) -> Thing:
    parts = tuple(
        Part(_text(part["part_name"]), _mask(part["mask"])) for part in one["parts"].ravel() if one["parts"].size
    )
    return Thing(_text(one["class"]), _mask(one["mask"]), parts)


def _text(array: np.ndarray) -> str:
    return str(array.ravel()[0])


def _mask(array: np.ndarray) -> np.ndarray:
    if array.ndim != 2 or array.dtype.kind not in "bui":
        raise ValueError(f"a mask is {array.dtype} {array.shape}")
    return array > 0


def _check(data: bytes, file: str) -> None:
    if len(data) < HEADER or data[124:128] != b"\x00\x01IM":
        raise GannotateError(f"{file} is no MATLAB 5 file; Pascal-Part's annotations are")
    left = MOST_BYTES
    try:
        for kind, payload in _elements(memoryview(data)[HEADER:], padded=False):
            inner = payload
            if kind == COMPRESSED:
                unpacked = zlib.decompressobj().decompress(payload, left + 1)
                left -= len(unpacked)
                if left < 0:
                    raise GannotateError(f"{file} unpacks to more than {MOST_BYTES >> 20} MB; it is no annotation")
                ((kind, inner),) = _elements(memoryview(unpacked))
            if kind == MATRIX:
                _check_matrix(inner, 0)
    except (ValueError, struct.error, zlib.error) as error:
        raise GannotateError(f"{file} is no whole MATLAB 5 file ({error})") from error


def _elements(data: memoryview, padded: bool = True) -> Iterator[tuple[int, memoryview]]:
    """Kind and payload of each element; packed ones at the top of a file are not padded to 8 bytes."""
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, place)
        if kind >> 16:  # up to 4 bytes lie in the tag itself
            kind, size = kind & 0xFFFF, kind >> 16
            begin, place = place + 4, place + 8
            if size > 4:
                raise ValueError("a short element is too long")
        else:
            begin = place + 8
            place = begin + size + (-size % 8 if padded or kind != COMPRESSED else 0)
        if begin + size > len(data):
            raise ValueError("it ends too early")
        yield kind, data[begin : begin + size]


def _check_matrix(data: memoryview, depth: int) -> None:
    if not len(data):
        return  # an empty array has nothing, not even a shape
    if depth > DEEPEST:
        raise ValueError("arrays lie in arrays too deep")
    elements = list(_elements(data))
    if len(elements) < 2 or len(elements[0][1]) < 4:
        raise ValueError("an array has no shape")
    form = elements[0][1][0]
    claimed = np.frombuffer(elements[1][1], "<i4").astype(np.float64)  # no overflow, whatever is claimed
    most = MOST_CELLS if form in CONTAINERS else MAX_PIXELS if form in NUMBERS and form != 5 else 0
    if (claimed < 0).any() or claimed.prod() > most:
        shape = "x".join(str(int(side)) for side in claimed[:5])
        raise ValueError(f"an array of kind {form} claims to be {shape}")
    for kind, payload in elements[2:]:
        if kind == MATRIX:
            _check_matrix(payload, depth + 1)
