"""A folder of masks: images/NAME.png, masks/NAME.png (palette PNG of class ids) and classes.json. Exact.

It is what `gannotate train --labelled` takes and `gannotate render` writes. Read too: masks in grey or in colours,
pictures of any kind, and a folder of masks alone, such as another project's annotations/. See raster.py for the rules.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import partial

from pydantic import BaseModel, Field, TypeAdapter

from gannotate.data.archives import told_of
from gannotate.data.formats.base import Entry, Labels, Picture, ReadOptions, validated
from gannotate.data.formats.files import Files, stem_of
from gannotate.data.formats.raster import Scheme, packed, read_mask
from gannotate.data.writing import Add, encode_picture
from gannotate.errors import UsageError
from gannotate.labels import ClassInfo, encode_label_map

NAMES = "classes.json"

MASKS = (".png", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".jpg", ".jpeg")


class Names(BaseModel):
    """classes.json: name and colour of each id."""

    classes: dict[int, str] = Field(max_length=256)
    colours: dict[int, tuple[int, int, int]] = Field(default_factory=dict, max_length=256)


def read(files: Files, options: ReadOptions) -> list[Entry]:
    """See base.Format."""
    under = "masks" if files.ending(*MASKS, under="masks") else ""
    masks = files.ending(*MASKS, under=under)
    if not masks:
        raise UsageError(
            f"{files.path} has no masks, {told_of(files.names)}; give a folder or zip of masks/NAME.png, or of masks "
            "alone"
        )
    scheme = read_names(files)
    entries = []
    for mask in masks:
        stem = stem_of(mask, under)
        picture = files.beside(stem, "images") if under else None
        entries.append(
            Entry(
                stem.replace("/", "-"),
                partial(_labels, files, mask, scheme, options),
                partial(files.read, picture) if picture else None,
            )
        )
    return entries


def _labels(files: Files, mask: str, scheme: Scheme, options: ReadOptions) -> Labels:
    return read_mask(files.read(mask), scheme, options)


def read_names(files: Files) -> Scheme:
    """Names and colours of classes.json, if there is one."""
    if NAMES not in files:
        return Scheme()
    found = parse_names(files.read(NAMES))
    colours = {
        packed(colour): found.classes[index] for index, colour in found.colours.items() if index in found.classes
    }
    return Scheme(found.classes, colours)


def parse_names(data: bytes) -> Names:
    """What a classes.json says.

    Raises:
        GannotateError: it is none.
    """
    return validated(TypeAdapter(Names), data, NAMES)


def names_json(classes: Sequence[ClassInfo]) -> bytes:
    """classes.json."""
    found = {
        "classes": {str(index): item.name for index, item in enumerate(classes)},
        "colours": {str(index): list(item.colour) for index, item in enumerate(classes)},
    }
    return json.dumps(found, indent=1).encode()


def write(add: Add, pictures: Iterable[Picture], classes: Sequence[ClassInfo]) -> list[str]:
    """See base.Format."""
    for picture in pictures:
        add(f"images/{picture.name}.png", encode_picture(picture.picture))
        add(f"masks/{picture.name}.png", encode_label_map(picture.label_map, classes))
    add(NAMES, names_json(classes))
    return []
