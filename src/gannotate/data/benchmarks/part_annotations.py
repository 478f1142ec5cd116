"""Pascal-Part's annotation of a picture: its objects, and the pixels of each and of its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from gannotate.data.benchmarks.matlab import Value, read_matlab
from gannotate.errors import GannotateError


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
    anno = read_matlab(data, "anno", file)
    try:
        (record,) = _records(anno, "anno")
        things = tuple(_thing(one) for one in _records(record["objects"], "objects"))
    except (ValueError, KeyError) as error:
        reason = f"no field {error}" if isinstance(error, KeyError) else str(error)
        raise GannotateError(f"{file} is no whole annotation of Pascal-Part ({reason})") from error
    shapes = {mask.shape for thing in things for mask in (thing.mask, *(part.mask for part in thing.parts))}
    if len(shapes) != 1:
        raise GannotateError(f"{file} has masks of several sizes: {', '.join(map(str, sorted(shapes))) or 'none'}")
    return things


def _thing(one: dict[str, Value]) -> Thing:
    parts = tuple(Part(_text(part["part_name"]), _mask(part["mask"])) for part in _records(one["parts"], "parts"))
    return Thing(_text(one["class"]), _mask(one["mask"]), parts)


def _records(value: Value, what: str) -> list[dict[str, Value]]:
    if isinstance(value, np.ndarray) and not value.size:
        return []  # an object without parts has an empty array of numbers there
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError(f"{what} is no array of structs")
    return [one for one in value if isinstance(one, dict)]


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise ValueError("a name is no text")
    return value


def _mask(value: Value) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.ndim != 2 or value.dtype.kind not in "bui":
        raise ValueError(
            f"a mask is {value.dtype} {value.shape}" if isinstance(value, np.ndarray) else "a mask is none"
        )
    return value > 0
