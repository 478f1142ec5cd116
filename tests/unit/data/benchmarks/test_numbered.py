"""DatasetGAN's folders in their published layout: pairing by number, order, cleaning, merges, hostile arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gannotate.data.benchmarks import find_benchmark, load_benchmark
from gannotate.data.benchmarks.inspection import inspect
from gannotate.errors import GannotateError, UsageError

from .trees import ODD, encoded, numbered, picture, saved, write


def labels(count: int, classes: int, side: tuple[int, int] = (8, 8)) -> dict[str, np.ndarray]:
    """Each a map of blocks of two ids: of its number and the one behind."""
    found = {}
    for number in range(count):
        array = np.full(side, number % classes, np.int64)
        array[:, side[1] // 2 :] = (number + 1) % classes
        found[str(number)] = array
    return found


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """dataset_release with Car-20 (20 generated, 10 real) and ADE-Car-12."""
    place = tmp_path / "dataset_release" / "annotation"
    wide = labels(20, 20, (12, 16))
    numbered(place / "training_data" / "car_processed", wide, "image_{}.jpg", "image_mask{}.npy")
    numbered(place / "testing_data" / "car_20_class", labels(12, 20), "image_{}.png", "image_mask{}.npy")
    numbered(place / "testing_data" / "car_ade_12_class", labels(12, 12), "image_{}.png", "image_mask{}.npy")
    return tmp_path


def test_train_takes_the_first_sixteen_by_number_and_test_goes_by_name(release: Path):
    train = load_benchmark("car-20", release, "train")
    assert {item.name for item in train.items} == {f"image_{number}" for number in range(16)}
    names = [item.name for item in load_benchmark("car-20", release, "test").items]
    assert names[:4] == ["image_0", "image_1", "image_10", "image_11"]  # as the published folds sort them
    assert len(names) == 12


def test_the_first_ones_go_by_number_too(release: Path):
    few = load_benchmark("car-20", release, "train").first(5)
    assert [item.name for item in few.items] == [f"image_{number}" for number in range(5)]  # not 0, 1, 10, 11, 12
    with pytest.raises(UsageError, match="17 pictures were asked for, train of car-20 has 16; give 1 to 16"):
        load_benchmark("car-20", release, "train").first(17)
    some = load_benchmark("car-20", release, "test").first(11)
    assert [item.name for item in some.items][:4] == ["image_0", "image_1", "image_10", "image_2"]  # in their order


def test_more_labels_of_car_20_hold_those_of_train(release: Path):
    more = {item.name for item in load_benchmark("car-20", release, "train-33").items}
    assert {item.name for item in load_benchmark("car-20", release, "train").items} < more
    report = inspect(find_benchmark("car-20"), release)
    assert report.shared == {"train and train-33": 16}
    whole = {one.name: (one.pictures, one.expected, one.whole) for one in report.splits}
    assert whole["train-33"] == (20, 33, False)


def test_what_is_no_class_of_bedrooms_is_not_learned_and_counts_in_the_test(tmp_path: Path):
    array = np.full((10, 10), 17)
    array[0], array[1, :9] = 0, 3  # a row of nothing, and 9 px of a class: fewer than 20
    for folder in ("train", "test"):
        numbered(tmp_path / "real" / folder, {"0": array}, "img_{}.png", "img_{}.npy")
    train, test = (load_benchmark("bedroom-28", tmp_path, split, 10)[0].label_map for split in ("train", "test"))
    assert ((train == 255).sum(), (train == 17).sum()) == (19, 81)
    assert ((test == 0).sum(), (test == 3).sum(), (test == 17).sum()) == (10, 9, 81)


def test_pictures_are_stretched_and_labels_keep_their_ids(release: Path):
    data = load_benchmark("car-20", release, "test", 16)
    found = data[data.items.index(next(item for item in data.items if item.name == "image_3"))]
    assert np.unique(found.label_map).tolist() == [3, 4]
    assert found.label_map.shape == (16, 16)


@pytest.mark.parametrize("size", [32, 33])
def test_padded_pictures_lie_in_the_middle_and_their_bars_teach_nothing(release: Path, size: int):
    data = load_benchmark("car-20-padded", release, "train", size)  # of 16x12 px
    found = data[next(place for place, item in enumerate(data.items) if item.name == "image_3")]
    rows = slice(4, 4 + size * 12 // 16)
    assert found.picture.shape == (size, size, 3)
    assert np.unique(found.label_map[rows]).tolist() == [3, 4]
    stretched = load_benchmark("car-20", release, "train", size)
    whole = stretched[next(place for place, item in enumerate(stretched.items) if item.name == "image_3")]
    assert np.array_equal(found.label_map[rows.start], whole.label_map[0])  # across, they are the same
    bars = np.delete(np.arange(size), np.arange(size)[rows])
    assert (found.label_map[bars] == 255).all()
    assert (found.picture[bars] == 0).all()


def test_classes_with_few_pixels_of_train_become_background(tmp_path: Path):
    array = np.full((10, 10), 3)
    array[0, : 29 - 20] = 5  # 9 px of it
    array[1:4, :10] = 7  # 30 px
    folder = tmp_path / "training_data" / "face_processed"
    numbered(folder, {"0": array}, "image_{}.jpg", "image_mask{}.npy")
    numbered(tmp_path / "testing_data" / "face_34_class", {"0": array}, "image_{}.jpg", "image_mask{}.npy")
    train, test = (load_benchmark("face-34", tmp_path, split, 10)[0].label_map for split in ("train", "test"))
    assert np.unique(train).tolist() == [0, 3, 7]
    assert np.unique(test).tolist() == [3, 5, 7]
    eight = find_benchmark("face-34-as-8").class_names
    found = load_benchmark("face-34-as-8", tmp_path, "test", 10)[0].label_map
    # chin, helix, bottom lid
    assert {eight[index] for index in np.unique(found)} == {"skin", "ear", "eye"}


def test_ade_car_takes_test_as_it_is(release: Path):
    test = load_benchmark("ade-car-12", release, "test", 8)
    seen = {int(index) for one in test for index in np.unique(one.label_map)}
    assert seen == set(range(12))


def test_cats_have_numbers_for_names_and_say_so():
    cat = find_benchmark("cat-16")
    assert cat.class_names == ("background", *(f"part {number}" for number in range(1, 16)))
    assert cat.flips.rule == "no"
    assert any("no release names the classes" in note for note in cat.notes)


def test_bedrooms_lie_as_their_labellers_put_them(tmp_path: Path):
    place = tmp_path / "datasets" / "bedroom_28" / "real"
    numbered(place / "train", labels(3, 29), "img_{}.png", "img_{}.npy")
    numbered(place / "test", labels(2, 29), "img_{}.png", "img_{}.npy")
    assert len(list(load_benchmark("bedroom-28", tmp_path, "train"))) == 3
    assert find_benchmark("bedroom-28").class_names[19] == "curtain rod"


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (1, 8, 8), (8, 8, 3)])
@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float64])
def test_arrays_of_any_usual_form(tmp_path: Path, shape: tuple[int, ...], kind: type):
    folder = tmp_path / "testing_data" / "cat_16_class"
    write(folder / "image_0.png", encoded(picture(8, 8)))
    write(folder / "image_mask0.npy", saved(np.full(shape, 4, kind)))
    write(tmp_path / "training_data" / "cat_processed" / "x")
    assert (load_benchmark("cat-16", tmp_path, "test", 8)[0].label_map == 4).all()


def test_odd_files_are_named(tmp_path: Path):
    folder = tmp_path / "testing_data" / "cat_16_class"
    numbered(folder, labels(9, 16), "image_{}.png", "image_mask{}.npy")
    (folder / "image_0.png").unlink()
    (folder / "image_mask1.npy").unlink()
    write(folder / "image_mask2.npy", saved(np.full((8, 8), 16)))
    write(folder / "image_mask3.npy", saved(np.full((8, 4), 1)))
    write(folder / "image_mask4.npy", saved(np.array([{"a": 1}], object)))
    write(folder / "image_mask5.npy", saved(np.ones((8, 8)))[:100])
    write(folder / "image_mask6.npy", saved(np.full((8, 8), 1.5)))
    write(folder / "image_7.png", (folder / "image_7.png").read_bytes()[:70])
    for odd in (*ODD, "readme.txt", "labels.npy", "thumb.png"):
        write(folder / odd)
    data = load_benchmark("cat-16", tmp_path, "test", 8)
    assert [found.name for found in data] == ["image_8"]
    reasons = {item.name: item.reason for item in data.skipped}
    assert "has no testing_data/cat_16_class/(a picture 0)" in reasons["0"]
    assert "has no testing_data/cat_16_class/(an array 1)" in reasons["image_1"]
    assert "has unknown class id 16; the dataset has 0-15 and 255" in reasons["image_2"]
    assert "is 8x8 px and its labels are 4x8; they must be of one shape" in reasons["image_3"]
    assert "image_mask4.npy" in reasons["image_4"]
    assert "image_mask5.npy" in reasons["image_5"]
    assert "holds numbers that are not whole" in reasons["image_6"]
    assert "image_7.png: not a whole picture" in reasons["image_7"]
    missing = [item.missing() for item in data.items]
    assert [names for names in missing if names] == [
        ["testing_data/cat_16_class/(a picture 0)"],
        ["testing_data/cat_16_class/(an array 1)"],
    ]


def test_of_several_pictures_of_one_number_that_called_as_published_counts(tmp_path: Path):
    folder = tmp_path / "testing_data" / "cat_16_class"
    numbered(folder, labels(2, 16), "image_{}.png", "image_mask{}.npy")
    for other in ("colored_0.png", "zoom_0.png"):
        write(folder / other, encoded(np.zeros((8, 8, 3), np.uint8)))
    write(folder / "a_mask0.npy", saved(np.full((8, 8), 9)))
    first = load_benchmark("cat-16", tmp_path, "test", 8)[0]
    assert (first.name, first.picture.any(), 9 in first.label_map) == ("image_0", True, False)
    write(folder / "image_00000.png", encoded(picture(8, 8)))
    with pytest.raises(GannotateError, match=r"has image_0.png and image_00000.png, which have one number; move one"):
        load_benchmark("cat-16", tmp_path, "test")


def test_a_release_without_the_folder_says_so(tmp_path: Path):
    with pytest.raises(GannotateError, match="has no training_data/cat_processed or testing_data/cat_16_class"):
        load_benchmark("cat-16", tmp_path, "test")
