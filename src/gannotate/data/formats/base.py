"""What every format of label maps gives: entries to read, one a picture, and a function that writes them.

Classes travel by name. What no annotation covers in a format of regions is `background`; `ignore` is 255. Files come
from elsewhere and are hostile until they are checked: sizes are checked before memory is taken, names are only looked
up among the files that are there, and nothing is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from pydantic import ValidationError

from gannotate.data.formats.files import Files
from gannotate.data.writing import Add
from gannotate.errors import GannotateError
from gannotate.labels import ClassInfo
from gannotate.picture_files import MAX_PIXELS, open_picture

BACKGROUND, IGNORED = "background", "ignore"
"""Names of what no region covers, and of pixels without a label (255)."""

Blended = Literal["refuse", "ignore", "nearest"]
"""What becomes of mask pixels between two classes' values: an error, no label, or the class with the nearest value."""

LabelMap = UInt8[np.ndarray, "h w"]


@dataclass(frozen=True)
class Labels:
    """One picture's labels. label_map: uint8 (h, w), places in `classes`, 255 = ignore. classes: their names."""

    label_map: LabelMap
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One labelled picture of a source, read when it is asked for.

    name: without ending and folders. labels: reads its label map; raises GannotateError with a reason that begins
    behind the name. picture: reads the bytes of its picture file; None where there is no picture.
    """

    name: str
    labels: Callable[[], Labels]
    picture: Callable[[], bytes] | None = None


@dataclass(frozen=True)
class Picture:
    """One labelled picture to write. name: fit for a file name. picture: uint8 (h, w, 1 or 3). label_map: (h, w)."""

    name: str
    picture: UInt8[np.ndarray, "h w c"]
    label_map: LabelMap


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What a reader may need to know of the project that it reads for."""

    classes: tuple[ClassInfo, ...]
    """The project's classes: masks without names of their own hold their ids, or are painted in their colours."""
    mapped: frozenset[str] = field(default_factory=frozenset)
    """Names, ids or colours of the source that were given a class with --map."""
    blended: Blended = "refuse"
    """What becomes of pixels between two classes' values."""
    sizes: Callable[[str], tuple[int, int] | None] = lambda name: None
    """Width and height of a picture that the project knows by that name, for formats that do not tell."""


@dataclass(frozen=True)
class Format:
    """One format.

    about: a line for its users. read: the labelled pictures of a folder or zip; raises UsageError for one that is not
    of this format, GannotateError for a damaged one. write: writes pictures with their labels, and returns sentences
    on what the format could not hold. single: endings of files that may be given themselves, in place of their folder.
    """

    about: str
    read: Callable[[Files, ReadOptions], list[Entry]]
    write: Callable[[Add, Iterable[Picture], Sequence[ClassInfo]], list[str]]
    single: tuple[str, ...] = ()


def check_area(width: int, height: int) -> None:
    """Refuses sizes that no label map has, before memory is taken for them.

    Raises:
        GannotateError: a side below 1, or more than MAX_PIXELS.
    """
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise GannotateError(f"says it is {width}x{height} px; label maps have 1 px to {MAX_PIXELS // 10**6} Mpx")


def size_of(files: Files, picture: str | None, name: str, options: ReadOptions) -> tuple[int, int]:
    """Width and height of the picture of a label file that does not tell: of the one beside it, or of the project's.

    Raises:
        GannotateError: neither is there, or it cannot be read.
    """
    if picture is None:
        size = options.sizes(name)
        if size is None:
            raise GannotateError("has no picture beside it, which would tell its size in px; add images/NAME.*")
        return size
    try:
        with open_picture(files.read(picture), load=False) as image:
            turned = image.getexif().get(0x0112, 1) >= 5  # EXIF: stored lying on its side
            size = (image.height, image.width) if turned else image.size
    except Exception as error:  # of EXIF data that are none; Pillow has many kinds
        raise GannotateError(f"has a picture, {picture}, that cannot be read") from error
    check_area(*size)
    return size


def validated(model: Any, data: bytes, name: str) -> Any:
    """JSON as pydantic reads it.

    Raises:
        GannotateError: not JSON, or not of this shape; names the first problem.
    """
    try:
        return model.validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"][:8])
        raise GannotateError(
            f"{name} is not of this format ({place + ': ' if place else ''}{problem['msg']})"
        ) from error
