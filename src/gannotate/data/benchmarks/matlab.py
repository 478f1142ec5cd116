"""MATLAB 5 files: numbers, text, cells and structs, read with no more memory than the file itself accounts for.

Written from MathWorks' "MAT-File Format" (level 5). `scipy.io.loadmat` is not used: these files come from elsewhere,
and it believes the sizes that a header claims, and ends the process by a segmentation fault at kinds of data that the
format does not have. Here every element lies within the one around it, and every array has as many values as its sides
say.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from gannotate.data.pictures import MAX_PIXELS
from gannotate.errors import GannotateError

MOST_BYTES = 1 << 28
"""Unpacked size that is refused; Pascal-Part's largest file has a few megabytes."""

MOST_CELLS = 10_000
"""Cells or structs in one array: a picture has some dozen things with some dozen parts."""

DEEPEST = 8

MOST_SIDES = 32
"""Sides of one array, as many as NumPy has; a mask has two."""

HEADER = 128
MATRIX, COMPRESSED = 14, 15
CELLS, STRUCTS, TEXT = 1, 2, 4
NUMBERS = range(6, 16)
"""Classes of arrays; sparse ones, objects and functions are refused."""

STORED = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le", 18: "utf-32-le"}
COMPLEX = 0x08

Value = np.ndarray | str | list["Value"] | list[dict[str, "Value"]]
"""Numbers (as stored, of the array's sides), text, a cell array, a struct array; the latter flat, column by column."""


def read_matlab(data: bytes, variable: str, file: str) -> Value:
    """The value of one variable of a file; no other one is read.

    Raises:
        GannotateError: not a MATLAB 5 file, damaged, larger than it should be, without the variable, or with an array
            of a class that is not read.
    """
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
                name, value = _matrix(inner, 0)
                if name == variable:
                    return value
    except (ValueError, struct.error, zlib.error) as error:
        raise GannotateError(f"{file} is no whole MATLAB 5 file ({error})") from error
    raise GannotateError(f"{file} is no whole annotation of Pascal-Part (it has no variable {variable})")


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


def _matrix(data: memoryview, depth: int) -> tuple[str, Value]:
    """Name and value of an array: its class and flags, sides, name, then what its class asks for."""
    if not len(data):
        return "", np.zeros((0, 0))  # an empty array has nothing, not even a shape
    if depth > DEEPEST:
        raise ValueError("arrays lie in arrays too deep")
    elements = _elements(data)
    (_, flags), (_, sides) = _next(elements, "shape"), _next(elements, "shape")
    if len(flags) < 2:
        raise ValueError("an array has no shape")
    form = flags[0]
    shape = _shape(form, sides)
    name = _decoded(1, _next(elements, "name")[1])
    if form == CELLS:
        return name, [_inner(elements, depth) for _ in range(_count(shape))]
    if form == STRUCTS:
        return name, _structs(elements, _count(shape), depth)
    kind, payload = _next(elements, "values")
    if form == TEXT:
        return name, _decoded(kind, payload)
    if flags[1] & COMPLEX:
        raise ValueError("an array of complex numbers is not read")
    return name, _numbers(kind, payload, shape)


def _next(elements: Iterator[tuple[int, memoryview]], what: str) -> tuple[int, memoryview]:
    found = next(elements, None)
    if found is None:
        raise ValueError(f"an array has no {what}")
    return found


def _shape(form: int, sides: memoryview) -> tuple[int, ...]:
    shape = tuple(int(side) for side in np.frombuffer(sides, "<i4"))
    most = MOST_CELLS if form in (CELLS, STRUCTS) else MAX_PIXELS if form == TEXT or form in NUMBERS else 0
    if not 2 <= len(shape) <= MOST_SIDES or min(shape) < 0 or _count(shape) > most:
        raise ValueError(f"an array of kind {form} claims to be {'x'.join(map(str, shape[:5])) or 'without sides'}")
    return shape


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def _inner(elements: Iterator[tuple[int, memoryview]], depth: int) -> Value:
    kind, payload = _next(elements, "values")
    if kind != MATRIX:
        raise ValueError(f"an array of arrays has an element of kind {kind}")
    return _matrix(payload, depth + 1)[1]


def _structs(elements: Iterator[tuple[int, memoryview]], count: int, depth: int) -> list[dict[str, Value]]:
    _, width = _next(elements, "width of field names")
    _, names = _next(elements, "field names")
    step = struct.unpack("<i", width)[0]
    if step < 1 or len(names) % step:
        raise ValueError(f"field names of {len(names)} bytes are {step} bytes each")
    fields = [_decoded(1, names[place : place + step]) for place in range(0, len(names), step)]
    return [{field: _inner(elements, depth) for field in fields} for _ in range(count)]


def _numbers(kind: int, payload: memoryview, shape: tuple[int, ...]) -> np.ndarray:
    if kind not in STORED:
        raise ValueError(f"numbers are stored as kind {kind}")
    values = np.frombuffer(payload, STORED[kind])
    if values.size != _count(shape):
        raise ValueError(f"{values.size} numbers are given for an array of {'x'.join(map(str, shape[:5]))}")
    return values.reshape(shape, order="F")


def _decoded(kind: int, payload: memoryview) -> str:
    if kind not in ENCODINGS:
        raise ValueError(f"text is stored as kind {kind}")
    return bytes(payload).decode(ENCODINGS[kind]).rstrip("\0")
