"""Formats by name. A format's module is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Literal

from gannotate.data.formats.base import Format

FormatName = Literal["palette", "folder", "coco", "coco-polygons", "voc", "yolo", "label-studio", "numpy"]

FORMATS: dict[FormatName, tuple[str, str]] = {
    "palette": ("palette", "images/ and masks/ (palette PNG), as `gannotate train --labelled` takes them; exact"),
    "folder": ("palette", "another name of palette"),
    "coco": ("coco", "COCO instances: images/ and annotations/instances.json with run lengths; exact"),
    "coco-polygons": ("coco", "COCO instances with polygons, for tools that read no run lengths"),
    "voc": ("voc", "Pascal VOC: JPEGImages/ and SegmentationClass/ in VOC's colours, 255 = not labelled"),
    "yolo": ("yolo", "YOLO segmentation: polygons in text files and data.yaml; knows no unlabelled pixels"),
    "label-studio": ("label_studio", "Label Studio: tasks.json with brush regions, and images/; exact"),
    "numpy": ("arrays", "NumPy: image_0.png and image_mask0.npy, as DatasetGAN and HandsOff take them; exact"),
}
"""Module and a line about each."""


def load_format(name: FormatName) -> Format:
    """The format called `name`."""
    room, about = FORMATS[name]
    module = importlib.import_module(f"gannotate.data.formats.{room}")
    write = module.write_polygons if name == "coco-polygons" else module.write
    return Format(about, module.read, write, getattr(module, "SINGLE", ()))
