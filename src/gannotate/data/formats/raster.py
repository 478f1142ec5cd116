"""Masks that are pictures: class ids (grey or palette), or colours; and what is told of masks that are neither.

A palette's numbers are class ids, whatever its colours and its transparent entry. With an alpha channel, transparent
pixels have no label. Colours are those that the source names, or the project's own; where a mask is grey throughout,
its values are ids. A value between those of two classes (a border that was smoothed) is never taken for a class by
itself; a JPEG or a lossy WebP is refused for what it is, as what it changed may be another class's value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Integer, UInt8

from gannotate.data.formats.base import IGNORED, Blended, Labels, ReadOptions
from gannotate.errors import GannotateError
from gannotate.labels import IGNORE, MAX_CLASSES
from gannotate.picture_files import lossy_kind, open_picture

FEW, MANY = 2, 64
"""Up to FEW unknown values are classes that somebody forgot to name, more than MANY a smoothed border or a JPEG."""

THIN = 0.1
"""Between FEW and MANY they are a smoothed border when a smaller part of their pixels than this lies inside: has the
same value as its four neighbours."""


BLOCK_PX = 1 << 20
"""Pixels that are sorted at once."""


@dataclass(frozen=True)
class Scheme:
    """What a source says of its masks. ids: their names, None when it does not say; colours: by packed RGB."""

    ids: Mapping[int, str] | None = None
    colours: Mapping[int, str] | None = None


@dataclass(frozen=True)
class Values:
    """A mask as numbers. values: (h, w), ids or packed RGB. alpha: (h, w), or None. mode: Pillow's.

    lossy: what changed values near edges, "JPEG" say.
    """

    values: Integer[np.ndarray, "h w"]
    alpha: UInt8[np.ndarray, "h w"] | None
    mode: str
    lossy: str | None = None

    @property
    def colour(self) -> bool:
        """Whether the values are packed colours."""
        return self.mode in ("RGB", "RGBA")


def packed(colour: tuple[int, int, int]) -> int:
    """An RGB colour as one number, 0xRRGGBB."""
    return (colour[0] << 16) | (colour[1] << 8) | colour[2]


def read_mask(data: bytes, scheme: Scheme, options: ReadOptions) -> Labels:
    """Labels from the bytes of a mask picture.

    Raises:
        GannotateError: not readable, too large, a JPEG or lossy WebP, or with smoothed borders; the reason begins
            behind the mask's name.
    """
    return from_values(open_mask(data), scheme, options)


def open_mask(data: bytes) -> Values:
    """The numbers in a mask picture.

    Raises:
        GannotateError: not a picture, too large, or of a kind that holds no labels.
    """
    try:
        image = open_picture(data)
    except GannotateError as error:
        raise GannotateError(f"is {error}".replace("is not a whole", "is no whole")) from error
    mode, lossy = image.mode, lossy_kind(image, data)
    if mode in ("CMYK", "YCbCr", "HSV", "LAB"):
        image, mode = image.convert("RGB"), "RGB"
    array = np.asarray(image, np.uint8) if mode == "1" else np.asarray(image)
    if mode in ("1", "L", "P", "I", "I;16", "I;16B", "I;16L"):
        return Values(array.astype(array.dtype.newbyteorder("="), copy=False), None, mode, lossy)
    if mode in ("LA", "PA"):
        return Values(array[..., 0], array[..., 1], mode)
    if mode in ("RGB", "RGBA"):
        values = array[..., 0].astype(np.int32)  # in place: a picture of MAX_PIXELS takes enough memory as it is
        for channel in (1, 2):
            values <<= 8
            values |= array[..., channel]
        return Values(values, array[..., 3] if mode == "RGBA" else None, mode, lossy)
    raise GannotateError(f"is a picture of kind {mode}; a mask has ids (8-bit grey or palette PNG) or colours (RGB)")


def from_values(read: Values, scheme: Scheme, options: ReadOptions) -> Labels:
    """Labels from a mask's numbers (see the module's text).

    Raises:
        GannotateError: smoothed borders, a JPEG or lossy WebP, or 0 and 255 alone, where 255 may be a class or no
            label.
    """
    if read.lossy is not None and options.blended == "refuse":
        raise GannotateError(
            f"is a {read.lossy}, which changes labels along borders, also into other classes'; save it as PNG, or add "
            "--blended nearest or --blended ignore to take it as it is"
        )
    values, key, colour = _keyed(read, scheme, options)
    found, places, counts = distinct(values)
    told = scheme.ids is not None or read.mode in ("P", "PA") or "255" in options.mapped
    if not colour and not told and found.tolist() == [0, IGNORE]:
        raise GannotateError(
            "holds only 0 and 255; if 255 is a class add e.g. --map 255="
            f"{options.classes[1].name}, if it is not labelled --map 255=ignore"
        )
    unknown = ~np.isin(found, list(key))
    # a palette's numbers have no order, so that none is nearest
    blended = "refuse" if read.mode in ("P", "PA") and options.blended == "nearest" else options.blended
    half = _half_transparent(read, blended)
    if blended == "refuse" and (half or _is_border(values, unknown[places], unknown)):
        raise GannotateError(_smoothed(read, int(counts[unknown].sum()) + half, int(unknown.sum())))
    if blended == "nearest":
        found[unknown] = _nearest(found[unknown], np.array(list(key), np.int64), colour)
    elif blended == "refuse":
        key |= {value: _spelled(value, colour) for value in found[unknown].tolist()}
    names = [key.get(value, IGNORED) for value in found.tolist()]
    classes = tuple(name for name in dict.fromkeys(names) if name != IGNORED)
    if len(classes) > MAX_CLASSES:
        raise GannotateError(f"holds {len(classes)} classes; a label map holds {MAX_CLASSES}")
    ids = {name: index for index, name in enumerate(classes)} | {IGNORED: IGNORE}
    label_map = np.array([ids[name] for name in names], np.uint8)[places]
    if read.alpha is not None:
        label_map[read.alpha < (128 if blended == "nearest" else 255)] = IGNORE
    return Labels(label_map, classes)


def distinct(
    values: Integer[np.ndarray, "h w"],
) -> tuple[Int[np.ndarray, " u"], Integer[np.ndarray, "h w"], Int[np.ndarray, " u"]]:
    """The values, ascending; of every pixel the place of its own among them; and how many pixels each has.

    As NumPy's `unique`, in blocks of rows: sorting a large mask at once takes thirty bytes a pixel, and seconds.
    """
    rows = max(1, BLOCK_PX // values.shape[1])
    blocks = [values[start : start + rows] for start in range(0, len(values), rows)]
    found = np.unique(np.concatenate([np.unique(block) for block in blocks]))
    counts = np.zeros(len(found), np.int64)
    places = np.empty(values.shape, np.uint8 if len(found) <= 256 else np.int32)
    for index, block in enumerate(blocks):
        place = np.searchsorted(found, block)
        counts += np.bincount(place.ravel(), minlength=len(found))
        places[index * rows : index * rows + len(block)] = place
    return found.astype(np.int64), places, counts


def _keyed(
    read: Values, scheme: Scheme, options: ReadOptions
) -> tuple[Integer[np.ndarray, "h w"], dict[int, str], bool]:
    """The values, the class that each known one is (of transparent pixels any), and whether they are colours."""
    values, clear = read.values, None if read.alpha is None else read.alpha == 0
    if read.colour:
        key = {packed(item.colour): item.name for item in reversed(options.classes)} | dict(scheme.colours or {})
        key |= {int(word, 16): word for word in options.mapped if re.fullmatch("[0-9a-f]{6}", word)}
        shown = _where(clear, next(iter(key)), values)
        if not _grey(values, clear) or np.isin(distinct(shown)[0], list(key)).all():
            return shown, key, True
        values = values & 255
    own = {index: str(index) for index in range(len(options.classes))}
    key = {IGNORE: IGNORED} | dict(own if scheme.ids is None else scheme.ids)
    key |= {int(word): word for word in options.mapped if word.isdecimal() and len(word) < 9}
    return _where(clear, IGNORE, values), key, False


def _where(
    clear: Bool[np.ndarray, "h w"] | None, value: int, values: Integer[np.ndarray, "h w"]
) -> Integer[np.ndarray, "h w"]:
    """`values`, with `value` at the transparent pixels."""
    return values if clear is None else np.where(clear, value, values)


def _grey(values: Int[np.ndarray, "h w"], clear: Bool[np.ndarray, "h w"] | None) -> bool:
    """Whether all pixels but the transparent ones are grey."""
    alike = ((values >> 16) == (values & 255)) & ((values >> 8 & 255) == (values & 255))
    return bool((alike if clear is None else alike | clear).all())


def _spelled(value: int, colour: bool) -> str:
    return f"{value:06x}" if colour else str(value)


def _is_border(
    values: Integer[np.ndarray, "h w"], where: Bool[np.ndarray, "h w"], unknown: Bool[np.ndarray, " n"]
) -> bool:
    """Whether the unknown values (at `where`) look like a smoothed border, and not like classes without a name."""
    if not FEW < unknown.sum() <= MANY:
        return bool(unknown.sum() > MANY)
    inside = where.copy()
    inside[1:] &= values[1:] == values[:-1]
    inside[:-1] &= values[1:] == values[:-1]
    inside[:, 1:] &= values[:, 1:] == values[:, :-1]
    inside[:, :-1] &= values[:, 1:] == values[:, :-1]
    return bool(inside.sum() < THIN * where.sum())


def _half_transparent(read: Values, blended: Blended) -> int:
    """Pixels that are neither opaque nor transparent."""
    if read.alpha is None or blended != "refuse":
        return 0
    return int(((read.alpha > 0) & (read.alpha < 255)).sum())


def _smoothed(read: Values, pixels: int, values: int) -> str:
    how = "--blended ignore" if read.mode in ("P", "PA") else "--blended nearest or --blended ignore"
    return (
        f"has {pixels} px ({pixels / read.values.size:.1%}) of {max(values, 1)} values that are no class's, as "
        f"smoothed (anti-aliased) borders or a JPEG have; save it without smoothing, or add {how}"
    )


def _nearest(values: Int[np.ndarray, " u"], known: Int[np.ndarray, " k"], colour: bool) -> Int[np.ndarray, " u"]:
    """The known value that is nearest to each of the others."""

    def axes(numbers: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n c"]:
        return np.stack([numbers >> 16, (numbers >> 8) & 255, numbers & 255], axis=1) if colour else numbers[:, None]

    places = [int(((axes(known) - one) ** 2).sum(axis=1).argmin()) for one in axes(values)]
    return known[np.array(places, np.int64)]
