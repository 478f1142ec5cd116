"""COCO: images/ and one JSON of instances, with run-length codes or with polygons.

Written: one annotation a class and picture, all its parts together; the background is what no annotation covers and is
no category; category ids are the class ids. Unlabelled pixels are a crowd region (`iscrowd` 1, which trainers leave
out) of a category called `ignore`, always as run lengths. Polygons have no holes (see outlines.py).
Read: run lengths, compressed or not, and polygons; of overlapping regions the smaller one lies above; crowds count as
their class. Categories of one name are one class.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any

import numpy as np
from jaxtyping import Bool
from pycocotools import mask as coco_mask
from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter

from gannotate.data.formats.base import IGNORED, Entry, Labels, Picture, ReadOptions, validated
from gannotate.data.formats.files import Files
from gannotate.data.formats.outlines import rasterise, to_polygons
from gannotate.data.formats.regions import Region, checked_runs, decompressed, paint
from gannotate.data.writing import Add, encode_picture
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE, ClassInfo

JSON = "annotations/instances.json"

SINGLE = (".json",)

Side = Annotated[int, Field(ge=1, le=1 << 20)]


class RunLengths(BaseModel):
    """A region as run lengths: a compressed string, or plain counts."""

    counts: str | list[int]
    size: tuple[Side, Side]


class Image(BaseModel):
    """One picture."""

    id: int
    file_name: str = Field(min_length=1, max_length=1000)
    width: Side
    height: Side


class Instance(BaseModel):
    """One region, or several polygons that belong together."""

    image_id: int
    category_id: int
    segmentation: RunLengths | list[list[FiniteFloat]]


class Category(BaseModel):
    """A class's name."""

    id: int
    name: str = Field(min_length=1, max_length=200)


class Coco(BaseModel):
    """What is read of the JSON."""

    images: list[Image]
    annotations: list[Instance]
    categories: list[Category]


def read(files: Files, options: ReadOptions) -> list[Entry]:
    """See base.Format; `SOURCE` may be the JSON itself."""
    name = files.chosen or _only_json(files)
    found: Coco = validated(TypeAdapter(Coco), files.read(name), name)
    names = {category.id: category.name for category in found.categories}
    instances: dict[int, list[Instance]] = {image.id: [] for image in found.images}
    for instance in found.annotations:
        if instance.image_id not in instances or instance.category_id not in names:
            raise GannotateError(
                f"{name} has an annotation of image {instance.image_id}, category {instance.category_id}, which it "
                "does not list"
            )
        instances[instance.image_id].append(instance)
    entries = []
    for image in found.images:
        picture = files.picture(image.file_name)
        labels = partial(_labels, image, instances[image.id], names)
        name_only = PurePosixPath(image.file_name.replace("\\", "/")).stem
        entries.append(Entry(name_only, labels, partial(files.read, picture) if picture else None))
    return entries


def _only_json(files: Files) -> str:
    names = [name for name in files.ending(".json") if b'"annotations"' in files.read(name)]
    if len(names) == 1:
        return names[0]
    shown = f"{len(names)} of them, e.g. {', '.join(names[:2])}; give one as the source" if names else "none"
    raise UsageError(f"{files.path} should hold one JSON of COCO instances; it has {shown}")


def _labels(image: Image, instances: Sequence[Instance], names: dict[int, str]) -> Labels:
    regions = [_region(instance, names[instance.category_id], image.height, image.width) for instance in instances]
    return paint(regions, image.height, image.width)


def _region(instance: Instance, name: str, height: int, width: int) -> Region:
    coded = instance.segmentation
    if isinstance(coded, list):
        checked_runs([height * width], height, width)
        if any(len(numbers) % 2 for numbers in coded):
            raise GannotateError("has a polygon with an odd number of coordinates")
        polygons = [np.array(numbers, np.float64).reshape(-1, 2) for numbers in coded]
        return Region(name, rasterise(polygons, height, width) if polygons else np.array([height * width]))
    if coded.size != (height, width):
        raise GannotateError(f"has a region of {coded.size[1]}x{coded.size[0]} px in a {width}x{height} px picture")
    read_counts = decompressed if isinstance(coded.counts, str) else checked_runs
    return Region(name, read_counts(coded.counts, height, width))  # pyright: ignore[reportArgumentType]


def write(add: Add, pictures: Iterable[Picture], classes: Sequence[ClassInfo], polygons: bool = False) -> list[str]:
    """See base.Format."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, start=1):
        height, width = picture.label_map.shape
        images.append({"id": number, "file_name": f"{picture.name}.png", "width": width, "height": height})
        add(f"images/{picture.name}.png", encode_picture(picture.picture))
        for value in np.unique(picture.label_map).tolist():
            if value:
                mask = picture.label_map == value
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": number} | _annotation(mask, value, polygons)
                )
    categories = [{"id": index, "name": item.name} for index, item in enumerate(classes) if index]
    categories.append({"id": IGNORE, "name": IGNORED})
    found = {"info": {"description": "written by gannotate"}, "images": images, "annotations": annotations}
    add(JSON, json.dumps(found | {"categories": categories}).encode())
    return []


def write_polygons(add: Add, pictures: Iterable[Picture], classes: Sequence[ClassInfo]) -> list[str]:
    """`write`, with polygons."""
    return write(add, pictures, classes, polygons=True)


def _annotation(mask: Bool[np.ndarray, "h w"], value: int, polygons: bool) -> dict[str, Any]:
    coded: Any = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    box = [float(side) for side in coco_mask.toBbox(coded)]
    if polygons and value != IGNORE:
        segmentation: Any = [polygon.ravel().tolist() for polygon in to_polygons(mask)]
    else:
        segmentation = {"size": list(mask.shape), "counts": coded["counts"].decode()}
    return {
        "category_id": value,
        "segmentation": segmentation,
        "area": int(mask.sum()),
        "bbox": box,
        "iscrowd": int(value == IGNORE),
    }
