"""Masks that are pictures: class ids (grey or palette), or colours; and what is told of masks that are neither.

A palette's numbers are class ids, whatever its colours and its transparent entry. With an alpha channel, transparent
pixels have no label. Colours are those that the source names, or the project's own; where a mask is grey throughout,
its values are ids. A value between those of two classes (a border that was smoothed, a JPEG) is never taken for a
class by itself.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import Image

from gannotate.data.formats.base import IGNORED, Blended, Labels, ReadOptions, check_area
from gannotate.errors import GannotateError
from gannotate.labels import IGNORE, MAX_CLASSES

FEW, MANY = 2, 64
"""Up to FEW unknown values are classes that somebody forgot to name, more than MANY a smoothed border or a JPEG."""

THIN = 0.1
"""Between FEW and MANY they are a smoothed border when a smaller part of their pixels than this lies inside: has the
same value as its four neighbours."""


@dataclass(frozen=True)
class Scheme:
    """What a source says of its masks. ids: their names, None when it does not say; colours: by packed RGB."""

    ids: Mapping[int, str] | None = None
    colours: Mapping[int, str] | None = None


@dataclass(frozen=True)
class Values:
    """A mask as numbers. values: (h, w), ids or packed RGB. alpha: (h, w), or None. mode: Pillow's."""

    values: Int[np.ndarray, "h w"]
    alpha: UInt8[np.ndarray, "h w"] | None
    mode: str

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
        GannotateError: not readable, too large, or with smoothed borders; the reason begins behind the mask's name.
    """
    return from_values(open_mask(data), scheme, options)


def open_mask(data: bytes) -> Values:
    """The numbers in a mask picture.

    Raises:
        GannotateError: not a picture, too large, or of a kind that holds no labels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns on large pictures; check_area refuses them
            image = Image.open(io.BytesIO(data))
            check_area(*image.size)
            image.load()
    except GannotateError:
        raise
    except Exception as error:  # Pillow raises many kinds on a broken file
        raise GannotateError(f"is no whole picture ({str(error).split(' <_io.')[0]})") from error
    mode = image.mode
    if mode in ("CMYK", "YCbCr", "HSV", "LAB"):
        image, mode = image.convert("RGB"), "RGB"
    array = np.asarray(image)
    if mode in ("1", "L", "P", "I", "I;16", "I;16B", "I;16L"):
        return Values(array.astype(np.int64), None, mode)
    if mode in ("LA", "PA"):
        return Values(array[..., 0].astype(np.int64), array[..., 1], mode)
    if mode in ("RGB", "RGBA"):
        channels = array.astype(np.int64)
        values = (channels[..., 0] << 16) | (channels[..., 1] << 8) | channels[..., 2]
        return Values(values, array[..., 3] if mode == "RGBA" else None, mode)
    raise GannotateError(f"is a picture of kind {mode}; a mask has ids (8-bit grey or palette PNG) or colours (RGB)")


def from_values(read: Values, scheme: Scheme, options: ReadOptions) -> Labels:
    """Labels from a mask's numbers (see the module's text).

    Raises:
        GannotateError: smoothed borders, or 0 and 255 alone, where 255 may be a class or no label.
    """
    values, key, colour = _keyed(read, scheme, options)
    found, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    places = places.reshape(values.shape)
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


def _keyed(read: Values, scheme: Scheme, options: ReadOptions) -> tuple[Int[np.ndarray, "h w"], dict[int, str], bool]:
    """The values, the class that each known one is (of transparent pixels any), and whether they are colours."""
    clear = np.zeros(read.values.shape, bool) if read.alpha is None else read.alpha == 0
    values, grey = read.values, False
    if read.colour:
        key = {packed(item.colour): item.name for item in reversed(options.classes)} | dict(scheme.colours or {})
        key |= {int(word, 16): word for word in options.mapped if re.fullmatch("[0-9a-f]{6}", word)}
        grey = bool((((values >> 16) == (values & 255)) & ((values >> 8 & 255) == (values & 255)) | clear).all())
        if not grey or np.isin(values[~clear], list(key)).all():
            return np.where(clear, next(iter(key)), values), key, True
        values = values & 255
    own = {index: str(index) for index in range(len(options.classes))}
    key = {IGNORE: IGNORED} | dict(own if scheme.ids is None else scheme.ids)
    key |= {int(word): word for word in options.mapped if word.isdecimal() and len(word) < 9}
    return np.where(clear, IGNORE, values), key, False


def _spelled(value: int, colour: bool) -> str:
    return f"{value:06x}" if colour else str(value)


def _is_border(values: Int[np.ndarray, "h w"], where: Bool[np.ndarray, "h w"], unknown: Bool[np.ndarray, " n"]) -> bool:
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
