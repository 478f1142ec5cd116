"""A project's folder with one file of it damaged, and a dataset's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from bench.fuzz.target import Target, put
from bench.fuzz.targets.pictures import CLASSES, RANDOM, both, noise
from bench.fuzz.targets.texts import PROJECT
from gannotate.annotate.store import Store
from gannotate.data.manifest import Manifest
from gannotate.data.shards import Labelled, encode_sample, read_dataset, sample_key, write_part
from gannotate.data.writing import encode_picture
from gannotate.project import FIRST_REAL, PoolPicture, Project, RealPicture
from gannotate.project_config import parse_config
from gannotate.record import Record, as_json
from gannotate.report.gather import gather

SIZE = 16


def make_project(folder: Path) -> Project:
    """Two generated pictures and a real one, of which two are labelled, one of them twice; a finished decoder."""
    config = parse_config(PROJECT, "project.yaml")
    project = Project.create(folder, config)
    project.add_to_pool(
        [(PoolPicture(seed, config.draw.model_dump()), encode_picture(noise(SIZE, SIZE))) for seed in (0, 1)]
    )
    real = RealPicture("a", "a.png", "0" * 64, SIZE, SIZE, 0, 0, SIZE)
    project.add_real([(real, encode_picture(noise(SIZE, SIZE)))])
    store = Store(project)
    for seed, base in ((0, 0), (0, 1), (FIRST_REAL, 0)):
        store.save(seed, RANDOM.integers(0, 3, (SIZE, SIZE)).astype(np.uint8), base)
    store.mark(1, "unsure")
    record = as_json(Record("fit", {}, 0, status="done", started="2025", result={"scored": "x"}))
    put(project.folder, "decoders/0001-light/run.json", json.dumps(record).encode())
    put(project.folder, "decoders/0001-light/config.json", b'{"about": {"annotations": {"seeds": [0]}}}')
    put(project.folder, "runs/0001/run.json", json.dumps(record | {"verb": "evaluate"}).encode())
    return project


FILES = (
    "project.yaml", "pool/pool.jsonl", "pool/images/0.png", "annotations/annotations.jsonl", "annotations/0.png",
    "annotations/marks.jsonl", "annotations/history/0/000002.png", "decoders/0001-light/run.json",
    "decoders/0001-light/config.json", "runs/0001/run.json",
)  # fmt: skip


def project(folder: Path) -> Target:
    """Opening a project, its pool, labels and their history, its runs, and what its page is made of."""
    home = make_project(folder / "parts").folder
    kept = folder / "kept"
    shutil.copytree(home, kept)

    def read(kind: str, data: bytes) -> None:
        put(home, kind, data)
        try:
            opened = Project.open(home)
            store = Store(opened)
            both(
                lambda: [opened.read_annotation(one.seed) for one in opened.annotations("any")],
                lambda: opened.made("decoders") and opened.find("decoders", None),
                lambda: [store.load(seed) for seed in store.seeds()],
                lambda: (store.labelled(), store.marks(), opened.mirror, opened.classes),
                lambda: gather(opened),
            )
        finally:
            reset()

    def reset() -> None:
        # readers of the store bring history, map and row together
        for name in FILES:
            put(home, name, (kept / name).read_bytes())
        for path in (home / "annotations").rglob("*"):
            if path.is_file() and not (kept / path.relative_to(home)).exists():
                path.unlink()

    return Target(
        about="project.Project, annotate.store.Store, report.gather",
        seeds={name: [(kept / name).read_bytes()] for name in FILES},
        read=read,
    )


def dataset(folder: Path) -> Target:
    """A dataset's manifest, shards and plain files."""
    for layout in ("shards", "folder"):
        samples = [(sample_key(seed), encode_sample(_sample(seed), CLASSES, soft=True)) for seed in range(2)]
        where = folder / layout
        write_part(where, layout, 0, samples)
        about = [{"name": one.name, "colour": list(one.colour)} for one in CLASSES]
        settings = {"format": layout, "count": 2, "classes": about, "soft": True, "keep": 1.0}
        Manifest(settings, [{"first_seed": 0, "samples": 2}], complete=True).write(where)
    key = sample_key(0)
    names = ("shards/manifest.json", "shards/shard-000000.tar", "folder/manifest.json", f"folder/soft/{key}.npy",
             f"folder/images/{key}.png", f"folder/masks/{key}.png")  # fmt: skip
    whole = {name: (folder / name).read_bytes() for name in names}

    def read(kind: str, data: bytes) -> None:
        put(folder, kind, data)
        try:
            where = folder / kind.partition("/")[0]
            both(lambda: read_dataset(where, len(CLASSES)), lambda: read_dataset(where, len(CLASSES), most=1))
        finally:
            put(folder, kind, whole[kind])

    return Target(about="data.shards.read_dataset", seeds={name: [data] for name, data in whole.items()}, read=read)


def _sample(seed: int) -> Labelled:
    soft = np.full((len(CLASSES), SIZE, SIZE), 1 / len(CLASSES), np.float16)
    return Labelled(seed, noise(SIZE, SIZE), RANDOM.integers(0, 3, (SIZE, SIZE)).astype(np.uint8), soft, 0.5)


TARGETS = {"project": project, "dataset": dataset}
