"""NumPy arrays, as DatasetGAN and HandsOff keep theirs: image_0.png and image_mask0.npy, numbered from 0. Exact.

Written with them: classes.json (see palette.py) and names.json, the name of each number in this project.
Read: image_mask%d.npy or any other NAME.npy of integers (h, w), with image_%d.* or images/NAME.*; and NAME.npz with
`masks` (n, h, w) and, if there are any, `names`. Pickled arrays are refused.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from gannotate.data.archives import told_of
from gannotate.data.formats.base import Entry, Labels, Picture, ReadOptions, check_area, validated
from gannotate.data.formats.files import MOST_BYTES, Files, stem_of
from gannotate.data.formats.palette import NAMES as CLASSES
from gannotate.data.formats.palette import names_json, read_names
from gannotate.data.formats.raster import Scheme, Values, from_values
from gannotate.data.writing import Add, encode_picture
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import ClassInfo

NUMBERS = "names.json"

SINGLE = (".npz",)

STACKS = ("masks", "label_maps", "labels")
"""Names that the array of label maps may have in an npz."""


def read(files: Files, options: ReadOptions) -> list[Entry]:
    """See base.Format."""
    scheme = read_names(files)
    if files.chosen:
        return _stack(files, files.chosen, scheme, options)
    named = _read_numbers(files)
    entries = []
    for name in files.ending(".npy"):
        stem = PurePosixPath(stem_of(name)).name
        if name.startswith("images/") or re.fullmatch(r"image_\d+", stem):
            continue  # pictures as arrays
        number = re.fullmatch(r"image_mask(\d+)", stem)
        own = named.get(number[1], number[1]) if number else stem
        pictured = f"image_{number[1]}" if number else stem
        folders = (str(PurePosixPath(name).parent), "images") if number else ("images",)
        found = next((found for folder in folders if (found := files.beside(pictured, folder))), None)
        labels = partial(_labels, files, name, scheme, options)
        entries.append(Entry(own, labels, partial(files.read, found) if found else None))
    for name in files.ending(".npz"):
        entries += _stack(files, name, scheme, options)
    if not entries:
        raise UsageError(
            f"{files.path} has no label maps, {told_of(files.names)}; give a folder or zip of image_mask0.npy, ... or "
            "of an npz"
        )
    return entries


def _read_numbers(files: Files) -> dict[str, str]:
    if NUMBERS not in files:
        return {}
    return validated(TypeAdapter(dict[str, str]), files.read(NUMBERS), NUMBERS)


def _stack(files: Files, name: str, scheme: Scheme, options: ReadOptions) -> list[Entry]:
    """The label maps of an npz, which is a zip of npy files."""
    inner = files.archive(name)
    stack = next((f"{key}.npy" for key in STACKS if f"{key}.npy" in inner), None)
    if stack is None:
        raise GannotateError(
            f"{name} has no array called {', '.join(STACKS[:-1])} or {STACKS[-1]}, {told_of(inner.names)}"
        )
    masks = _cached(inner, stack)
    if masks.ndim != 3:
        raise GannotateError(f"{name}: {stack} is {masks.shape}; label maps are (n, height, width)")
    names = [str(number) for number in range(len(masks))]
    if "names.npy" in inner:
        told = decode(inner.read("names.npy"), "US")
        names = [str(word) for word in told.ravel()]
    if len(names) != len(masks):
        raise GannotateError(f"{name} has {len(masks)} label maps and {len(names)} names")
    return [Entry(own, partial(_of_stack, inner, stack, place, scheme, options)) for place, own in enumerate(names)]


@lru_cache(maxsize=1)
def _cached(files: Files, name: str) -> np.ndarray:
    return decode(files.read(name))


def _of_stack(files: Files, name: str, place: int, scheme: Scheme, options: ReadOptions) -> Labels:
    return from_values(_values(_cached(files, name)[place]), scheme, options)


def _labels(files: Files, name: str, scheme: Scheme, options: ReadOptions) -> Labels:
    return from_values(_values(decode(files.read(name))), scheme, options)


def _values(array: np.ndarray) -> Values:
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        array = array.squeeze(0 if array.shape[0] == 1 else 2)
    if array.ndim != 2:
        raise GannotateError(f"is an array {array.shape}; a label map is (height, width) of class ids")
    check_area(array.shape[1], array.shape[0])
    whole = array.astype(np.int64) if array.dtype.kind != "f" or np.isfinite(array).all() else None
    if whole is None or (array.dtype.kind == "f" and (whole != array).any()):
        raise GannotateError("holds numbers that are not whole; a label map holds class ids")
    return Values(whole, None, "array")


def decode(data: bytes, kinds: str = "biuf") -> np.ndarray:
    """An array from the bytes of an npy file.

    Raises:
        GannotateError: pickled, of another kind than numbers, or with a header that claims more than there is.
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        header: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
        if dtype.kind in kinds and math.prod(shape) * dtype.itemsize == len(data) - file.tell() <= MOST_BYTES:
            return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # NumPy lets Python's own parser read the header, which raises a dozen kinds
        raise GannotateError(f"is no whole npy file ({' '.join(str(error).split())[:200]})") from error
    raise GannotateError(f"is no array of numbers, or not as long as it says ({dtype}, {shape})")


def write(add: Add, pictures: Iterable[Picture], classes: Sequence[ClassInfo]) -> list[str]:
    """See base.Format."""
    names: dict[str, str] = {}
    for number, picture in enumerate(pictures):
        buffer = io.BytesIO()
        np.save(buffer, picture.label_map, allow_pickle=False)
        add(f"image_{number}.png", encode_picture(picture.picture))
        add(f"image_mask{number}.npy", buffer.getvalue())
        names[str(number)] = picture.name
    add(CLASSES, names_json(classes))
    add(NUMBERS, json.dumps(names, indent=1).encode())
    return []
