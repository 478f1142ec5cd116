"""Label Studio: tasks.json with brush regions, images/, and the labelling interface as XML.

Written: one region a class and picture, the background left out (it is what no region covers), unlabelled pixels as a
region called `ignore`. To open it there: make a project with labelling-interface.xml, serve images/ as local files or
upload it, and import tasks.json.
Read: an export of the kind JSON (not JSON-MIN): the newest annotation of each task that was not cancelled; of
overlapping regions the smaller one lies above. Regions that are no brush (boxes, polygons) are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np
from pydantic import BaseModel, Field, TypeAdapter

from gannotate.data.formats import brush_code
from gannotate.data.formats.base import BACKGROUND, IGNORED, Entry, Labels, Picture, ReadOptions, size_of, validated
from gannotate.data.formats.files import Files, stem_of
from gannotate.data.formats.regions import Region, paint, to_runs
from gannotate.data.writing import Add, encode_picture
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE, ClassInfo

TASKS, INTERFACE = "tasks.json", "labelling-interface.xml"

SINGLE = (".json",)

Side = Annotated[int, Field(ge=1, le=1 << 20)]


class Value(BaseModel):
    """What was painted."""

    format: str = ""
    rle: list[int] = Field(default_factory=list)
    brushlabels: list[str] = Field(default_factory=list)


class Result(BaseModel):
    """One region."""

    type: str = ""
    original_width: Side | None = None
    original_height: Side | None = None
    value: Value = Field(default_factory=Value)


class Annotation(BaseModel):
    """What one person did of a task at one time."""

    id: int | str | None = None
    was_cancelled: bool = False
    updated_at: str = ""
    result: list[Result]


class Task(BaseModel):
    """One picture."""

    data: dict[str, Any]
    annotations: list[Annotation]


def read(files: Files, options: ReadOptions) -> list[Entry]:
    """See base.Format; `SOURCE` may be the JSON itself."""
    name = files.chosen or _only_json(files)
    tasks: list[Task] = validated(TypeAdapter(list[Task]), files.read(name), name)
    entries = []
    for task in tasks:
        done = [annotation for annotation in task.annotations if not annotation.was_cancelled]
        if not done:
            continue
        picture_name = _picture_name(task)
        picture = files.picture(picture_name) or files.picture(_without_upload(picture_name))
        stem = PurePosixPath(stem_of(picture or _without_upload(picture_name))).name
        newest = max(done, key=lambda annotation: annotation.updated_at)
        size = partial(size_of, files, picture, stem, options)
        labels = partial(_labels, newest, size)
        entries.append(Entry(stem, labels, partial(files.read, picture) if picture else None))
    return entries


def _only_json(files: Files) -> str:
    names = [name for name in files.ending(".json") if b'"annotations"' in files.read(name)]
    if len(names) == 1:
        return names[0]
    shown = f"{len(names)} of them, e.g. {', '.join(names[:2])}; give one as the source" if names else "none"
    raise UsageError(
        f"{files.path} should hold one Label Studio export of the kind JSON (not JSON-MIN); it has {shown}"
    )


def _picture_name(task: Task) -> str:
    """The last part of the picture's address, or of its ?d=, where local files are named."""
    address = next((value for value in task.data.values() if isinstance(value, str) and value), "")
    try:
        parts = urlsplit(address)
        address = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    except ValueError:  # no address: a bare name
        pass
    name = PurePosixPath(address.replace("\\", "/")).name
    if not name:
        raise GannotateError("a task of the Label Studio export names no picture")
    return name


def _without_upload(name: str) -> str:
    """A file's name before Label Studio uploaded it: that puts 8 hexadecimal digits and a - before it."""
    return re.sub(r"^[0-9a-f]{8}-(?=.)", "", name)


def _labels(annotation: Annotation, size_if_empty: Callable[[], tuple[int, int]]) -> Labels:
    regions: list[Region] = []
    size: tuple[int, int] | None = None
    for result in annotation.result:
        value = result.value
        if not value.brushlabels or value.format != "rle":
            kind = result.type or "another kind"
            raise GannotateError(f"has a region of {kind}; only brush regions (brushlabels) say which pixels are meant")
        if result.original_width is None or result.original_height is None:
            raise GannotateError("has a region that does not tell original_width and original_height")
        own = (result.original_width, result.original_height)
        if size not in (None, own):
            raise GannotateError("has regions of different picture sizes")
        size = own
        name = value.brushlabels[0][:200]
        regions.append(Region(name, to_runs(brush_code.decode(value.rle, *own))))
    width, height = size or size_if_empty()
    return paint(regions, height, width)


def write(add: Add, pictures: Iterable[Picture], classes: Sequence[ClassInfo]) -> list[str]:
    """See base.Format."""
    names = {index: item.name for index, item in enumerate(classes) if index} | {IGNORE: IGNORED}
    tasks = []
    for number, picture in enumerate(pictures, start=1):
        add(f"images/{picture.name}.png", encode_picture(picture.picture))
        height, width = picture.label_map.shape
        result = [
            {
                "id": f"{number}-{value}",
                "type": "brushlabels",
                "from_name": "label",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {
                    "format": "rle",
                    "rle": brush_code.encode(picture.label_map == value),
                    "brushlabels": [names[value]],
                },
            }
            for value in np.unique(picture.label_map).tolist()
            if value
        ]
        image = f"/data/local-files/?d=images/{picture.name}.png"
        tasks.append({"id": number, "data": {"image": image}, "annotations": [{"id": number, "result": result}]})
    add(TASKS, json.dumps(tasks).encode())
    add(INTERFACE, _interface(classes).encode())
    return []


def _interface(classes: Sequence[ClassInfo]) -> str:
    coloured = [(item.name, "#{:02x}{:02x}{:02x}".format(*item.colour)) for item in classes[1:]] + [
        (IGNORED, "#ffffff")
    ]
    labels = "".join(f"    <Label value={quoteattr(name)} background={quoteattr(c)}/>\n" for name, c in coloured)
    return (
        f'<View>\n  <!-- what is not painted is {BACKGROUND} -->\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="label" toName="image">\n{labels}  </BrushLabels>\n</View>\n'
    )
