"""Pascal VOC: JPEGImages/NAME.jpg and SegmentationClass/NAME.png, palette PNGs in VOC's colours, 255 = border.

Written: pictures as JPEG of quality 95 without colour subsampling (VOC's tools expect that ending; labels stay exact),
the list of names in ImageSets/Segmentation/trainval.txt, and labelmap.txt with names and colours as CVAT writes it.
Read: palette masks as they are published, and masks in colours with a labelmap.txt; without one the ids are the names,
to be told with e.g. --map 15=person. SegmentationObject (instances) is not read.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from PIL import Image

from gannotate.data.formats.base import IGNORED, Entry, LabelMap, Labels, Picture, ReadOptions
from gannotate.data.formats.files import Files, stem_of
from gannotate.data.formats.raster import Scheme, packed, read_mask
from gannotate.data.writing import Add
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE, ClassInfo

MASKS, PICTURES, NAMES = "SegmentationClass", "JPEGImages", "labelmap.txt"

QUALITY = 95


def colour_of(index: int) -> tuple[int, int, int]:
    """VOC's colour of a class id: its bits, three by three, from the top of red, green and blue down."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= ((index >> (3 * place + channel)) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]


def read(files: Files, options: ReadOptions) -> list[Entry]:
    """See base.Format."""
    root = next((name.split(f"{MASKS}/")[0] for name in files.names if f"{MASKS}/" in name), None)
    if root is None:
        raise UsageError(f"{files.path} has no {MASKS}/; give the folder or zip that holds it and {PICTURES}/")
    scheme = _read_names(files, root + NAMES)
    entries = []
    for mask in files.ending(".png", under=root + MASKS):
        name = stem_of(mask, root + MASKS)
        picture = files.beside(name, root + PICTURES)
        labels = partial(_labels, files, mask, scheme, options)
        entries.append(Entry(name.replace("/", "-"), labels, partial(files.read, picture) if picture else None))
    return entries


def _labels(files: Files, mask: str, scheme: Scheme, options: ReadOptions) -> Labels:
    return read_mask(files.read(mask), scheme, options)


def _read_names(files: Files, name: str) -> Scheme:
    """labelmap.txt: lines `name:red,green,blue:parts:actions`; a name's id is its line."""
    if name not in files:
        return Scheme()
    ids: dict[int, str] = {}
    colours: dict[int, str] = {}
    lines = [line for line in files.read(name).decode("utf-8", "replace").splitlines() if line and line[0] != "#"]
    for line in lines:
        called, *rest = line.split(":")
        try:
            red, green, blue = (int(part) & 255 for part in rest[0].split(","))
        except (IndexError, ValueError) as error:
            raise GannotateError(f"{name} has the line {line[:80]!r}; a line is name:red,green,blue::") from error
        colours[packed((red, green, blue))] = called
        if called != IGNORED:
            ids[len(ids)] = called
    return Scheme(ids, colours)


def write(add: Add, pictures: Iterable[Picture], classes: Sequence[ClassInfo]) -> list[str]:
    """See base.Format."""
    names = []
    for picture in pictures:
        add(f"{PICTURES}/{picture.name}.jpg", _jpeg(picture.picture))
        add(f"{MASKS}/{picture.name}.png", _mask(picture.label_map))
        names.append(picture.name)
    add("ImageSets/Segmentation/trainval.txt", "".join(f"{name}\n" for name in names).encode())
    lines = [(item.name, index) for index, item in enumerate(classes)] + [(IGNORED, IGNORE)]
    text = "".join(f"{name.replace(':', '-')}:{','.join(map(str, colour_of(index)))}::\n" for name, index in lines)
    add(NAMES, ("# label:color_rgb:parts:actions\n" + text).encode())
    return []


def _mask(label_map: LabelMap) -> bytes:
    image = Image.fromarray(label_map, mode="P")
    image.putpalette([channel for index in range(256) for channel in colour_of(index)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _jpeg(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()
