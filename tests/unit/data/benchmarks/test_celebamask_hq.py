"""CelebAMask-HQ in its published layout: painting order, merges, splits, and what is wrong with real archives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gannotate.data.benchmarks import BenchmarkSplit, find_benchmark, load_benchmark
from gannotate.data.benchmarks.inspection import inspect
from gannotate.errors import GannotateError, UsageError

from .trees import celeba, encoded, write

ROWS = {
    "skin": slice(0, 416), "nose": slice(192, 224), "eye_g": slice(96, 160), "l_eye": slice(128, 160),
    "u_lip": slice(288, 320), "hair": slice(0, 64), "hat": slice(0, 32), "cloth": slice(480, 512),
}  # fmt: skip
"""Full rows of the 512 px mask; the later of two overlapping parts is seen. 32 rows are one of 16."""


def at(root: Path, name: str, number: int, size: int = 16) -> np.ndarray:
    data = load_benchmark(name, root, "train", size)
    found = data[number - 28000]
    assert found.name == f"{number:05d}"
    return found.label_map


def names_down(label_map: np.ndarray, name: str) -> list[str]:
    assert (label_map == label_map[:, :1]).all()
    classes = find_benchmark(name).class_names
    return [classes[index] for index in label_map[:, 0]]


def test_parts_are_painted_in_the_order_of_their_ids_and_merged(tmp_path: Path):
    root = celeba(tmp_path, [28000], ROWS)
    whole = names_down(at(root, "celebamask-hq-19", 28000), "celebamask-hq-19")
    assert whole == [
        "hat", "hair", "skin", "eye_g", "l_eye", "skin", "nose", "skin", "skin", "u_lip", "skin", "skin", "skin",
        "background", "background", "cloth",
    ]  # fmt: skip
    merged = {
        "celebamask-hq-8": {
            "hat": "background", "eye_g": "skin", "l_eye": "eye", "u_lip": "mouth", "cloth": "background",
        },
        "celebamask-hq-10": {
            "hat": "background", "eye_g": "face", "skin": "face", "l_eye": "eyes", "u_lip": "mouth", "cloth": "clothes",
        },
        "celebamask-hq-3": {"l_eye": "eyes", "u_lip": "mouth", "nose": "nose"},
    }  # fmt: skip
    for name, become in merged.items():
        usual = {word: word for word in whole} if name != "celebamask-hq-3" else dict.fromkeys(whole, "background")
        assert names_down(at(root, name, 28000), name) == [(usual | become)[word] for word in whole]


def test_a_mask_in_grey_or_rgb_reads_the_same(tmp_path: Path):
    root = celeba(tmp_path, [28000, 28001], ROWS)
    assert (at(root, "celebamask-hq-8", 28000) == at(root, "celebamask-hq-8", 28001)).all()


def test_a_deep_mask_is_painted_wherever_it_is_above_0(tmp_path: Path):
    root = celeba(tmp_path, [28000, 28001], ROWS)
    expected = at(root, "celebamask-hq-8", 28000)
    masks = root / "CelebAMask-HQ/CelebAMask-HQ-mask-anno/14"
    nose = np.zeros((512, 512), np.uint16)
    nose[ROWS["nose"]] = 1
    write(masks / "28001_nose.png", encoded(nose))
    np.testing.assert_array_equal(at(root, "celebamask-hq-8", 28001), expected)
    write(masks / "28001_skin.png", encoded(np.full((512, 512), 300, np.uint16)))  # one value: no range of its own
    skin = names_down(at(root, "celebamask-hq-8", 28001), "celebamask-hq-8")
    assert skin[13:15] == ["skin", "skin"]


def test_splits_as_published_and_corrected():
    splits = find_benchmark("celebamask-hq-8").splits
    numbers = {name: set(split.cut(range(30000))) for name, split in splits.items()}
    assert {name: (min(found), max(found)) for name, found in numbers.items()} == {
        "train": (28000, 29499),
        "train-large": (0, 29499),
        "val": (27500, 27999),
        "test": (29500, 29999),
        "unlabelled": (0, 27499),
        "unlabelled-published": (0, 27999),
    }
    assert {name: split.count for name, split in splits.items()} == {
        name: len(found) for name, found in numbers.items()
    }
    assert numbers["train-large"] == {*range(27500), *range(28000, 29500)}
    assert numbers["val"] < numbers["unlabelled-published"]
    assert not numbers["val"] & numbers["unlabelled"]
    parts = [numbers[name] for name in ("train", "val", "test", "unlabelled")]
    assert set.union(*parts) == set(range(30000))
    assert sum(map(len, parts)) == 30000


def test_many_labels_are_of_two_ranges_without_the_pictures_to_choose_and_to_test_on(tmp_path: Path):
    celeba(tmp_path, [0, 27499, 27500, 28000, 29499, 29500], ROWS)
    data = load_benchmark("celebamask-hq-8", tmp_path, "train-large", 16)
    assert len(data) == 29000
    there = [index for index, item in enumerate(data.items) if not item.missing()]
    assert there == [0, 27499, 27500, 28999]
    assert [data[index].name for index in there] == ["00000", "27499", "28000", "29499"]
    assert (data[27500].label_map == at(tmp_path, "celebamask-hq-8", 28000)).all()


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path):
    root = celeba(tmp_path, [28000, 28001], ROWS)
    data = load_benchmark("celebamask-hq-8", root, "train")
    assert (len(data), data.size_px) == (1500, 256)
    few = data.first(2).in_memory()
    assert few.names == ("28000", "28001")
    assert few.pictures.shape == (2, 256, 256, 3)
    with pytest.raises(UsageError, match="1501 pictures were asked for, train of celebamask-hq-8 has 1500"):
        data.first(1501)


def test_pictures_without_labels(tmp_path: Path):
    root = celeba(tmp_path, [0], {})
    found = load_benchmark("celebamask-hq-8", root, "unlabelled", 16, channels=1)[0]
    assert (found.label_map == 255).all()
    assert found.picture.shape == (16, 16, 1)


def broken(root: Path) -> BenchmarkSplit:
    """The first five train pictures: whole, without masks, with a small mask, a cut one, and a cut picture."""
    celeba(root, range(28000, 28005), ROWS)
    masks, pictures = root / "CelebAMask-HQ/CelebAMask-HQ-mask-anno/14", root / "CelebAMask-HQ/CelebA-HQ-img"
    for path in masks.glob("28001_*.png"):
        path.unlink()
    write(masks / "28002_nose.png", encoded(np.zeros((256, 256), np.uint8)))
    write(masks / "28003_nose.png", (masks / "28003_nose.png").read_bytes()[:60])
    write(pictures / "28004.jpg", (pictures / "28004.jpg").read_bytes()[:300])
    return load_benchmark("celebamask-hq-8", root, "train", 16).first(5)


def test_odd_files_are_left_out_with_a_reason_each(tmp_path: Path):
    data = broken(tmp_path)
    assert [found.name for found in data] == ["28000"]
    reasons = {item.name: item.reason for item in data.skipped}
    assert reasons["28001"] == "CelebAMask-HQ-mask-anno/14 has no mask 28001_*.png"
    assert reasons["28002"].endswith("28002_nose.png is 256x256 px, the dataset's masks are 512 px")
    assert reasons["28003"].startswith("CelebAMask-HQ-mask-anno/14/28003_nose.png: not a whole picture")
    assert reasons["28004"].startswith("CelebA-HQ-img/28004.jpg: not a whole picture")
    assert len(data.in_memory().skipped) == 4
    with pytest.raises(GannotateError, match="has no mask 28001"):
        data[1]


def test_a_report_counts_names_and_finds_shared_pictures(tmp_path: Path):
    broken(tmp_path)
    report = inspect(find_benchmark("celebamask-hq-8"), tmp_path, full=True)
    train = {one.name: one for one in report.splits}["train"]
    assert (train.pictures, train.expected, train.complete, train.looked_at) == (1500, 1500, 4, 4)
    assert [item.name for item in train.damaged] == ["28002", "28003", "28004"]
    assert train.missing[0] == "CelebAMask-HQ-mask-anno/14/28001_*.png"
    assert train.missing[1:3] == ("CelebA-HQ-img/28005.jpg", "CelebAMask-HQ-mask-anno/14/28005_*.png")
    assert train.missing_files == 1 + 2 * 1495
    assert not train.whole
    assert train.pixels is not None
    assert train.pixels["nose"] == 16 * 256  # 32 of 512 rows
    assert report.shared == {
        "train and train-large": 1500,
        "train-large and unlabelled": 27500,
        "train-large and unlabelled-published": 27500,
        "val and unlabelled-published": 500,
        "unlabelled and unlabelled-published": 27500,
    }


def test_a_folder_without_the_dataset_says_what_is_wanted(tmp_path: Path):
    with pytest.raises(
        UsageError, match=r"has no CelebA-HQ-img or CelebAMask-HQ-mask-anno; .* how to get celebamask-hq-8: the CelebA"
    ):
        load_benchmark("celebamask-hq-8", tmp_path, "test")
    with pytest.raises(UsageError, match="does not exist; give the folder of the unpacked dataset"):
        load_benchmark("celebamask-hq-8", tmp_path / "no", "test")
    celeba(tmp_path, [0], {})
    with pytest.raises(UsageError, match=r"has no split 'tests'; use one of train, val, test, .*did you mean 'test'"):
        load_benchmark("celebamask-hq-8", tmp_path, "tests")
    for size in (4, 1025):
        with pytest.raises(UsageError, match=f"size {size} px .* was asked for; give 8 to 1024 px, and 1 or 3"):
            load_benchmark("celebamask-hq-8", tmp_path, "test", size)
