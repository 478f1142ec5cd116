"""Reading pictures with labels: folder and zip alike, and a sentence for each thing that may be wrong."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.data.labelled import LabelledSet, read_labelled
from gannotate.errors import GannotateError, UsageError


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def files(count: int = 3, side: int = 8, channels: int = 1) -> dict[str, bytes]:
    """Pictures whose left half is class 1 and bright."""
    found = {}
    for index in range(count):
        picture = np.full((side, side, channels), 20 + index, np.uint8)
        picture[:, : side // 2] = 200
        mask = np.zeros((side, side), np.uint8)
        mask[:, : side // 2] = 1
        mask[0, 0] = 255
        found[f"images/p{index}.png"] = png(picture.squeeze())
        found[f"masks/p{index}.png"] = png(mask)
    return found


def write(path: Path, members: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, data in members.items():
                file.writestr(name, data)
        return path
    for name, data in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def test_folder_and_zip_give_the_same(tmp_path: Path) -> None:
    folder = read_labelled(write(tmp_path / "f", files()), classes=2)
    packed = read_labelled(write(tmp_path / "z.zip", files()), classes=2)
    assert folder.names == packed.names == ("images/p0.png", "images/p1.png", "images/p2.png")
    assert folder.pictures.shape == (3, 8, 8, 1)
    assert folder.pictures[2, 0, 7, 0] == 22
    assert folder.label_maps[0, 0].tolist() == [255, 1, 1, 1, 0, 0, 0, 0]
    np.testing.assert_array_equal(folder.pictures, packed.pictures)
    np.testing.assert_array_equal(folder.label_maps, packed.label_maps)


def test_size_and_channels(tmp_path: Path) -> None:
    data = read_labelled(write(tmp_path / "z.zip", files()), classes=2, size=4, channels=3)
    assert data.pictures.shape == (3, 4, 4, 3)
    assert data.label_maps.shape == (3, 4, 4)
    # whole blocks are averaged, and label maps keep to existing ids
    assert data.pictures[1, 2, :, 0].tolist() == [200, 200, 21, 21]
    assert set(np.unique(data.label_maps)) <= {0, 1, 255}
    assert data.label_maps[:, 2].tolist() == [[1, 1, 0, 0]] * 3


def test_colour_is_kept(tmp_path: Path) -> None:
    assert read_labelled(write(tmp_path / "z.zip", files(channels=3)), classes=2).pictures.shape == (3, 8, 8, 3)


def test_pictures_without_mask_or_broken_are_listed(tmp_path: Path) -> None:
    members = files() | {"images/broken.png": b"no picture", "masks/broken.png": files()["masks/p0.png"]}
    del members["masks/p1.png"]
    data = read_labelled(write(tmp_path / "z.zip", members), classes=2)
    assert data.names == ("images/p0.png", "images/p2.png")
    assert [(item.name, item.reason.split(" ")[0]) for item in data.skipped] == [
        ("images/broken.png", "not"),
        ("images/p1.png", "has"),
    ]


def test_wrong_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"a has no images/, it holds masks/p0.png; give the folder or zip that has it"
    ):
        read_labelled(write(tmp_path / "a", {"masks/p0.png": files()["masks/p0.png"]}), classes=2)
    with pytest.raises(GannotateError, match=r"of 1 picture in .* none can be used, .* has no masks/p0.png"):
        read_labelled(write(tmp_path / "b", {"images/p0.png": files()["images/p0.png"]}), classes=2)
    arrays = write(tmp_path / "e.zip", {"images/p0.png": files()["images/p0.png"], "masks/p0.npz": b"arrays"})
    with pytest.raises(GannotateError, match=r"p0.png has no masks/p0.png, only masks/p0.npz; give masks/NAME.png for"):
        read_labelled(arrays, classes=2)
    unknown = write(tmp_path / "c.zip", files() | {"masks/p0.png": png(np.full((8, 8), 3, np.uint8))})
    with pytest.raises(GannotateError, match=r"masks/p0.png: unknown class id 3 \(64 px\); accepted are 0-1"):
        read_labelled(unknown, classes=2)
    small = write(tmp_path / "d.zip", files() | {"masks/p0.png": png(np.zeros((4, 4), np.uint8))})
    with pytest.raises(GannotateError, match=r"masks/p0.png is 4x4 px and images/p0.png is 8x8"):
        read_labelled(small, classes=2)
    six = png(np.zeros((6, 6), np.uint8))
    mixed = write(tmp_path / "e.zip", files() | {"images/q.png": six, "masks/q.png": six})
    with pytest.raises(GannotateError, match=r"p0.png is 8x8 px and images/q.png is 6x6; give a size"):
        read_labelled(mixed, classes=2)
    assert len(read_labelled(mixed, classes=2, size=8)) == 4


def called(*names: str) -> dict[str, bytes]:
    """A classes.json with these names, by id."""
    return {"classes.json": json.dumps({"classes": dict(enumerate(names)), "size": 8}).encode()}


@pytest.mark.parametrize(
    ("theirs", "row"),
    [
        (("ground", "cell"), [255, 1, 1, 1, 0, 0, 0, 0]),  # the very same names: as without the file
        (("cell", "ground"), [255, 0, 0, 0, 1, 1, 1, 1]),
        (("background", "cell"), [255, 1, 1, 1, 0, 0, 0, 0]),  # every format's word for class 0
        (("cell", "ignore"), [255, 255, 255, 255, 1, 1, 1, 1]),
        (("ground", "cell", "leaf"), [255, 1, 1, 1, 0, 0, 0, 0]),  # no pixel is a leaf
    ],
)
def test_classes_go_by_name_where_the_source_names_them(tmp_path: Path, theirs: tuple[str, ...], row: list[int]):
    path = write(tmp_path / "z.zip", files() | called(*theirs))
    assert read_labelled(path, 2, names=["ground", "cell"]).label_maps[0, 0].tolist() == row
    assert read_labelled(path, 2).label_maps[0, 0].tolist() == [255, 1, 1, 1, 0, 0, 0, 0]  # nobody asked for names


def test_names_that_do_not_fit_are_one_sentence(tmp_path: Path):
    other = write(tmp_path / "a.zip", files() | called("ground", "cel"))
    with pytest.raises(GannotateError, match=r"p0.png has the class 'cel' \(31 px\) by its classes.json, .* did you"):
        read_labelled(other, 2, names=["ground", "cell"])
    fewer = write(tmp_path / "b.zip", files() | called("ground"))
    with pytest.raises(GannotateError, match=r"p0.png has class id 1 \(31 px\), which its classes.json does not name"):
        read_labelled(fewer, 2, names=["ground", "cell"])
    torn = write(tmp_path / "c.zip", files() | {"classes.json": b"[]"})
    with pytest.raises(GannotateError, match=r"classes\.json is not of this format"):
        read_labelled(torn, 2, names=["ground", "cell"])


def test_a_jpeg_is_no_label_map_whatever_it_is_called(tmp_path: Path):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(buffer, "JPEG")
    path = write(tmp_path / "z.zip", files() | {"masks/p0.png": buffer.getvalue()})
    with pytest.raises(GannotateError, match=r"masks/p0.png: a JPEG, which changes class ids along borders; save"):
        read_labelled(path, classes=2)


def test_pictures_of_the_other_kind_are_counted(tmp_path: Path):
    grey = files(count=2)
    shown = np.zeros((8, 8, 3), np.uint8)
    shown[0, 0] = 200, 0, 0
    members = {**grey, "images/z.png": png(shown), "masks/z.png": grey["masks/p0.png"]}
    path = write(tmp_path / "z.zip", members)
    assert [read_labelled(path, 2, channels=kind).recoloured for kind in (1, 3, None)] == [1, 2, 0]
    stored_as_colour = write(tmp_path / "c.zip", files(channels=3))
    assert read_labelled(stored_as_colour, 2, channels=1).recoloured == 0  # its channels are all alike


def test_take_keeps_order_and_soft_labels() -> None:
    pictures = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    soft = np.arange(8, dtype=np.float16).reshape(4, 2, 1, 1)
    data = LabelledSet(("a", "b", "c", "d"), pictures, pictures[..., 0], soft).take([3, 0])
    assert data.names == ("d", "a")
    assert data.pictures.ravel().tolist() == [3, 0]
    assert data.soft is not None
    assert data.soft[:, 0].ravel().tolist() == [6, 0]
