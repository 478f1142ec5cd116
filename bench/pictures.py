"""What a picture costs when there are many already: 1e2 to 1e6 of them, by simulation. Run by bench/all.py.

What a dataset, a project or a zip of so many pictures keeps of them (notes of parts, pool.jsonl, annotations.jsonl,
names) is written as the real thing would be, the pictures themselves are not; then one more step is timed. A step that
costs the same whatever there is already makes a whole of N pictures cost N times it.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from decoder_fit import patches
from measure import How, Work
from parts import OURS, Part

from gannotate.annotate.order import distances, diverse
from gannotate.annotate.store import Store
from gannotate.data.manifest import Manifest, is_complete, part_notes
from gannotate.data.pictures import PictureSource
from gannotate.data.shards import Labelled, encode_sample, sample_key, write_part
from gannotate.data.writing import encode_picture
from gannotate.labels import ClassInfo, make_classes
from gannotate.project import PoolPicture, Project
from gannotate.project_config import ClassEntry, GeneratorEntry, ProjectConfig

SIZE, CLASSES, PART = 8, 11, 256
COUNTS = (100, 1000, 10_000, 100_000, 1_000_000)
Step = Callable[[], object]

ROW = {"first_seed": 0, "samples": PART, "confidence": 0.987654, "uncertainty": 0.123456}
ROW |= {"class_px": [65536] * CLASSES, "sha256": "0" * 64}
"""What is noted of a part."""


def prepare(way: str, how: How, pictures: int, make: Callable[[Path, int, str], tuple[Step, float]]) -> Work:
    """`make` gives the step, in a folder of its own, and how many pictures the step is about."""
    folder = tempfile.TemporaryDirectory()
    step, units = make(Path(folder.name), pictures, way)

    def run(kept: Any = folder) -> None:  # the folder lives as long as the step
        step()

    return Work([(run, 1)], units=units)


def next_part(folder: Path, pictures: int, way: str) -> tuple[Step, float]:
    """Writing a shard of a dataset and noting it; or plain files, and a list of all in one file."""
    classes = make_classes([f"class {index}" for index in range(CLASSES)])
    samples = [_sample(seed, classes) for seed in range(PART)]
    if way == OURS:
        known = _noted(folder, pictures)

        def write() -> None:
            assert not is_complete(folder)
            write_part(folder, "shards", known, samples)
            part_notes(folder).add(known, ROW)

        return write, PART
    listed = [{"file": f"images/{sample_key(seed)}.png", "confidence": 0.987654} for seed in range(pictures)]

    def files() -> None:
        write_part(folder, "folder", 0, samples)
        (folder / "list.json").write_text(json.dumps(listed))

    return files, PART


def whole_dataset(folder: Path, pictures: int, way: str) -> tuple[Step, float]:
    """Naming all parts of a dataset in its manifest, once, from their notes."""
    _noted(folder, pictures)

    return lambda: Manifest.read(folder).write(folder / "whole"), pictures


def _noted(folder: Path, pictures: int) -> int:
    """Makes what an unfinished dataset knows of its parts; returns how many there are."""
    Manifest({"format": "shards", "count": 10**7, "classes": [], "soft": True}).write(folder)
    for index in range(pictures // PART):
        part_notes(folder).add(index, ROW)
    return pictures // PART


def _sample(seed: int, classes: tuple[ClassInfo, ...]) -> tuple[str, dict[str, bytes]]:
    label_map = patches(SIZE, CLASSES, seed)
    picture = np.repeat(label_map[..., None] * 20, 3, axis=2)
    soft = np.full((CLASSES, SIZE, SIZE), 1 / CLASSES, np.float16)
    return sample_key(seed), encode_sample(Labelled(seed, picture, label_map, soft, 0.9, 0.1), classes, True)


def read_pool(folder: Path, pictures: int, way: str) -> tuple[Step, float]:
    """Listing a project's pool."""
    project = _project(folder, pictures)
    return project.pool, pictures


def save_labels(folder: Path, pictures: int, way: str) -> tuple[Step, float]:
    """Saving a label map in the annotator, when all pictures of the pool are labelled."""
    project = _project(folder, pictures)
    row = {"source": "person", "saved": "2026-01-01T00:00:00+00:00", "about": {"tool": "gannotate annotate"}}
    rows = (json.dumps({"seed": seed, **row}) for seed in range(1, pictures))
    (folder / "project" / "annotations").mkdir()
    (folder / "project" / "annotations" / "annotations.jsonl").write_text("\n".join(rows))
    path = project.pool_picture_path(0)
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_picture(np.zeros((SIZE, SIZE, 3), np.uint8)))
    store, turn = Store(project), 0

    def save() -> None:
        nonlocal turn
        turn += 1
        store.save(0, patches(SIZE, CLASSES, turn), store.load(0).version)

    return save, 1


def _project(folder: Path, pictures: int) -> Project:
    """A project whose pool says that it has so many generated pictures."""
    config = ProjectConfig(
        name="many",
        created="2026-01-01T00:00:00+00:00",
        size=SIZE,
        image_channels=3,
        classes=tuple(ClassEntry(name=f"class {index}", colour=(index, 0, 0)) for index in range(CLASSES)),
        generator=GeneratorEntry(source="none", architecture="stylegan2", sha256="0"),
    )
    project = Project.create(folder / "project", config)
    rows = (PoolPicture(seed, {"psi": 1.0, "cutoff": None, "noise": "const"}).as_row() for seed in range(pictures))
    (folder / "project" / "pool").mkdir()
    (folder / "project" / "pool" / "pool.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return project


def offer_next(folder: Path, pictures: int, way: str) -> tuple[Step, float]:
    """Which picture of the pool to label next: a greedy choice over all distances, or the whole order of all."""
    apart = distances(np.random.default_rng(0).normal(size=(pictures, 64)).astype(np.float32))
    return partial(diverse, apart, [0], 1 if way == OURS else pictures), 1


def list_zip(folder: Path, pictures: int, way: str) -> tuple[Step, float]:
    """Opening a zip of pictures and listing them by name."""
    path, png = folder / "pictures.zip", io.BytesIO()
    png.write(encode_picture(np.zeros((1, 1, 3), np.uint8)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for index in range(pictures):
            archive.writestr(f"images/{index:07d}.png", png.getvalue())
    return partial(PictureSource, path), pictures


def _part(title: str, unit: str, make: Callable[..., Any], most: int, ours: str, other: str = "") -> Part:
    return Part(
        title=title,
        unit=unit,
        ways={OURS: ours} | ({"naive": other} if other else {}),
        prepare=partial(prepare, make=make),
        cases=[{"pictures": 1000}],
        growth={"pictures": tuple(count for count in COUNTS if count <= most)},
        quick={"pictures": 100},
        on_cuda=False,
    )


PARTS = {
    "many-dataset": _part(
        "Adding 256 pictures to a dataset",
        "picture",
        next_part,
        10**6,
        "a shard, and a note of it",
        "plain files, and one list of all of them",
    ),
    "many-whole": _part("Naming all parts of a dataset", "picture", whole_dataset, 10**6, "`Manifest`, once"),
    "many-pool": _part("Listing a project's pool", "picture", read_pool, 10**6, "`Project.pool`"),
    "many-zip": _part("Listing a zip of pictures", "picture", list_zip, 10**5, "`PictureSource`"),
    "many-save": _part("Saving labels, all of the pool labelled", "save", save_labels, 10**5, "`Store.save`"),
    "many-next": _part(
        "Offering the next picture of a pool", "question", offer_next, 1000, "as far as asked", "the whole order"
    ),
}
"""What is counted along the number of pictures that are there already."""
