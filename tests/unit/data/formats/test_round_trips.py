"""What a format writes it reads back: every pixel, in every format, but unlabelled ones in YOLO."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pycocotools.coco import COCO

from gannotate.data.formats.base import Labels, ReadOptions
from gannotate.data.formats.build import FORMATS, FormatName, load_format
from gannotate.data.formats.files import Files
from gannotate.data.labelled import read_labelled
from gannotate.labels import IGNORE, make_classes

CLASSES = make_classes(["background", "left", "right ear"])

Written = Callable[..., tuple[list[Any], list[str]]]

shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))
label_maps = shapes.flatmap(lambda shape: arrays.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, IGNORE])))

HOLED = np.zeros((9, 9), np.uint8)
HOLED[1:8, 1:8] = 1
HOLED[3:6, 3:6] = 0
HOLED[4, 4] = 2  # a part in a hole
HOLED[0, 8] = 1  # a second part
HOLED[8, :] = IGNORE


def in_ids(labels: Labels) -> np.ndarray:
    names = {"background": 0, "left": 1, "right ear": 2, "0": 0, "1": 1, "2": 2}
    table = np.full(256, IGNORE, np.uint8)
    for place, name in enumerate(labels.classes):
        table[place] = names[name]
    return table[labels.label_map]


def expected(name: str, label_map: np.ndarray) -> np.ndarray:
    return np.where(label_map == IGNORE, 0, label_map) if name == "yolo" else label_map


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "folder"])
@settings(deadline=None, max_examples=15)
@given(maps=st.lists(label_maps, min_size=1, max_size=2))
def test_every_pixel_comes_back(
    name: FormatName, maps: Sequence[np.ndarray], round_trip: Written, tmp_path_factory: pytest.TempPathFactory
):
    entries, notes = round_trip(name, maps, tmp_path_factory.mktemp("out") / "set.zip")
    assert [entry.name for entry in entries] == [f"p-{place}" for place in range(len(maps))]
    for place, (entry, label_map) in enumerate(zip(entries, maps, strict=True)):
        assert np.array_equal(in_ids(entry.labels()), expected(name, label_map))
        picture = np.asarray(Image.open(io.BytesIO(entry.picture())))
        assert np.abs(picture.astype(int) - 9 * place).max() <= 2 * (name == "voc")  # JPEG
    assert bool(notes) == (name == "yolo" and any((one == IGNORE).any() for one in maps))


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "folder"])
@pytest.mark.parametrize("ending", ["", ".zip"])
def test_holes_parts_in_holes_and_several_parts(name: FormatName, ending: str, round_trip: Written, tmp_path: Path):
    empty = np.full((9, 9), IGNORE, np.uint8)
    entries, _ = round_trip(name, [HOLED, empty, np.zeros((9, 9), np.uint8)], tmp_path / f"set{ending}")
    for entry, label_map in zip(entries, (HOLED, empty, np.zeros((9, 9), np.uint8)), strict=True):
        assert np.array_equal(in_ids(entry.labels()), expected(name, label_map))


def test_pycocotools_reads_our_coco(round_trip: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("coco", "coco-polygons"):
        round_trip(name, [HOLED], tmp_path / name)
        coco = COCO(tmp_path / name / "annotations" / "instances.json")
        assert {item["id"]: item["name"] for item in coco.loadCats(coco.getCatIds())} == {
            1: "left",
            2: "right ear",
            255: "ignore",
        }
        for annotation in coco.loadAnns(coco.getAnnIds()):
            mask = np.equal(HOLED, annotation["category_id"])
            assert np.array_equal(coco.annToMask(annotation), mask)
            assert annotation["area"] == mask.sum()
            assert annotation["iscrowd"] == (annotation["category_id"] == IGNORE)
            x, y, width, height = annotation["bbox"]
            rows, columns = np.nonzero(mask)
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert (x, y, x + width, y + height) == box


def test_palette_is_what_train_takes(round_trip: Written, tmp_path: Path):
    round_trip("palette", [HOLED, HOLED[::-1]], tmp_path / "set")
    read = read_labelled(tmp_path / "set", classes=3)
    assert (len(read), read.pictures.shape[-1]) == (2, 1)
    assert np.array_equal(read.label_maps[0], HOLED)


def test_numpy_is_numbered_from_0_as_the_papers_have_it(round_trip: Written, tmp_path: Path):
    round_trip("numpy", [HOLED, HOLED], tmp_path / "set")
    assert np.array_equal(np.load(tmp_path / "set" / "image_mask1.npy"), HOLED)
    assert (tmp_path / "set" / "image_1.png").exists()


def test_voc_has_its_colours(round_trip: Written, tmp_path: Path):
    round_trip("voc", [HOLED], tmp_path / "set")
    image = Image.open(tmp_path / "set" / "SegmentationClass" / "p-0.png")
    palette = np.array(image.getpalette()).reshape(-1, 3)
    published = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 15: (192, 128, 128), 255: (224, 224, 192)}
    assert {index: tuple(palette[index].tolist()) for index in published} == published
    coloured = image.convert("RGB")  # as CVAT stores them
    coloured.save(tmp_path / "set" / "SegmentationClass" / "p-0.png")
    (entry,) = load_format("voc").read(Files(tmp_path / "set"), ReadOptions(classes=CLASSES))
    assert np.array_equal(in_ids(entry.labels()), HOLED)
