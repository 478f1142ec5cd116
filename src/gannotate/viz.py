"""Looking at label maps: overlays, sheets of pictures and legends, all uint8 RGB arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from gannotate.errors import UsageError
from gannotate.labels import IGNORE, ClassInfo, palette

PAPER = 255
"""Grey level between and around the pictures of a sheet or legend."""


def to_rgb(picture: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w 3"]:
    """A grey or RGB picture as RGB."""
    if picture.ndim != 3 or picture.shape[2] not in (1, 3):
        raise UsageError(f"a picture is (height, width, 1 or 3), this is {picture.shape}")
    return np.broadcast_to(picture, (*picture.shape[:2], 3)).copy()


def overlay(
    picture: UInt8[np.ndarray, "h w c"],
    label_map: UInt8[np.ndarray, "h w"],
    classes: Sequence[ClassInfo],
    opacity: float = 0.55,
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture under its label map's colours; pixels to ignore are hatched, the background stays clear.

    Args:
        opacity: 0 shows the picture alone, 1 the classes alone (then the background has its colour too).

    Raises:
        UsageError: picture and label map are not of one size, or an opacity outside 0 to 1.
    """
    if picture.shape[:2] != label_map.shape:
        raise UsageError(f"a picture of {picture.shape[:2]} has a label map of {label_map.shape}; they must be equal")
    if not 0 <= opacity <= 1:
        raise UsageError(f"opacity is {opacity}; give a number from 0 to 1")
    base = to_rgb(picture).astype(np.float32)
    part = np.where((label_map == 0) & (opacity < 1), 0.0, opacity)[..., None]
    mixed = base + part * (palette(classes)[label_map] - base)
    hatched = (label_map == IGNORE) & (_hatching(label_map.shape) if opacity < 1 else True)
    mixed = np.where(hatched[..., None], mixed, np.where((label_map == IGNORE)[..., None], base, mixed))
    return mixed.round().astype(np.uint8)


def contact_sheet(
    pictures: Sequence[UInt8[np.ndarray, "h w c"]], columns: int, gap_px: int = 2, clear: bool = False
) -> UInt8[np.ndarray, "H W channels"]:
    """Pictures of one size in rows of `columns`, white between them; an unfilled last row ends white.

    Args:
        clear: what is white is see-through, for pages that may be dark: four channels, the last opacity, in place of 3.

    Raises:
        UsageError: no pictures, of several sizes, or fewer than one column.
    """
    sizes = sorted({picture.shape[:2] for picture in pictures})
    if len(sizes) != 1:
        raise UsageError(f"a sheet takes pictures of one size, these have {sizes or 'none'}")
    if columns < 1:
        raise UsageError(f"columns is {columns}; give 1 or more")
    (height, width), columns = sizes[0], min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (height + gap_px) - gap_px, columns * (width + gap_px) - gap_px, 4), PAPER, np.uint8)
    sheet[..., 3] = 0
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        top, left = row * (height + gap_px), column * (width + gap_px)
        sheet[top : top + height, left : left + width] = np.insert(to_rgb(picture), 3, 255, axis=2)
    return sheet if clear else np.ascontiguousarray(sheet[..., :3])


def legend(classes: Sequence[ClassInfo], text_px: int = 16) -> UInt8[np.ndarray, "h w 3"]:
    """One line a class: a square of its colour and its name, letters `text_px` high."""
    font = ImageFont.load_default(size=text_px)
    line, gap = round(text_px * 1.6), text_px // 2
    text_width = max(round(font.getlength(item.name)) for item in classes)
    sheet = Image.new("RGB", (text_px + text_width + 3 * gap, line * len(classes) + gap), (PAPER,) * 3)
    painter = ImageDraw.Draw(sheet)
    for index, item in enumerate(classes):
        top = gap + index * line
        painter.rectangle((gap, top, gap + text_px - 1, top + text_px - 1), fill=item.colour)
        middle = top + text_px / 2
        painter.text((2 * gap + text_px, middle), item.name, fill=(0, 0, 0), font=font, anchor="lm")
    return np.asarray(sheet)


def enlarge(picture: UInt8[np.ndarray, "h w c"], factor: int) -> UInt8[np.ndarray, "H W c"]:
    """Each pixel as a square of `factor` pixels."""
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _hatching(shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = np.indices(shape)
    return (rows + columns) % 4 < 2
