"""Pictures with labels in memory, read from a folder or zip of images/NAME.* and masks/NAME.png."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from gannotate.data.pictures import PictureSource, Skipped
from gannotate.errors import GannotateError
from gannotate.labels import decode_label_map


@dataclass(frozen=True)
class LabelledSet:
    """Pictures of one size with their labels.

    names: one a picture. pictures: uint8 (n, h, w, c), c 1 or 3. label_maps: uint8 (n, h, w), 255 = ignore.
    soft: float16 (n, k, h, w) class probabilities, or None. skipped: what was left out when reading, and why.
    """

    names: tuple[str, ...]
    pictures: np.ndarray
    label_maps: np.ndarray
    soft: np.ndarray | None = None
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: Sequence[int]) -> LabelledSet:
        """The pictures at `indices`, in that order; nothing counts as skipped."""
        picked = np.asarray(indices, dtype=np.int64)
        soft = None if self.soft is None else self.soft[picked]
        names = tuple(self.names[index] for index in picked)
        return LabelledSet(names, self.pictures[picked], self.label_maps[picked], soft)


def read_labelled(path: str | Path, classes: int, size: int | None = None, channels: int | None = None) -> LabelledSet:
    """Reads pictures and label maps from a folder or zip of images/NAME.* and masks/NAME.png.

    Args:
        path: folder or zip.
        classes: number of classes; label maps hold ids 0 to classes - 1 and 255 (ignore).
        size: side in px that pictures (area or Lanczos filter) and label maps (nearest) are brought to, whatever
            their shape; their own size when not given, and then it must be one for all.
        channels: 1 (grey) or 3 (RGB); when not given, grey if every picture is stored as grey.

    A picture that cannot be read or has no mask is skipped and listed.

    Raises:
        UsageError: no pictures. GannotateError: no picture with a mask, an unknown class id, a mask of another size
            than its picture, or pictures of different sizes with no `size` given.
    """
    source = PictureSource(path, under="images")
    read: list[tuple[str, Image.Image, np.ndarray]] = []
    skipped: list[Skipped] = []
    others = {str(PurePosixPath(file).with_suffix("")): file for file in source.files if file.startswith("masks/")}
    for name in source.names:
        mask = f"masks/{PurePosixPath(name).relative_to('images').with_suffix('.png')}"
        if mask not in source.files:
            other = others.get(mask.removesuffix(".png"))
            skipped.append(Skipped(name, f"has no {mask}" + (f", only {other}" if other else "")))
            continue
        try:
            image = source.read(name)
        except GannotateError as error:
            skipped.append(Skipped(name, str(error)))
            continue
        label_map = _read_mask(source, mask, classes)
        _check_same_size(image, label_map, name, mask, str(path))
        read.append((name, *_resize(image, label_map, size)))
    if not read:
        raise GannotateError(
            f"none of the {len(skipped)} pictures in {path}/images can be used, the first: {skipped[0].name} "
            f"{skipped[0].reason}; give masks/NAME.png for images/NAME.*"
        )
    _check_one_size(read, str(path))
    channels = channels or (1 if all(image.mode == "L" for _, image, _ in read) else 3)
    pictures = np.stack([_to_array(image, channels) for _, image, _ in read])
    label_maps = np.stack([label_map for _, _, label_map in read])
    return LabelledSet(tuple(name for name, _, _ in read), pictures, label_maps, skipped=tuple(skipped))


def resize_picture(image: Image.Image, width: int, height: int) -> Image.Image:
    """Brings a picture to another size: mean over whole blocks where that fits, Lanczos otherwise."""
    if image.size == (width, height):
        return image
    whole = image.width % width == 0 and image.height % height == 0
    kind = Image.Resampling.BOX if whole else Image.Resampling.LANCZOS
    # one axis after the other: given both at once Pillow chooses the order by shape, and an exported network cannot
    return image.resize((width, image.height), kind).resize((width, height), kind)


def _read_mask(source: PictureSource, mask: str, classes: int) -> np.ndarray:
    try:
        data = source.read_bytes(mask)
    except GannotateError as error:
        raise GannotateError(f"{source.path}/{mask} {error}") from error
    return decode_label_map(data, classes, f"{source.path}/{mask}")


def _check_same_size(image: Image.Image, label_map: np.ndarray, name: str, mask: str, path: str) -> None:
    height, width = label_map.shape
    if image.size != (width, height):
        raise GannotateError(
            f"{path}: {mask} is {width}x{height} px and {name} is {image.width}x{image.height}; give a mask of the "
            "picture's own size"
        )


def _resize(image: Image.Image, label_map: np.ndarray, size: int | None) -> tuple[Image.Image, np.ndarray]:
    if size is None or image.size == (size, size):
        return image, label_map
    resized = Image.fromarray(label_map).resize((size, size), Image.Resampling.NEAREST)
    return resize_picture(image, size, size), np.asarray(resized, dtype=np.uint8)


def _check_one_size(read: Sequence[tuple[str, Image.Image, np.ndarray]], path: str) -> None:
    first, image, _ = read[0]
    for name, other, _ in read:
        if other.size != image.size:
            raise GannotateError(
                f"{path}: {first} is {image.width}x{image.height} px and {name} is {other.width}x{other.height}; give "
                "a size that all are brought to"
            )


def _to_array(image: Image.Image, channels: int) -> np.ndarray:
    array = np.asarray(image.convert("L" if channels == 1 else "RGB"), dtype=np.uint8)
    return array[..., None] if channels == 1 else array
