"""What is in a folder, the sheet that shows it, and exports that every verb reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gannotate.cli.benchmarks import notes_of
from gannotate.data.benchmarks import find_benchmark, load_benchmark
from gannotate.data.benchmarks.exporting import export_split, protocol_of
from gannotate.data.benchmarks.inspection import THUMB_PX, Report, inspect, sheet
from gannotate.data.labelled import read_labelled
from gannotate.errors import GannotateError, UsageError
from gannotate.viz import legend

from .trees import celeba, encoded, numbered, write


@pytest.fixture
def cats(tmp_path: Path) -> Path:
    """Cat-16 with 30 generated pictures and 20 real ones: whole."""
    for folder, count in (("training_data/cat_processed", 30), ("testing_data/cat_16_class", 20)):
        labels = {str(number): np.full((10, 10), number % 16) for number in range(count)}
        numbered(tmp_path / folder, labels, "image_{}.png", "image_mask{}.npy")
    return tmp_path


def test_a_whole_dataset_is_whole(cats: Path):
    report = inspect(find_benchmark("cat-16"), cats)
    assert [(one.name, one.pictures, one.complete, one.looked_at, one.whole) for one in report.splits] == [
        ("train", 30, 30, 8, True),
        ("test", 20, 20, 8, True),
    ]
    assert report.shared == {}
    assert json.loads(json.dumps(report.as_dict()))["splits"]["train"]["whole"] is True
    assert inspect(find_benchmark("cat-16"), cats, full=True).splits[0].looked_at == 30


@pytest.mark.parametrize(("ids", "warns"), [((0, 255), True), ((255,), True), ((0, 1, 255), False), ((0,), False)])
def test_labels_that_are_255_where_their_class_should_be_are_told_apart(
    tmp_path: Path, ids: tuple[int, ...], warns: bool
):
    for number in range(20):
        array = np.resize(np.array(ids, np.uint8), (16, 16))
        write(tmp_path / f"images/{number}.png", encoded(array))
        write(tmp_path / f"masks/{number}.png", encoded(array))
    report = inspect(find_benchmark("ffhq-hair"), tmp_path)
    train = {one.name: one for one in report.splits}["train"]
    assert train.unanswered is warns
    found = [note for note in notes_of(find_benchmark("ffhq-hair"), report) if note.startswith("NOTE: train has 255")]
    assert [note.endswith("write class ids, 0 to 1, where 255 stands for a class") for note in found] == [True] * warns
    assert not {one.name: one for one in report.splits}["unlabelled"].unanswered


def test_fewer_pictures_than_published_are_not_whole(cats: Path):
    (cats / "testing_data/cat_16_class/image_3.png").unlink()
    (cats / "testing_data/cat_16_class/image_mask3.npy").unlink()
    report = inspect(find_benchmark("cat-16"), cats)
    test = report.splits[1]
    assert (test.pictures, test.expected, test.complete, test.whole) == (19, 20, 19, False)
    assert "test: 19 pictures, 20 as published" in notes_of(find_benchmark("cat-16"), report)


@pytest.mark.parametrize(
    ("benchmark", "file", "note"),
    [
        ("cat-16", "training_data/cat_processed/x", "test: no picture found in testing_data/cat_16_class"),
        (
            "cgpart-car-10",
            "CGPart_real/Images/car_imagenet_cropped/x",
            "train: no picture found in CGPart_render/car/image/*",
        ),
        ("ffhq-hair-generated", "data/IMG_000001.JPG", "train: no picture found in data/img_*.jpg"),
    ],
)
def test_a_split_without_any_picture_says_where_they_would_be(tmp_path: Path, benchmark: str, file: str, note: str):
    write(tmp_path / file, encoded(np.zeros((8, 8), np.uint8)))
    found = find_benchmark(benchmark)
    notes = notes_of(found, inspect(found, tmp_path))
    assert any(one.startswith(note) for one in notes), notes


def test_what_one_must_know_of_the_protocol_is_said(cats: Path):
    car = find_benchmark("ade-car-12")
    assert set(car.scored_by.notes()) <= set(notes_of(car, Report(car.name, (), {}, ())))


def test_a_split_that_cannot_be_listed_does_not_hide_the_others(tmp_path: Path):
    write(tmp_path / "CGPart_real/Images/car_imagenet_cropped/a.JPEG")
    report = inspect(find_benchmark("cgpart-car-15"), tmp_path)
    train, test = report.splits
    assert (train.pictures, train.whole) == (0, False)
    assert "has no CGPart_real/Image_sets/car_imagenet_val.txt" in test.error
    with pytest.raises(GannotateError, match="there is nothing to show"):
        sheet(find_benchmark("cgpart-car-15"), report)


def test_the_sheet_shows_pictures_plain_and_covered_with_a_legend(cats: Path):
    cat = find_benchmark("cat-16")
    shown, key = sheet(cat, inspect(cat, cats)), legend(cat.infos)
    # two splits: a heading, a row of pictures, a gap, the same row covered
    assert shown.shape == (max(2 * (28 + 2 * THUMB_PX + 4), key.shape[0]), 8 * THUMB_PX + 7 * 4 + key.shape[1], 3)
    plain, covered = shown[28 : 28 + THUMB_PX], shown[28 + THUMB_PX + 4 : 28 + 2 * THUMB_PX + 4]
    first = (slice(None), slice(0, THUMB_PX))
    assert (plain[first] == covered[first]).mean() > 0.99  # image_0 is background, which stays clear
    second = (slice(None), slice(THUMB_PX + 4, 2 * THUMB_PX + 4))
    assert (plain[second] == covered[second]).mean() < 0.1


def test_an_export_is_read_as_labelled_pictures(cats: Path, tmp_path: Path):
    data, told = load_benchmark("cat-16", cats, "test", 16), []
    for out in (tmp_path / "out", tmp_path / "out.zip"):
        done = export_split(data, out, told.append)
        assert (done.pictures, done.skipped) == (20, ())
        found = read_labelled(out, 16)
        assert found.names[1:3] == ("images/image_1.png", "images/image_10.png")
        np.testing.assert_array_equal(found.label_maps, data.in_memory().label_maps)
        np.testing.assert_array_equal(found.pictures, data.in_memory().pictures)
        assert protocol_of(out) == "datasetgan-cv"
    assert told == list(range(1, 21)) * 2
    about = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert (about["benchmark"], about["split"], about["size_px"], about["licence"]) == (
        "cat-16", "test", 16, "CC BY-NC 4.0, NVIDIA Corporation",
    )  # fmt: skip
    with pytest.raises(UsageError, match="exists and is not an empty folder"):
        export_split(data, tmp_path / "out")


def test_an_export_without_labels_has_pictures_alone(tmp_path: Path):
    celeba(tmp_path, [0, 1], {})
    export_split(load_benchmark("celebamask-hq-8", tmp_path, "unlabelled", 16).first(2), tmp_path / "out")
    names = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    assert names == ["images/00000.png", "images/00001.png"]


def test_an_export_of_nothing_leaves_nothing(cats: Path, tmp_path: Path):
    for path in (cats / "testing_data/cat_16_class").glob("*.npy"):
        path.write_bytes(b"x")
    with pytest.raises(GannotateError, match="none of the 20 pictures of test can be read: image_0: "):
        export_split(load_benchmark("cat-16", cats, "test"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"protocol": 3}', b"[" * 100_000])
def test_a_foreign_folder_names_no_protocol(tmp_path: Path, data: bytes):
    write(tmp_path / "benchmark.json", data)
    assert protocol_of(tmp_path) is None
    assert protocol_of(tmp_path / "none") is None
