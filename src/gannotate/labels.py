"""Classes, colours and label maps: uint8 class ids, 255 = ignore (not labelled, not counted)."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_bytes
from gannotate.picture_files import lossy_kind, open_picture
from gannotate.wording import counted

IGNORE = 255
"""Class id of a pixel without a label: it teaches nothing and counts in no metric."""

MAX_CLASSES = 254


@dataclass(frozen=True)
class ClassInfo:
    """One class: its name and its RGB colour (0-255 each). Its id is its place in the list; id 0 is the background."""

    name: str
    colour: tuple[int, int, int]


def default_colour(index: int) -> tuple[int, int, int]:
    """Colour of class `index`: dark grey for the background, then hues spread by the golden ratio."""
    if index == 0:
        return (40, 40, 40)
    red, green, blue = colorsys.hsv_to_rgb((index * 0.61803398875 + 0.4) % 1, 0.65 + 0.3 * (index % 2), 0.95)
    return (round(red * 255), round(green * 255), round(blue * 255))


def make_classes(names: Sequence[str]) -> tuple[ClassInfo, ...]:
    """Classes with default colours from their names, background first.

    Raises:
        UsageError: fewer than 2 or more than 254 names, an empty name, or a name given twice.
    """
    names = [name.strip() for name in names]
    if not 2 <= len(names) <= MAX_CLASSES:
        given = counted(len(names), "class name was", "class names were")
        raise UsageError(f"{given} given; give 2 to {MAX_CLASSES}, background first")
    for name in names:
        if not name:
            raise UsageError("a class name is empty; give names like background,nucleus,cytoplasm")
        if names.count(name) > 1:
            raise UsageError(f"the class name {name!r} was given {names.count(name)} times; names must differ")
    return tuple(ClassInfo(name, default_colour(index)) for index, name in enumerate(names))


def palette(classes: Sequence[ClassInfo]) -> np.ndarray:
    """uint8 (256, 3): colour of every class id; unused ids black, 255 (ignore) white."""
    table = np.zeros((256, 3), np.uint8)
    for index, item in enumerate(classes):
        table[index] = item.colour
    table[IGNORE] = 255
    return table


def check_label_map(label_map: np.ndarray, classes: int, source: str) -> None:
    """Checks that a uint8 (h, w) label map holds only ids 0..classes-1 and 255.

    Raises:
        GannotateError: other ids; says which, on how many pixels, and what is accepted.
    """
    if label_map.ndim != 2 or label_map.dtype != np.uint8:
        raise GannotateError(
            f"{source}: a label map is a uint8 array (height, width), this is {label_map.dtype} {label_map.shape}"
        )
    ids, counts = np.unique(label_map, return_counts=True)
    unknown = [(int(i), int(n)) for i, n in zip(ids, counts, strict=True) if i >= classes and i != IGNORE]
    if unknown:
        shown = ", ".join(f"{i} ({n} px)" for i, n in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        raise GannotateError(
            f"{source}: unknown class id {shown}; accepted are 0-{classes - 1} for the {classes} classes and "
            f"{IGNORE} for ignore"
        )


def read_label_map(path: str | Path, classes: int) -> np.ndarray:
    """Reads a label map PNG (palette or 8-bit grey; the stored numbers are the class ids) as uint8 (h, w).

    Raises:
        GannotateError: not readable, not single-channel, a JPEG or lossy WebP, or with unknown class ids.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise GannotateError(f"{path} cannot be read ({error.strerror})") from error
    return decode_label_map(data, classes, str(path))


def decode_label_map(data: bytes, classes: int, source: str) -> np.ndarray:
    """Like `read_label_map`, from the bytes of the file; `source` names it in errors."""
    try:
        image = open_picture(data)
    except GannotateError as error:
        raise GannotateError(f"{source}: not a readable picture ({error})") from error
    if (kind := lossy_kind(image, data)) is not None:
        raise GannotateError(
            f"{source}: a {kind}, which changes class ids along borders; save the label map as PNG instead"
        )
    if image.mode not in ("P", "L", "1"):
        raise GannotateError(
            f"{source}: a label map has one channel with class ids (palette or 8-bit grey PNG), this one is "
            f"{image.mode}"
        )
    label_map = np.array(image.convert("L") if image.mode == "1" else image, dtype=np.uint8)
    if image.mode == "1":
        label_map = (label_map > 0).astype(np.uint8)
    check_label_map(label_map, classes, source)
    return label_map


def encode_label_map(label_map: np.ndarray, classes: Sequence[ClassInfo]) -> bytes:
    """PNG bytes of a uint8 (h, w) label map, with the classes' colours as palette."""
    check_label_map(label_map, len(classes), "label map")
    image = Image.fromarray(label_map, mode="P")
    image.putpalette(palette(classes).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=False)
    return buffer.getvalue()


def write_label_map(path: str | Path, label_map: np.ndarray, classes: Sequence[ClassInfo]) -> None:
    """Writes a uint8 (h, w) label map as palette PNG, atomically."""
    write_bytes(path, encode_label_map(label_map, classes))


def mirror_label_map(label_map: np.ndarray, swap: Sequence[tuple[int, int]] = ()) -> np.ndarray:
    """Flips a label map (..., h, w) left-right and exchanges each pair of classes in `swap`."""
    flipped = label_map[..., ::-1].copy()
    for first, second in swap:
        was_first, was_second = flipped == first, flipped == second
        flipped[was_first], flipped[was_second] = second, first
    return flipped


@dataclass(frozen=True)
class Mirror:
    """What a left-right flip means in a domain.

    rule: `no` (never flip), `yes` (a flipped picture is as good), `swap` (flip, and exchange the paired classes, so
    that left and right stay themselves). pairs: class ids to exchange with `swap`.
    """

    rule: str = "no"
    pairs: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.rule not in ("no", "yes", "swap"):
            raise UsageError(f"mirror rule {self.rule!r} is not known; use no, yes or swap")
        if (self.rule == "swap") != bool(self.pairs):
            raise UsageError(
                "the mirror rule swap takes pairs of classes, and only that rule does; give e.g. --swap 1:2"
            )

    def flip(self, label_map: np.ndarray) -> np.ndarray:
        """A label map (..., h, w) of the flipped picture.

        Raises:
            UsageError: the rule is `no`.
        """
        if self.rule == "no":
            raise UsageError("this domain may not be flipped (mirror rule no)")
        return mirror_label_map(label_map, self.pairs)
