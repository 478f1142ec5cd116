"""Pictures with labels in memory, read from a folder or zip of images/NAME.* and masks/NAME.png."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from gannotate.data.formats.base import BACKGROUND, IGNORED
from gannotate.data.formats.palette import NAMES, parse_names
from gannotate.data.pictures import PictureSource, Skipped
from gannotate.errors import GannotateError, nearest
from gannotate.labels import IGNORE, MAX_CLASSES, decode_label_map
from gannotate.wording import counted


@dataclass(frozen=True)
class LabelledSet:
    """Pictures of one size with their labels.

    names: one a picture. pictures: uint8 (n, h, w, c), c 1 or 3. label_maps: uint8 (n, h, w), 255 = ignore.
    soft: float16 (n, k, h, w) class probabilities, or None. skipped: what was left out when reading, and why.
    recoloured: how many pictures were grey and became colour, or colour and became grey, when reading.
    """

    names: tuple[str, ...]
    pictures: np.ndarray
    label_maps: np.ndarray
    soft: np.ndarray | None = None
    skipped: tuple[Skipped, ...] = ()
    recoloured: int = 0

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: Sequence[int]) -> LabelledSet:
        """The pictures at `indices`, in that order; nothing counts as skipped."""
        picked = np.asarray(indices, dtype=np.int64)
        soft = None if self.soft is None else self.soft[picked]
        names = tuple(self.names[index] for index in picked)
        return LabelledSet(names, self.pictures[picked], self.label_maps[picked], soft)


def read_labelled(
    path: str | Path,
    classes: int,
    size: int | None = None,
    channels: int | None = None,
    names: Sequence[str] | None = None,
) -> LabelledSet:
    """Reads pictures and label maps from a folder or zip of images/NAME.* and masks/NAME.png.

    Args:
        path: folder or zip.
        classes: number of classes; label maps hold ids 0 to classes - 1 and 255 (ignore).
        size: side in px that pictures (area or Lanczos filter) and label maps (nearest) are brought to, whatever
            their shape; their own size when not given, and then it must be one for all.
        channels: 1 (grey) or 3 (RGB); when not given, grey if every picture is stored as grey.
        names: of the classes, by id: a source with a classes.json goes by these, not by its numbers.

    A picture that cannot be read or has no mask is skipped and listed.

    Raises:
        UsageError: no pictures. GannotateError: no picture with a mask, an unknown class id or name, a mask of
            another size than its picture, or pictures of different sizes with no `size` given.
    """
    source = PictureSource(path, under="images")
    ids = None if names is None else _ids_by_name(source, names)
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
        label_map = _read_mask(source, mask, classes) if ids is None else ids.read(source, mask)
        _check_same_size(image, label_map, name, mask, str(path))
        read.append((name, *_resize(image, label_map, size)))
    if not read:
        raise GannotateError(
            f"of {counted(len(skipped), 'picture')} in {path}/images none can be used, the first: {skipped[0].name} "
            f"{skipped[0].reason}; give masks/NAME.png for images/NAME.*"
        )
    _check_one_size(read, str(path))
    recoloured = sum(_is_colour(image) != (channels == 3) for _, image, _ in read) if channels else 0
    channels = channels or (1 if all(image.mode == "L" for _, image, _ in read) else 3)
    pictures = np.stack([_to_array(image, channels) for _, image, _ in read])
    label_maps = np.stack([label_map for _, _, label_map in read])
    return LabelledSet(
        tuple(name for name, _, _ in read), pictures, label_maps, skipped=tuple(skipped), recoloured=recoloured
    )


def resize_picture(image: Image.Image, width: int, height: int) -> Image.Image:
    """Brings a picture to another size: mean over whole blocks where that fits, Lanczos otherwise."""
    if image.size == (width, height):
        return image
    whole = image.width % width == 0 and image.height % height == 0
    kind = Image.Resampling.BOX if whole else Image.Resampling.LANCZOS
    # one axis after the other: given both at once Pillow chooses the order by shape, and an exported network cannot
    return image.resize((width, image.height), kind).resize((width, height), kind)


@dataclass(frozen=True)
class _Ids:
    """Ids of a source whose classes.json names them. told: its name of each. names: of the classes that are wanted."""

    told: Mapping[int, str]
    names: Sequence[str]

    def read(self, source: PictureSource, mask: str) -> np.ndarray:
        """A label map in the wanted classes' ids.

        Raises:
            GannotateError: it holds a class that is none of them.
        """
        label_map = _read_mask(source, mask, MAX_CLASSES)
        table = np.full(256, IGNORE, np.uint8)
        for index, count in zip(*np.unique(label_map, return_counts=True), strict=True):
            if index != IGNORE:
                table[index] = self._wanted(int(index), int(count), f"{source.path}/{mask}")
        return table[label_map]

    def _wanted(self, index: int, count: int, place: str) -> int:
        if index not in self.told:
            raise GannotateError(
                f"{place} has class id {index} ({count} px), which its {NAMES} does not name; add it there"
            )
        name = self.told[index]
        if name in self.names:
            return self.names.index(name)
        if name in (BACKGROUND, IGNORED):
            return 0 if name == BACKGROUND else IGNORE
        raise GannotateError(
            f"{place} has the class {name!r} ({count} px) by its {NAMES}, and the classes are {', '.join(self.names)}; "
            f"rename it there, or remove {NAMES} to go by the numbers{nearest(name, tuple(self.names))}"
        )


def _ids_by_name(source: PictureSource, names: Sequence[str]) -> _Ids | None:
    """How the source's classes.json reads; None without one, or where it says the same as `names`."""
    if NAMES not in source.files:
        return None
    try:
        told = parse_names(source.read_bytes(NAMES)).classes
    except GannotateError as error:
        raise GannotateError(f"{source.path}: {error}") from error
    return None if told == dict(enumerate(names)) else _Ids(told, names)


def _is_colour(image: Image.Image) -> bool:
    """Whether a picture shows any colour; grey ones may be stored as RGB."""
    if image.mode == "L":
        return False
    array = np.asarray(image)
    return bool((array != array[..., :1]).any())


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
