"""Pascal-Part on VOC 2010 in its published layout: which objects are cut out, where, and with which labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gannotate.data.benchmarks import find_benchmark, load_benchmark, shipped
from gannotate.data.benchmarks.inspection import inspect
from gannotate.data.benchmarks.layouts import PascalPart
from gannotate.errors import GannotateError, UsageError

from .trees import annotation, pascal, write

LEFT = (
    "horse",
    (11, 11, 50, 50),
    [("torso", (slice(10, 50), slice(10, 50))), ("head", (slice(10, 30), slice(10, 30)))],
)
RIGHT = (
    "horse",
    (71, 21, 110, 60),
    [("rbho", (slice(20, 60), slice(70, 110))), ("tail", (slice(20, 40), slice(70, 90)))],
)
SMALL = ("horse", (1, 71, 31, 79), [("torso", (slice(70, 79), slice(0, 31)))])
EMPTY = ("horse", (1, 1, 40, 40), [])

NAMES = {"train": ["2008_000003", "2008_000001"], "val": ["2009_000001"]}


def test_crops_merges_and_splits(tmp_path: Path):
    root = pascal(tmp_path, "horse", NAMES, [LEFT, RIGHT, SMALL])
    data = load_benchmark("pascal-part-horse", root, "train", size=40)
    # sorted by name; the small one (31 px wide) has place 2 and is left out
    assert [item.name for item in data.items] == ["2008_000001_0", "2008_000001_1", "2008_000003_0", "2008_000003_1"]
    head, torso, legs, tail = (
        find_benchmark("pascal-part-horse").class_names.index(n) for n in ("head", "torso", "legs", "tail")
    )
    expected = np.full((40, 40), torso, np.uint8)
    expected[:20, :20] = head  # later parts lie above
    np.testing.assert_array_equal(data[0].label_map, expected)
    expected = np.full((40, 40), legs, np.uint8)
    expected[:20, :20] = tail
    np.testing.assert_array_equal(data[1].label_map, expected)
    assert data[0].picture.shape == (40, 40, 3)
    assert len(load_benchmark("pascal-part-horse", root, "test")) == 2


def test_the_first_180_crops_are_train_and_the_others_val(tmp_path: Path):
    many = {"train": [f"2008_{number:06d}" for number in range(91)], "val": []}
    root = pascal(tmp_path, "horse", many, [LEFT, RIGHT])
    train = [item.name for item in load_benchmark("pascal-part-horse", root, "train").items]
    val = [item.name for item in load_benchmark("pascal-part-horse", root, "val").items]
    assert (len(train), val) == (180, ["2008_000090_0", "2008_000090_1"])


def test_overlapping_and_empty_objects_are_left_out(tmp_path: Path):
    near = ("horse", (41, 11, 80, 50), LEFT[2])
    root = pascal(tmp_path / "a", "horse", {"val": ["2009_000001"]}, [LEFT, near])
    assert len(load_benchmark("pascal-part-horse", root, "test")) == 0
    root = pascal(tmp_path / "b", "horse", {"val": ["2009_000001"]}, [EMPTY, RIGHT])
    assert [item.name for item in load_benchmark("pascal-part-horse", root, "test").items] == ["2009_000001_1"]


def test_parts_of_another_horse_in_the_square_keep_their_labels_and_outside_is_background(tmp_path: Path):
    wide = ("horse", (1, 1, 100, 40), [("torso", (slice(0, 40), slice(0, 100)))])
    below = ("horse", (1, 41, 100, 80), [("neck", (slice(40, 80), slice(0, 100)))])
    root = pascal(tmp_path, "horse", {"val": ["2009_000001"]}, [wide, below])
    data = load_benchmark("pascal-part-horse", root, "test", size=100)
    torso, neck = (find_benchmark("pascal-part-horse").class_names.index(n) for n in ("torso", "neck"))
    # middle at row 20, side 100: rows -30 to 70 of the picture, of which 70 are there, padded to 100 on both sides
    rows = data[0].label_map[:, 50].tolist()
    assert rows == [0] * 15 + [torso] * 40 + [neck] * 30 + [0] * 15
    assert (data[0].picture[:15] == 0).all()


def test_the_folder_of_parts_may_lie_where_papers_put_it(tmp_path: Path):
    root = pascal(tmp_path, "horse", NAMES, [LEFT])
    voc = root / "VOCdevkit" / "VOC2010"
    for place in (
        voc / "part_segmentation" / "Annotations_Part",
        voc.parent / "Annotations_Part",
        root / "Annotations_Part",
    ):
        found = next(root.rglob("Annotations_Part"))
        place.parent.mkdir(exist_ok=True)
        found.rename(place)
        for given in (root, voc.parent.parent, voc):
            assert load_benchmark("pascal-part-horse", given, "test", 16)[0].label_map.any()


def test_missing_and_damaged_files_are_named(tmp_path: Path):
    names = {"train": [], "val": [f"2009_{number:06d}" for number in range(8)]}
    voc = pascal(tmp_path, "horse", names, [LEFT]) / "VOCdevkit" / "VOC2010"
    (voc / "JPEGImages" / "2009_000001.jpg").unlink()
    mat = voc / "Annotations_Part" / "2009_000002.mat"
    mat.write_bytes(mat.read_bytes()[:-30])
    write(voc / "Annotations" / "2009_000003.xml", b"<annotation>")
    unknown = annotation(120, 80, [("horse", [("wing", (slice(10, 50), slice(10, 50)))])])
    write(voc / "Annotations_Part" / "2009_000004.mat", unknown)
    for number, width in ((5, 60), (6, 160)):
        other = annotation(width, 80, [("horse", [("torso", (slice(10, 50), slice(10, 50)))])])
        write(voc / "Annotations_Part" / f"2009_00000{number}.mat", other)  # of another picture
    (voc / "Annotations_Part" / "2009_000007.mat").unlink()
    data = load_benchmark("pascal-part-horse", tmp_path, "test", 16)
    assert [found.name for found in data] == ["2009_000000_0"]
    reasons = {item.name: item.reason for item in data.skipped}
    assert reasons["2009_000001_0"].endswith("has no JPEGImages/2009_000001.jpg")
    assert "2009_000002.mat is no whole MATLAB 5 file" in reasons["2009_000002"]
    assert "2009_000003.xml is no whole annotation of VOC" in reasons["2009_000003"]
    assert "has a horse with the part 'wing', which no class takes" in reasons["2009_000004"]
    for number, width in ((5, 60), (6, 160)):
        assert f"is 120x80 px and its annotation {width}x80; they must be" in reasons[f"2009_00000{number}_0"]
    assert reasons["2009_000007"] == "has no Annotations_Part/2009_000007.mat"
    test = {one.name: one for one in inspect(find_benchmark("pascal-part-horse"), tmp_path).splits}["test"]
    missing = ("JPEGImages/2009_000001.jpg", "Annotations_Part/2009_000007.mat")
    assert (test.pictures, test.complete, test.missing) == (8, 6, missing)


def test_a_missing_picture_moves_no_other_into_another_split_and_lost_annotations_say_that_they_may(tmp_path: Path):
    many = {"train": [f"2008_{number:06d}" for number in range(91)], "val": []}
    voc = pascal(tmp_path, "horse", many, [LEFT, RIGHT]) / "VOCdevkit" / "VOC2010"
    (voc / "JPEGImages" / "2008_000003.jpg").unlink()
    val = [item.name for item in load_benchmark("pascal-part-horse", tmp_path, "val").items]
    assert val == ["2008_000090_0", "2008_000090_1"]
    train = {one.name: one for one in inspect(find_benchmark("pascal-part-horse"), tmp_path).splits}["train"]
    assert (train.pictures, train.complete, train.missing_files) == (180, 178, 2)
    (voc / "Annotations_Part" / "2008_000004.mat").unlink()
    data = load_benchmark("pascal-part-horse", tmp_path, "train", 16)
    lost = next(place for place, item in enumerate(data.items) if item.name == "2008_000004")
    with pytest.raises(GannotateError, match="so that those behind it may be of another split than published"):
        data[lost]


def test_annotations_are_read_once_for_splits_that_share_a_list_and_progress_is_told(tmp_path: Path):
    pascal(tmp_path, "horse", NAMES, [LEFT])
    told: list[tuple[str, int, int]] = []
    benchmark = find_benchmark("pascal-part-horse")
    inspect(benchmark, tmp_path, told=lambda *now: told.append(now))
    lists = [now for now in told if now[0].startswith("ImageSets/")]
    assert lists == [
        ("ImageSets/Main/horse_train.txt", 1, 2),
        ("ImageSets/Main/horse_train.txt", 2, 2),
        ("ImageSets/Main/horse_val.txt", 1, 1),
    ]
    assert {now[0] for now in told} - {now[0] for now in lists} == {"train", "test"}


def test_a_name_that_is_listed_twice_counts_once(tmp_path: Path):
    pascal(tmp_path, "horse", {"train": ["2008_000001", "2008_000001"]}, [LEFT])
    assert [item.name for item in load_benchmark("pascal-part-horse", tmp_path, "train").items] == ["2008_000001_0"]


def test_a_name_longer_than_names_may_be_is_missing(tmp_path: Path):
    voc = pascal(tmp_path, "horse", {"val": ["2009_000001"]}, [LEFT]) / "VOCdevkit" / "VOC2010"
    write(voc / "ImageSets" / "Main" / "horse_val.txt", f"{'a' * 300} 1\n".encode())
    test = {one.name: one for one in inspect(find_benchmark("pascal-part-horse"), tmp_path).splits}["test"]
    assert (test.pictures, test.complete, test.missing_files) == (1, 0, 3)


@pytest.mark.parametrize("line", ["../../etc/passwd 1", "a", "/etc/passwd 1"])
def test_hostile_lists_are_refused(tmp_path: Path, line: str):
    voc = pascal(tmp_path, "horse", NAMES, [LEFT]) / "VOCdevkit" / "VOC2010"
    write(voc / "ImageSets" / "Main" / "horse_val.txt", line.encode())
    with pytest.raises(GannotateError, match=r"horse_val\.txt has the line"):
        load_benchmark("pascal-part-horse", tmp_path, "test")


def test_a_list_that_is_not_there_is_named(tmp_path: Path):
    pascal(tmp_path, "horse", NAMES, [LEFT])
    with pytest.raises(GannotateError, match=r"has no ImageSets/Main/aeroplane_val.txt"):
        load_benchmark("pascal-part-aeroplane", tmp_path, "test")
    with pytest.raises(UsageError, match="has no JPEGImages or ImageSets"):
        load_benchmark("pascal-part-horse", tmp_path / "VOCdevkit" / "VOC2010" / "ImageSets", "test")


def test_small_boxes_follow_the_paper():
    kinds = {one.layout.thing: one.layout for one in shipped().values() if isinstance(one.layout, PascalPart)}
    assert {kind for kind, layout in kinds.items() if layout.smallest_px != 32} == {"aeroplane"}
    assert kinds["aeroplane"].smallest_px == 50
