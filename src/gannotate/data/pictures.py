"""Reading pictures from a folder or a zip: what is broken or odd is named, skipped and counted."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gannotate.errors import GannotateError, UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Endings that count as pictures."""

MAX_PIXELS = 100_000_000
"""A picture with more pixels is refused: it would fill the memory."""


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
        self._zip: zipfile.ZipFile | None = None
        if self.path.is_file():
            try:
                self._zip = zipfile.ZipFile(self.path)
            except (zipfile.BadZipFile, OSError) as error:
                raise UsageError(f"{self.path} is not a folder or a zip of pictures ({error})") from error
            names = [info.filename for info in self._zip.infolist() if not info.is_dir()]
        else:
            names = [str(p.relative_to(self.path)) for p in self.path.rglob("*") if p.is_file()]
        self.files = frozenset(names)
        """Every file in it, pictures or not."""
        if under is None:
            tops = {name.split("/")[0] for name in names if "/" in name}
            under = "images" if {"images", "masks"} <= tops else ""
        inside = under.rstrip("/") + "/" if under else ""
        self.names = tuple(
            sorted(n for n in names if n.startswith(inside) and n.lower().endswith(SUFFIXES) and not _hidden(n))
        )
        """Names of the pictures, sorted."""
        if not self.names:
            where = f"{self.path}/{under}" if under else str(self.path)
            raise UsageError(f"no pictures in {where}; give a folder or a zip with {', '.join(SUFFIXES)} files")

    def read_bytes(self, name: str) -> bytes:
        """The file's bytes."""
        if self._zip is not None:
            return self._zip.read(name)
        return (self.path / name).read_bytes()

    def read(self, name: str) -> Image.Image:
        """The picture, upright (EXIF), as mode L or RGB.

        Raises:
            GannotateError: not readable; the sentence says why.
        """
        try:
            return decode_picture(self.read_bytes(name))
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise GannotateError(f"cannot be read ({error})") from error


def decode_picture(data: bytes) -> Image.Image:
    """Bytes of a picture file to an upright Pillow image of mode L or RGB.

    Raises:
        GannotateError: not a picture, truncated, or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns on large pictures; the check below refuses them
            image = Image.open(io.BytesIO(data))
            if image.width * image.height > MAX_PIXELS:
                raise GannotateError(f"{image.width}x{image.height} px is more than {MAX_PIXELS // 10**6} Mpx")
            image.load()
            image = ImageOps.exif_transpose(image)
    except GannotateError:
        raise
    except Exception as error:  # Pillow raises many kinds on a broken file
        reason = str(error).split(" <_io.")[0]  # Pillow names the buffer that it was given, which nobody knows
        raise GannotateError(f"not a whole picture ({reason})") from error
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _from_deep(image)
    return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode in ("1", "LA") else "RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    # 16-bit and float pictures (X-rays, microscopes): the picture's own range becomes 0..255
    values = np.asarray(image, dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return Image.fromarray(scaled.round().astype(np.uint8), mode="L")


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
        raise UsageError(f"none of the {len(skipped)} pictures in {path} could be read: {skipped[0].reason}")
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


def iterate_pictures(source: PictureSource) -> Iterator[tuple[str, Image.Image | None, str]]:
    """Yields (name, picture or None, why not) one at a time, for long folders."""
    for name in source.names:
        try:
            yield name, source.read(name), ""
        except GannotateError as error:
            yield name, None, str(error)


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


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
