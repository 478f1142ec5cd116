"""A project folder as the verbs leave it, written by hand: no network is trained or drawn from."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from gannotate.data.labelled import LabelledSet
from gannotate.data.manifest import Manifest
from gannotate.data.shards import Labelled, encode_sample, write_part
from gannotate.data.writing import encode_picture
from gannotate.files import write_json
from gannotate.jsonlines import write_rows
from gannotate.labels import IGNORE
from gannotate.metrics.confusion import confusion, scores
from gannotate.project import PoolPicture, Project
from gannotate.project_config import ClassEntry, GeneratorEntry, ProjectConfig
from gannotate.record import recorded
from gannotate.report.examples import ON_POOL, write_examples

SIZE, NAMES = 16, ("ground", "core <1>", "rim", "never")
SIMULATED = {"network": "unet resnet18", "labels": 400, "label_source": "exact renders", "miou": 0.871}


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 1), np.uint8)


def label_maps(count: int, seed: int = 0) -> np.ndarray:
    """Class 3 is in none of them; some pixels are not labelled."""
    ids = np.array([0, 1, 2, IGNORE], np.uint8)
    return np.random.default_rng(seed).choice(ids, (count, SIZE, SIZE), p=(0.6, 0.2, 0.15, 0.05))


def empty_project(folder: Path) -> Project:
    classes = tuple(ClassEntry(name=name, colour=(40 + 60 * i, 90, 200)) for i, name in enumerate(NAMES))
    generator = GeneratorEntry(source="a & b", architecture="stylegan2", sha256="0")
    return Project.create(
        folder,
        ProjectConfig(
            name="cells <i>", created="now", size=SIZE, image_channels=1, classes=classes, generator=generator
        ),
        folder,
    )


def add_annotations(project: Project) -> None:
    for seed, (picture, label_map) in enumerate(zip(pictures(6), label_maps(6), strict=True)):
        project.add_to_pool(
            [(PoolPicture(seed, {"psi": 1.0, "cutoff": None, "noise": "const"}), encode_picture(picture))]
        )
        project.write_annotation(seed, label_map, "simulated", SIMULATED)


def add_decoder(project: Project, seeds: list[int]) -> None:
    folder = project.next_folder("decoders", "light")
    with recorded(folder, "fit", {"steps": 100, "annotations": seeds}, 0):
        write_json(folder / "config.json", {"about": {"annotations": {"seeds": seeds}}})
        write_rows(folder / "log.jsonl", [{"step": 50 * step, "loss": 1 / step} for step in (1, 2)])


def add_dataset(project: Project, soft: bool = False) -> None:
    folder = project.next_folder("datasets")
    labels = np.where(label_maps(20, 1) == IGNORE, 0, label_maps(20, 1))
    one = np.full((4, SIZE, SIZE), 0.25, np.float16)
    samples = [Labelled(100 + i, pictures(20, 1)[i], labels[i], one, 0.9) for i in range(20)]
    files = ((f"{sample.seed:010d}", encode_sample(sample, project.classes, soft=soft)) for sample in samples)
    with recorded(folder, "synthesize", {"decoder": "0001-light"}, 0) as record:
        write_part(folder, "shards", 0, files)
        names = [{"name": item.name, "colour": item.colour} for item in project.classes]
        settings = {"format": "shards", "count": 20, "soft": soft, "classes": names}
        Manifest(settings, [{"first_seed": 100, "samples": 20, "confidence": 0.10251}], complete=True).write(folder)
        share = {item.name: part for item, part in zip(project.classes, (0.75, 0.249, 0.001, 0.0), strict=True)}
        record.result = {"pictures": 20, "confidence": 0.1025, "class_share": share}


def add_segmenter(project: Project, name: str, source: str, wrong: float, floors: bool = False) -> float:
    """A trained and tested segmenter that errs on a part of the pixels; returns its mIoU."""
    folder = project.next_folder("segmenters", name)
    with recorded(folder, "train", {}, 0) as record:
        record.about = {"label_source": source, "labels": 3}
        write_json(folder / "config.json", {"about": {}})
        write_rows(folder / "log.jsonl", [{"step": 50, "loss": 0.5}])
    test = LabelledSet(tuple(map(str, range(12))), pictures(12, 2), label_maps(12, 2))
    errs = np.random.default_rng(3).random(test.label_maps.shape) < wrong * np.linspace(0, 2, 12)[:, None, None]
    predictions = np.where((test.label_maps == IGNORE) | errs, 0, test.label_maps)
    found = scores(confusion(test.label_maps, predictions, 4))
    run = project.next_folder("runs", "evaluate")
    with recorded(run, "evaluate", {"test": "t.zip"}, 0) as record:
        record.result = {"of": "segmenter", "scored": f"segmenters/{folder.name}", "test": "t.zip", "labels": 3}
        record.result |= {"label_source": source, "miou": found.miou, "fg_miou": found.fg_miou, "pictures": 12}
        record.result |= {"area_iou": found.area_iou, "pixel_accuracy": found.pixel_accuracy, "absent": "skip"}
        record.result |= {"per_class": dict(zip(NAMES, found.per_class, strict=True))}
        record.result |= {"confusion": confusion(test.label_maps, predictions, 4).tolist()}
        if floors:
            record.result["floors"] = {"majority": {"labels": 3, "miou": 0.111}, "pixels": {"labels": 3, "miou": 0.222}}
            unsure = np.where(errs, 200, 20).astype(np.uint8)
            write_examples(
                run / "examples", test, predictions, project.classes, random=3, worst=2, best=1, uncertainty=unsure
            )
    return found.miou


def add_decoder_test(project: Project, test: str = ON_POOL) -> None:
    """A test of the decoder on 9 pictures, whose examples are named by their seeds."""
    data = LabelledSet(tuple(f"seed {seed}" for seed in range(9)), pictures(9, 5), label_maps(9, 5))
    errs = np.random.default_rng(6).random(data.label_maps.shape) < np.linspace(0, 0.4, 9)[:, None, None]
    answers = np.where((data.label_maps == IGNORE) | errs, 0, data.label_maps)
    run = project.next_folder("runs", "evaluate")
    with recorded(run, "evaluate", {}, 0) as record:
        record.result = {"of": "decoder", "scored": "decoders/0001-light", "test": test, "labels": 2, "miou": 0.5}
        record.result |= {"pictures": 9}
        write_examples(run / "examples", data, answers, project.classes, random=2, worst=2, best=1)


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    """A project with nothing in it."""
    return empty_project(tmp_path / "empty")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with everything that a page can show; not to be changed."""
    project = empty_project(tmp_path_factory.mktemp("report") / "whole")
    add_annotations(project)
    add_decoder(project, [4, 5])
    add_dataset(project)
    add_segmenter(project, "unet-supervised", "labelled pictures", wrong=0.4)
    add_segmenter(project, "unet", "decoder 0001-light", wrong=0.2, floors=True)
    return project


VOID = {"meta", "img", "br", "input", "link"}


class Reader(HTMLParser):
    """Checks that tags are balanced, and keeps text and tags."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += f"{data} "


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def asks_nothing(text: str) -> None:
    """Checks that a page loads nothing: every address in it is inside of it."""
    addresses = re.findall(r"(?:src|href|url|action)\s*[=(]\s*[\"']?([^\"')\s>]+)", text)
    assert addresses
    assert [name for name in addresses if not name.startswith(("data:image/png;base64,", "#"))] == []
    assert not {"link", "script", "iframe", "object"} & {tag for tag, _ in read(text).tags}
    assert "@import" not in text
