"""`gannotate predict`: label maps for pictures of any size."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import torch
from cyclopts import Parameter
from PIL import Image

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, settings
from gannotate.cli.simulate import segmenter_folder
from gannotate.data.pictures import SUFFIXES, PictureSource, decode_picture
from gannotate.data.writing import check_new, encode_picture, new_pictures
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import encode_label_map
from gannotate.project import Project
from gannotate.segmenters.onnx_runtime import OnnxSegmenter
from gannotate.segmenters.predict import BATCH, Predictor, Segmenter
from gannotate.segmenters.tiling import View
from gannotate.viz import overlay

T = TypeVar("T")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PredictFlags(Common):
    """Flags of `predict`."""

    out: Path
    """New folder, or zip when it ends with .zip: masks/NAME.png (class ids with colours), overlays/NAME.png."""
    segmenter: Path | None = None
    """Segmenter of the project to use, by name; the newest one when not given."""
    overlays: bool = True
    """Write the pictures with the classes laid over them too."""
    tile: int | None = None
    """Cut pictures larger than this into overlapping tiles of so many px; whole pictures when not given."""
    overlap: float = View.overlap
    """Part of a tile's side that the next one covers again; 0 to 0.9."""
    scales: str = "1"
    """Show the network the picture at so many times its own size and average, e.g. 0.5,1,2."""


@dataclass
class Predicted:
    """Progress of labelling; `skipped` names the pictures that could not be read."""

    done: int
    steps: int
    seconds: float
    eta_s: float
    metrics: dict[str, float]
    skipped: dict[str, str] = field(default_factory=dict)


def predict(project: Path, pictures: Path, /, *, flags: PredictFlags) -> int:
    """Label pictures with a segmentation network.

    Args:
        project: the project's folder, a segmenter's, or an exported file (.onnx).
        pictures: folder or zip of pictures of any sizes, or one picture; of images/ and masks/ only images/ is read.
    """
    folder = segmenter_of(project, flags.segmenter)
    view = View(tile_px=flags.tile, overlap=flags.overlap, scales=parse_scales(flags.scales))
    names, source = find_pictures(pictures)
    check_new(flags.out)
    if flags.dry_run:
        return show.plan(flags, [f"label {len(names)} pictures with {folder} into {flags.out}"], settings(flags))
    segmenter = _load(folder, prepare(flags))
    last = show.follow(_predict(segmenter, source, names, flags, view), "predict", flags.quiet)
    skipped = last.skipped if last else {}
    for name, reason in list(skipped.items())[:20]:
        show.say(flags, f"skipped {name}: {reason}")
    done = len(names) - len(skipped)
    result = {"segmenter": str(folder), "out": str(flags.out), "pictures": done, "skipped": skipped}
    return show.finish(flags, result, f"{done} pictures labelled in {flags.out}, {len(skipped)} skipped")


def find_pictures(path: Path) -> tuple[tuple[str, ...], PictureSource | None]:
    """Names of the pictures at `path` and where to read them; without a source `path` is one picture.

    Raises:
        UsageError: there are none.
    """
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return (str(path),), None
    source = PictureSource(path)
    if any(name.startswith("images/") for name in source.names):
        source = PictureSource(path, under="images")
    return source.names, source


def segmenter_of(project: Path, given: Path | None) -> Path:
    """The segmenter of a project, the newest unless one is given; or `project` itself when it is one.

    Raises:
        UsageError: there is none of that name, or one was given for something that is no project.
    """
    if (project / "project.yaml").exists():
        return segmenter_folder(Project.open(project), given)
    if given is not None:
        raise UsageError(f"{project} is no project, so --segmenter names nothing in it; leave --segmenter out")
    return project


def parse_scales(text: str) -> tuple[float, ...]:
    """`0.5,1,2` to numbers.

    Raises:
        UsageError: not numbers.
    """
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as error:
        raise UsageError(f"--scales is {text!r}; give numbers with commas between them, e.g. 0.5,1,2") from error


def as_array(image: Image.Image) -> np.ndarray:
    """A Pillow image of mode L or RGB as uint8 (h, w, 1 or 3)."""
    array = np.asarray(image, dtype=np.uint8)
    return array.reshape(*array.shape[:2], -1)


def _load(path: Path, device: str) -> Predictor:
    if path.suffix.lower() == ".onnx":
        return OnnxSegmenter.load(path, torch.get_num_threads())
    return Segmenter.load(path, device)


def _predict(
    segmenter: Predictor, source: PictureSource | None, names: tuple[str, ...], flags: PredictFlags, view: View
) -> Iterator[Predicted]:
    classes, begin = segmenter.config.class_infos, time.monotonic()
    progress = Predicted(0, len(names), 0.0, 0.0, {})
    outs = out_names(names if source is not None else (Path(names[0]).name,))
    with new_pictures(flags.out) as add:
        for batch in _batches(iter(zip(names, outs, strict=True))):
            read = [(out, picture) for name, out in batch if (picture := _read(source, name, progress)) is not None]
            label_maps = segmenter.predict([picture for _, picture in read], view=view)
            for (out, picture), label_map in zip(read, label_maps, strict=True):
                add(f"masks/{out}", encode_label_map(label_map, classes))
                if flags.overlays:
                    add(f"overlays/{out}", encode_picture(overlay(picture, label_map, classes)))
            progress.done += len(batch)
            progress.seconds = time.monotonic() - begin
            progress.eta_s = progress.seconds / progress.done * (progress.steps - progress.done)
            yield progress
        if len(progress.skipped) == len(names):
            name, reason = next(iter(progress.skipped.items()))
            raise GannotateError(f"none of the {len(names)} pictures could be read, the first: {name} {reason}")


def out_names(names: tuple[str, ...]) -> list[str]:
    """NAME.png for each picture, its folder kept but for a leading images/; NAME.jpg.png where two would be one."""
    inside = [PurePosixPath(name.removeprefix("images/")) for name in names]
    stems = Counter(name.with_suffix("") for name in inside)
    return [f"{name.with_suffix('') if stems[name.with_suffix('')] == 1 else name}.png" for name in inside]


def _read(source: PictureSource | None, name: str, progress: Predicted) -> np.ndarray | None:
    try:
        image = decode_picture(Path(name).read_bytes()) if source is None else source.read(name)
    except GannotateError as error:
        progress.skipped[name] = str(error)
        return None
    return as_array(image)


def _batches(items: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(items, BATCH)):
        yield batch
