"""Tensors and arrays of foreign files: a description that is checked against the bytes there are, read when wanted."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gannotate.generators.checkpoints.stream import Unreadable, damaged, shown

STORAGE_KINDS = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}
"""torch's storage classes, and the number format of each in NumPy's words."""

NUMBER_CODES = frozenset(["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"])
"""NumPy's number formats without their byte order; records and objects are none of them."""

MOST_DIMENSIONS = 8


def size_of(number: str) -> int:
    """Bytes of one number."""
    return 2 if number == "bfloat16" else np.dtype(number).itemsize


@dataclass(eq=False)
class Storage:
    """A row of `count` numbers. `data` comes later where the format puts the numbers behind the pickle."""

    number: str
    count: int
    data: memoryview | None = None

    def fill(self, data: memoryview) -> None:
        """Sets the bytes.

        Raises:
            Unreadable: their number is not what the file promised.
        """
        if len(data) != self.count * size_of(self.number):
            raise damaged(f"a tensor claims {self.count} numbers of {size_of(self.number)} bytes, and has {len(data)}")
        self.data = data


@dataclass(eq=False)
class ForeignArray:
    """A view of a storage: shape, strides and offset, counted in numbers."""

    storage: Storage
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    def view(self) -> np.ndarray:
        """The numbers, without a copy where the machine knows their format (all but bfloat16).

        Raises:
            Unreadable: the file describes them and does not hold them.
        """
        if self.storage.data is None:
            raise damaged("a tensor's numbers are missing")
        number = self.storage.number
        row = np.frombuffer(self.storage.data, "<u2" if number == "bfloat16" else number)
        steps = [stride * row.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(row[self.offset :], self.shape, steps, writeable=False)
        if number == "bfloat16":  # the upper half of a float32
            return (view.astype(np.uint32) << 16).view(np.float32)
        return view


def view_of(storage: Any, offset: Any, shape: Any, strides: Any) -> ForeignArray:
    """The view that a file describes, checked.

    Raises:
        Unreadable: it reaches beyond its storage, or shows more numbers than there are.
    """
    if not isinstance(storage, Storage):
        raise damaged(f"a tensor over {shown(storage)} instead of a storage")
    size, steps = _lengths(shape, "shape"), _lengths(strides, "strides")
    (start,) = _lengths((offset,), "offset")
    if len(size) != len(steps):
        raise damaged(f"a tensor with {len(size)} sizes and {len(steps)} strides")
    count = math.prod(size)
    if count == 0:
        return ForeignArray(storage, size, steps)
    last = start + sum((n - 1) * step for n, step in zip(size, steps, strict=True))
    # a view that repeats numbers (stride 0) could claim any size with a few bytes
    if count > storage.count or last >= storage.count:
        raise damaged(f"a tensor of shape {size} at number {start} does not fit the {storage.count} numbers stored")
    return ForeignArray(storage, size, steps, start)


def storage_of(kind: str, count: Any) -> Storage:
    """An empty storage; `kind` is one of torch's names."""
    (length,) = _lengths((count,), "length")
    return Storage(STORAGE_KINDS[kind], length)


def whole_array(number: str, shape: Any, data: Any, fortran: bool = False) -> ForeignArray:
    """An array whose numbers are exactly `data`.

    Raises:
        Unreadable: other than as many bytes as the shape needs.
    """
    size = _lengths(shape, "shape")
    storage = Storage(number, math.prod(size))
    storage.fill(bytes_of(data))
    return ForeignArray(storage, size, _dense_strides(size, fortran))


def bytes_of(value: Any) -> memoryview:
    """Raw bytes of a pickle; those that Python 2 wrote come as text."""
    if isinstance(value, str):
        try:
            value = value.encode("latin1")
        except UnicodeEncodeError as error:
            raise damaged("an array's bytes hold characters that are none") from error
    if not isinstance(value, bytes | bytearray | memoryview):
        raise damaged(f"{shown(value)} in place of an array's bytes")
    return memoryview(value)


class NumberFormat:
    """Stands in for a NumPy dtype: one number, with its byte order."""

    def __init__(self, code: Any) -> None:
        text = code.lstrip("<>|=") if isinstance(code, str) else ""
        if text not in NUMBER_CODES:
            raise Unreadable(f"was refused: it holds an array of {shown(code)!r}, where only plain numbers are read")
        self.code = text
        self.order = "<" if code[0] not in "<>" else code[0]

    def set_state(self, state: Any) -> None:
        """What NumPy's own dtype takes: (version, byte order, subarray, names, fields, ...)."""
        if not isinstance(state, tuple) or len(state) < 5 or any(item is not None for item in state[2:5]):
            raise Unreadable("was refused: it holds an array of records, where only plain numbers are read")
        if state[1] not in ("<", ">", "|", "="):
            raise damaged(f"the byte order {shown(state[1])!r}")
        self.order = ">" if state[1] == ">" else "<"

    @property
    def number(self) -> str:
        """In NumPy's words, e.g. `<f4`."""
        return self.order + self.code


class ArrayShell:
    """Stands in for a NumPy array between its making and the state that fills it."""

    def __init__(self) -> None:
        self.array: ForeignArray | None = None

    def set_state(self, state: Any) -> None:
        """(version, shape, dtype, is it in Fortran order, bytes)."""
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], NumberFormat):
            raise damaged("an array's state that is none")
        _, shape, number, fortran, data = state
        self.array = whole_array(number.number, shape, data, fortran is True)


def scalar_of(number: Any, data: Any) -> int | float | bool:
    """One NumPy number, as Python's own."""
    if not isinstance(number, NumberFormat):
        raise damaged(f"a number of the type {shown(number)}")
    raw = bytes_of(data)
    if len(raw) != size_of(number.number):
        raise damaged(f"a number of {len(raw)} bytes where {size_of(number.number)} are due")
    return np.frombuffer(raw, number.number)[0].item()


def scalar_array(value: float) -> ForeignArray:
    """One number as an array without dimensions: TensorFlow gives single variables as numbers."""
    return whole_array("<f8", (), struct.pack("<d", value))


def as_array(value: Any) -> ForeignArray | None:
    """The array that a value of an opened file is, or None."""
    if isinstance(value, ArrayShell):
        return value.array
    return value if isinstance(value, ForeignArray) else None


def _lengths(values: Any, what: str) -> tuple[int, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str | bytes) or len(values) > MOST_DIMENSIONS:
        raise damaged(f"a tensor's {what} is no row of at most {MOST_DIMENSIONS} numbers")
    if not all(type(value) is int and 0 <= value < 2**62 for value in values):
        raise damaged(f"a tensor's {what} has something else than numbers from 0")
    return tuple(values)


def _dense_strides(shape: tuple[int, ...], fortran: bool) -> tuple[int, ...]:
    strides, step = [], 1
    for size in shape if fortran else reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(strides if fortran else reversed(strides))
