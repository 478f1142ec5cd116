"""CGPart in its published layout, and folders of pictures whose labels a network makes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.data.benchmarks import find_benchmark, load_benchmark
from gannotate.errors import GannotateError

from .trees import encoded, picture, write

MODELS = find_benchmark("cgpart-car-15").splits["train"].only
TRUCK = "42af1d5d3b2524003e241901f2025878"


def palette_png(ids: np.ndarray) -> bytes:
    buffer, image = io.BytesIO(), Image.fromarray(ids.astype(np.uint8), mode="P")
    image.putpalette(list(range(256)) * 3)
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def cgpart(tmp_path: Path) -> Path:
    """Two rendered pictures of each of five models, and three real ones, two of them in the val list."""
    for model in (*MODELS, TRUCK):
        for number in range(2):
            ids = np.full((48, 64), number + 2)
            write(
                tmp_path / f"CGPart_render/car/image/{model}/{number:06d}.png",
                encoded(picture(64, 48, number), mode="RGBA"),
            )
            write(tmp_path / f"CGPart_render/car/seg/{model}/{number:06d}.png", palette_png(ids))
    write(tmp_path / "CGPart_render/car/image/.DS_Store")
    real = tmp_path / "CGPart_real"
    for number, name in enumerate(("n02814533_1", "n02814533_2", "n02814533_3")):
        write(real / f"Images/car_imagenet_cropped/{name}.JPEG", encoded(picture(300, 200), "JPEG"))
        write(real / f"Annotations_png/car_imagenet_cropped/{name}.png", palette_png(np.full((200, 300), 20 + number)))
    write(real / "Image_sets/car_imagenet_val.txt", b"n02814533_1\nn02814533_3\n\n")
    write(real / "vp_car.txt")
    return tmp_path


def test_rendered_cars_of_four_models_and_real_ones_of_the_val_list(cgpart: Path):
    train = load_benchmark("cgpart-car-15", cgpart, "train")
    assert len(train) == 8
    assert not any(item.name.startswith(TRUCK) for item in train.items)
    names = find_benchmark("cgpart-car-15").class_names
    assert {names[int(np.unique(one.label_map)[0])] for one in train} == {"door", "wheel"}
    test = load_benchmark("cgpart-car-15", cgpart, "test")
    assert [item.name for item in test.items] == ["n02814533_1", "n02814533_3"]
    assert [names[int(np.unique(one.label_map)[0])] for one in test] == ["car_body", "mirror"]
    assert [one.picture.shape for one in test] == [(192, 288, 3)] * 2  # the shorter side has 192 px
    assert test.in_memory().label_maps.shape == (2, 192, 288)


def test_sizes_that_differ_are_not_stacked(cgpart: Path):
    real = cgpart / "CGPart_real"
    write(real / "Images/car_imagenet_cropped/n02814533_3.JPEG", encoded(picture(250, 200), "JPEG"))
    write(real / "Annotations_png/car_imagenet_cropped/n02814533_3.png", palette_png(np.zeros((200, 250))))
    data = load_benchmark("cgpart-car-10", cgpart, "test")
    assert [one.label_map.shape for one in data] == [(192, 288), (192, 240)]
    with pytest.raises(GannotateError, match="have 2 sizes, as cgpart-car-10 scales their shorter side"):
        data.in_memory()


def test_the_same_pictures_are_drawn_every_time(tmp_path: Path):
    benchmark = find_benchmark("cgpart-car-15")
    names = [f"{MODELS[0]}/{number:06d}" for number in range(2000)]
    taken = benchmark.splits["train"].take(names)
    assert (len(set(taken)), sorted(taken)) == (1000, list(taken))
    assert taken == benchmark.splits["train"].take(names)


@pytest.mark.parametrize("name", ["../n1", "/etc/passwd", "a/../../b"])
def test_a_list_may_not_lead_out_of_the_folder(cgpart: Path, name: str):
    write(cgpart / "CGPart_real/Image_sets/car_imagenet_val.txt", name.encode())
    with pytest.raises(GannotateError, match="which leads out of the folder"):
        load_benchmark("cgpart-car-15", cgpart, "test")


def test_masks_in_colours_or_of_unknown_ids_or_cut_are_named(cgpart: Path):
    masks = cgpart / "CGPart_real/Annotations_png/car_imagenet_cropped"
    write(masks / "n02814533_1.png", encoded(picture(300, 200)))
    write(masks / "n02814533_3.png", palette_png(np.full((200, 300), 32)))
    data = load_benchmark("cgpart-car-15", cgpart, "test")
    assert list(data) == []
    assert "is RGB; a label map has one channel" in data.skipped[0].reason
    assert "has unknown class id 32" in data.skipped[1].reason
    write(masks / "n02814533_1.png", palette_png(np.zeros((200, 300)))[:60])
    with pytest.raises(GannotateError, match=r"n02814533_1\.png is not a whole picture"):
        data[0]


def test_two_pictures_of_one_name_are_refused_as_they_would_share_a_label_map(tmp_path: Path):
    for name in ("images/a/1.jpg", "images/a/1.PNG", "images/1.png", "masks/a/1.png", "masks/1.png"):
        write(tmp_path / name, encoded(np.zeros((16, 20), np.uint8)))
    with pytest.raises(GannotateError, match=r"images has a/1\.PNG and a/1\.jpg, which would share one label map; re"):
        load_benchmark("lsun-cars", tmp_path, "train")
    (tmp_path / "images/a/1.PNG").unlink()
    splits = [load_benchmark("lsun-cars", tmp_path, split) for split in ("train", "val", "test")]
    assert sorted(item.name for data in splits for item in data.items) == ["1", "a/1"]


@pytest.fixture
def church(tmp_path: Path) -> Path:
    """60 pictures of several kinds, some in folders of their own, with masks."""
    for number in range(60):
        kind, ending = (("WEBP", "webp"), ("JPEG", "JPG"), ("PNG", "png"))[number % 3]
        stem = f"a/{number:03d}" if number % 2 else f"{number:03d}"
        write(tmp_path / f"images/{stem}.{ending}", encoded(picture(20, 16), kind))
        write(tmp_path / f"masks/{stem}.png", palette_png(np.full((16, 20), number % 11)))
    return tmp_path


def test_splits_by_name_do_not_change_when_pictures_are_added(church: Path):
    before = {
        split: {i.name for i in load_benchmark("lsun-churches", church, split).items}
        for split in ("train", "val", "test")
    }
    assert sum(map(len, before.values())) == len(set.union(*before.values())) == 60
    write(church / "images/zzz.png", encoded(picture(20, 16)))
    after = {split: {i.name for i in load_benchmark("lsun-churches", church, split).items} for split in before}
    assert all(before[split] <= after[split] for split in before)
    assert sum(map(len, after.values())) == 61
    found = next(iter(load_benchmark("lsun-churches", church, "train", 32)))
    assert found.label_map.shape == (32, 32)


def test_a_folder_tells_whose_labels_it_has(church: Path):
    assert load_benchmark("lsun-churches", church, "test").label_source == "dataset"
    write(church / "labels.json", b'{"network": "upernet"}')
    assert load_benchmark("lsun-churches", church, "test").first(1).label_source == "network upernet"
    for damaged in (b"{", b"{}", b"[]"):
        write(church / "labels.json", damaged)
        with pytest.raises(GannotateError, match=r"labels\.json is damaged"):
            load_benchmark("lsun-churches", church, "test")


def test_pictures_without_masks_are_named(church: Path):
    (church / "masks" / "000.png").unlink()
    names = {
        name
        for split in ("train", "val", "test")
        for item in load_benchmark("lsun-churches", church, split).items
        for name in item.missing()
    }
    assert names == {"masks/000.png"}
