"""Reading pictures from a folder or a zip: what is broken or odd is named, skipped and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from gannotate.data.archives import Archive, read_file, told_of
from gannotate.data.video import is_video
from gannotate.data.walking import hidden, names_below
from gannotate.errors import GannotateError, UsageError
from gannotate.picture_files import MAX_PIXELS, open_picture, without_warnings
from gannotate.wording import counted, quoted

__all__ = [
    "MAX_PIXELS",
    "PictureSet",
    "PictureSource",
    "Skipped",
    "decode_picture",
    "load_pictures",
    "read_picture",
    "stems",
    "to_array",
]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Endings that count as pictures."""


def stems(names: Sequence[str]) -> list[str]:
    """Pictures' names without endings, folders kept but for a leading images/; with them where two would be one."""
    inside = [PurePosixPath(name.removeprefix("images/")) for name in names]
    often = Counter(name.with_suffix("") for name in inside)
    return [str(name.with_suffix("") if often[name.with_suffix("")] == 1 else name) for name in inside]


@dataclass(frozen=True)
class Skipped:
    """A picture that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class PictureSet:
    """Pictures of one size in memory.

    pictures: uint8 (n, size, size, channels), channels 1 or 3. names: as in the folder or zip. skipped: left out.
    """

    names: tuple[str, ...]
    pictures: np.ndarray
    skipped: tuple[Skipped, ...]


class PictureSource:
    """The pictures below a folder or in a zip, by name; opened lazily.

    under: a sub-folder, e.g. 'images'. Left out, it is 'images' when there is a 'masks' beside it, else everything.
    """

    def __init__(self, path: str | Path, under: str | None = None) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise UsageError(f"{self.path} does not exist; give a folder or a zip of pictures")
        self._zip: Archive | None = None
        if self.path.is_file():
            self._zip = _archive(self.path)
            names = list(self._zip.names)
        else:
            names = names_below(self.path)
        self.files = frozenset(names)
        """Every file in it, pictures or not."""
        if under is None:
            tops = {name.split("/")[0] for name in names if "/" in name}
            under = "images" if {"images", "masks"} <= tops else ""
        inside = under.rstrip("/") + "/" if under else ""
        self.names = tuple(
            sorted(n for n in names if n.startswith(inside) and n.lower().endswith(SUFFIXES) and not hidden(n))
        )
        """Names of the pictures, sorted."""
        if not self.names:
            raise self._no_pictures([name for name in names if name.startswith(inside)], under)

    def _no_pictures(self, found: Sequence[str], under: str) -> UsageError:
        if under and not found and self.files:  # most often the folder of the pictures themselves
            return UsageError(f"{self.path} has no {under}/, {told_of(self.files)}; give the folder or zip that has it")
        where, kinds = f"{self.path}/{under}" if under else str(self.path), ", ".join(SUFFIXES)
        return UsageError(f"no pictures in {where}, {told_of(found)}; give a folder or a zip with {kinds} files")

    def read_bytes(self, name: str) -> bytes:
        """The file's bytes.

        Raises:
            GannotateError: not readable, or absurdly large; the reason begins behind its name.
        """
        return self._zip.read(name) if self._zip is not None else read_file(self.path / name)

    def read(self, name: str) -> Image.Image:
        """The picture, upright (EXIF), as mode L or RGB.

        Raises:
            GannotateError: not readable; the sentence says why.
        """
        return decode_picture(self.read_bytes(name))


def _archive(path: Path) -> Archive:
    if is_video(path):
        raise UsageError(
            f"{path} is a video; give a folder or a zip of pictures, e.g. of its frames: `ffmpeg -i {quoted(path)} "
            "FRAMES/%06d.png`"
        )
    try:
        return Archive(path)
    except GannotateError as error:
        cut_off = "; perhaps its download was cut off" if path.suffix.lower() == ".zip" else ""
        raise UsageError(f"{path} is not a folder or a zip of pictures: it {error}{cut_off}") from error


def read_picture(path: Path) -> Image.Image:
    """The picture in a file, upright (EXIF), as mode L or RGB.

    Raises:
        GannotateError: not readable, or no picture; the reason begins behind the file's name.
    """
    return decode_picture(read_file(path))


def decode_picture(data: bytes) -> Image.Image:
    """Bytes of a picture file to an upright Pillow image of mode L or RGB.

    Raises:
        GannotateError: not a picture, truncated, or too large.
    """
    image = open_picture(data)
    with without_warnings():
        try:
            image = ImageOps.exif_transpose(image)
        except Exception as error:  # of EXIF data that are none; Pillow has many kinds
            raise GannotateError(f"not a whole picture ({error})") from error
        if image.mode.startswith("I;16") or image.mode in ("I", "F"):
            return _from_deep(image)
        if image.mode in (
            "La",
            "RGBa",
        ):  # multiplied by their alpha, as some TIFFs are: Pillow knows one way from there
            image = image.convert(image.mode.upper())
        try:
            return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode in ("1", "LA") else "RGB")
        except ValueError as error:
            raise GannotateError(f"a picture of a kind that is not read ({error})") from error


def _from_deep(image: Image.Image) -> Image.Image:
    # 16-bit and float pictures (X-rays, microscopes): the picture's own range becomes 0..255
    values = np.array(image, dtype=np.float64 if image.mode == "I" else np.float32)
    known = np.isfinite(values)
    low, high = (float(end(values, where=known, initial=start)) for end, start in ((np.min, np.inf), (np.max, -np.inf)))
    span = values.dtype.type(high / 2 - low / 2) if high > low else 0  # halves: twice the largest number is none
    if not span > 0:
        return Image.new("L", image.size)
    # in place: a picture of MAX_PIXELS takes enough memory once
    values[~known] = low
    values /= 2
    values -= low / 2
    values /= span
    values *= 255
    return Image.fromarray(np.rint(values, out=values).clip(0, 255, out=values).astype(np.uint8), mode="L")


def load_pictures(
    path: str | Path,
    size: int | None = None,
    channels: int | None = None,
    crop: bool = False,
    under: str | None = None,
    most: int | None = None,
) -> PictureSet:
    """Reads all pictures of a folder or zip at one size.

    Args:
        path: folder or zip. under: a sub-folder in it (see PictureSource). most: read only the first so many.
        size: side of the result in px; the pictures' own side when not given. They are scaled with an area filter.
        channels: 1 (grey) or 3 (RGB); found from the pictures when not given.
        crop: cut every picture to its central square first; without it, pictures of another shape or size than most
            are skipped.

    Raises:
        UsageError: no pictures, no common size, or pictures that are not square or too small (with how to go on).
    """
    source = PictureSource(path, under)
    read: list[tuple[str, Image.Image]] = []
    skipped: list[Skipped] = []
    for name in source.names[:most]:
        try:
            image = source.read(name)
            read.append((name, _central_square(image) if crop else image))
        except GannotateError as error:
            skipped.append(Skipped(name, str(error)))
    if not read:
        there = counted(len(skipped), "picture")
        raise UsageError(f"of {there} in {path} none could be read: {skipped[0].reason}")
    if not crop:
        read, odd = _of_usual_size(read, str(path))
        skipped += odd
    side = size or read[0][1].width
    small = [Skipped(name, f"{image.width} px is smaller than {side} px") for name, image in read if image.width < side]
    read = [(name, image) for name, image in read if image.width >= side]
    if not read:
        raise UsageError(
            f"every picture in {path} is smaller than {side} px ({small[0].reason}); give larger pictures, or a "
            "smaller size"
        )
    channels = channels or _channels_of([image for _, image in read])
    pictures = np.stack([to_array(image, side, channels) for _, image in read])
    return PictureSet(tuple(name for name, _ in read), pictures, tuple(skipped + small))


def to_array(image: Image.Image, size: int, channels: int) -> np.ndarray:
    """A square Pillow image to uint8 (size, size, channels)."""
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (size, size):
        image = image.resize(
            (size, size), Image.Resampling.BOX if image.width % size == 0 else Image.Resampling.LANCZOS
        )
    array = np.asarray(image, dtype=np.uint8)
    return array[..., None] if channels == 1 else array


def _central_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _of_usual_size(
    read: list[tuple[str, Image.Image]], path: str
) -> tuple[list[tuple[str, Image.Image]], list[Skipped]]:
    sizes = Counter(image.size for _, image in read)
    (usual, count), *_ = sizes.most_common(1)
    shape = f"{usual[0]}x{usual[1]}"
    if count * 2 <= len(read):
        shown = ", ".join(f"{w}x{h} ({n})" for (w, h), n in sizes.most_common(3))
        raise UsageError(
            f"{path} has pictures of mixed sizes, the most common are {shown}; give pictures of one size, or --crop "
            "to cut each to its central square"
        )
    if usual[0] != usual[1]:
        raise UsageError(
            f"the pictures in {path} are {shape} px, not square; add --crop to cut each to its central square"
        )
    odd = [
        Skipped(name, f"{image.width}x{image.height} px, the others are {shape}")
        for name, image in read
        if image.size != usual
    ]
    return [(name, image) for name, image in read if image.size == usual], odd


def _channels_of(images: Sequence[Image.Image]) -> int:
    if all(image.mode == "L" for image in images):
        return 1
    # grey pictures are often stored as RGB: equal channels (give or take JPEG's rounding) mean grey
    sample = images[:: max(1, len(images) // 50)]
    for image in sample:
        array = np.asarray(image.convert("RGB"), dtype=np.int16)
        if np.abs(array - array.mean(axis=2, keepdims=True)).mean() > 1.5:
            return 3
    return 1
