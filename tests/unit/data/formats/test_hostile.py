"""Files from elsewhere: nothing outside of the source is read, nothing is unpickled, sizes are checked first."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.data.formats import arrays, files
from gannotate.data.formats.base import Entry, ReadOptions
from gannotate.data.formats.build import FORMATS, FormatName, load_format
from gannotate.data.formats.files import Files
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import make_classes

OPTIONS = ReadOptions(classes=make_classes(["background", "left"]))


def archive(contents: Mapping[str, bytes | str], path: Path) -> Files:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in contents.items():
            file.writestr(name, data)
    return Files(path)


Made = Callable[..., list[Entry]]


@pytest.fixture
def entries(tmp_path: Path) -> Made:
    """Entries of a zip with these files."""

    def made(name: FormatName, contents: Mapping[str, bytes | str]) -> list[Entry]:
        return load_format(name).read(archive(contents, tmp_path / "set.zip"), OPTIONS)

    return made


def coco(**changes: Any) -> str:
    image = {"id": 1, "file_name": "a.png", "width": 4, "height": 2}
    region = {"image_id": 1, "category_id": 1, "segmentation": {"counts": [1, 7], "size": [2, 4]}}
    return json.dumps(
        {
            "images": [image | changes.get("image", {})],
            "annotations": [region | changes.get("region", {})],
            "categories": [{"id": 1, "name": "left"}],
        }
    )


def test_a_small_coco_file_is_read(entries: Made):
    (entry,) = entries("coco", {"x.json": coco()})
    assert entry.labels().label_map.tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert entry.picture is None


@pytest.mark.parametrize(
    "region",
    [
        {"segmentation": {"counts": [1, 6], "size": [2, 4]}},
        {"segmentation": {"counts": [-1, 9], "size": [2, 4]}},
        {"segmentation": {"counts": [1, 7], "size": [4, 2]}},
        {"segmentation": {"counts": "zzzz", "size": [2, 4]}},
        {"segmentation": [[0, 0, 1]]},
        {"segmentation": [[0, 0, 1, 1]]},
        {"segmentation": [[0, 0, 1e300, 1, 0, 5]]},
        {"segmentation": [[0, 0, 900, 0, 900, 900]]},
        {"segmentation": [[-5, 0, 3, 0, 3, 2]]},
    ],
)
def test_coco_regions_that_do_not_fit(entries: Made, region: dict):
    (entry,) = entries("coco", {"x.json": coco(region=region)})
    with pytest.raises(GannotateError, match=r"^has a "):
        entry.labels()


@pytest.mark.parametrize(
    "region", [{"segmentation": {"counts": [1, 7], "size": [1 << 19, 1 << 19]}}, {"segmentation": []}]
)
def test_coco_pictures_of_absurd_size_take_no_memory(entries: Made, region: dict):
    image = {"width": 1 << 19, "height": 1 << 19}
    (entry,) = entries("coco", {"x.json": coco(image=image, region=region)})
    with pytest.raises(GannotateError, match="label maps have 1 px to 100 Mpx"):
        entry.labels()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{}",
        '{"images": 1',
        coco(region={"image_id": 9}),
        coco(image={"width": -1}),
        coco(image={"id": 1e9}),
    ],
)
def test_coco_files_that_are_none(entries: Made, text: str):
    with pytest.raises(GannotateError):
        entries("coco", {"x.json": text + ' "annotations"' if "annotations" not in text else text})


def test_names_reach_nothing_outside_of_the_source(tmp_path: Path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "set").mkdir()
    for name in ("../secret.png", str(tmp_path / "secret.png"), "..\\secret.png", "images/../../secret.png"):
        (tmp_path / "set" / "x.json").write_text(coco(image={"file_name": name}))
        (entry,) = load_format("coco").read(Files(tmp_path / "set"), OPTIONS)
        assert (entry.name, entry.picture) == ("secret", None)
    with pytest.raises(GannotateError, match="has no"):
        Files(tmp_path / "set").read("../secret.png")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    packed = archive({"masks/a.png": bytes(5000)}, tmp_path / "bomb.zip")
    assert (tmp_path / "bomb.zip").stat().st_size < 500
    monkeypatch.setattr(files, "MOST_BYTES", 4000)
    with pytest.raises(GannotateError, match="has more than"):
        packed.read("masks/a.png")


class Evil:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("unpickled",)


def test_pickled_arrays_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil()], dtype=object), allow_pickle=True)
    for data in (buffer.getvalue(), pickle.dumps(Evil())):
        with pytest.raises(GannotateError, match=r"no array of numbers|no whole npy"):
            arrays.decode(data)
    assert not (tmp_path / "unpickled").exists()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**stacks: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **stacks)
    return buffer.getvalue()


def test_an_array_whose_header_python_cannot_parse():
    for header in (b"{'descr': '<i4', 'shape': (2,", b'"""', b"(" * 3000, b"\\", b"{'shape': 1 +"):
        with pytest.raises(GannotateError, match="is no whole npy file"):
            arrays.decode(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def test_arrays_that_claim_more_than_there_is_take_no_memory():
    lying = npy(np.zeros((2, 2), np.uint8)).replace(b"(2, 2)", b"(9999999999, 99999)")
    with pytest.raises(GannotateError, match=r"not as long as it says|no whole npy"):
        arrays.decode(lying)


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (np.zeros((2, 2, 2), np.uint8), "is an array"),
        (np.full((2, 2), 0.5), "not whole"),
        (np.full((2, 2), np.nan), "not whole"),
    ],
)
def test_arrays_that_are_no_label_map(entries: Made, array: np.ndarray, part: str):
    (entry,) = entries("numpy", {"image_mask0.npy": npy(array)})
    with pytest.raises(GannotateError, match=part):
        entry.labels()


def test_a_stack_of_label_maps_with_names(tmp_path: Path):
    stack = np.arange(8, dtype=np.int64).reshape(2, 2, 2) % 2
    np.savez(tmp_path / "labels.npz", masks=stack, names=np.array(["a", "b"]))
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.write(tmp_path / "labels.npz", "some/labels.npz")
    for path in (tmp_path, tmp_path / "labels.npz", tmp_path / "packed.zip"):
        found = load_format("numpy").read(Files(path, (".npz",)), OPTIONS)
        assert [entry.name for entry in found] == ["a", "b"]
        assert found[1].labels().label_map.tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("files", "part"),
    [
        ({"labels.npz": b"no zip"}, "labels.npz is not a zip that can be read"),
        (
            {"labels.npz": npz(weights=np.zeros(1), bias=np.zeros(1))},
            "label_maps or labels, it holds bias.npy and 1 more file$",
        ),
        ({"notes.txt": b"x"}, "has no label maps, it holds notes.txt; give a folder or zip of image_mask0.npy"),
        ({}, "has no label maps, it is empty; give a folder or zip"),
    ],
)
def test_a_zip_without_stacks_tells_what_is_in_it(entries: Made, files: dict[str, bytes], part: str):
    with pytest.raises(GannotateError, match=part):
        entries("numpy", files)


def test_thousands_of_regions_over_a_huge_picture_are_refused(entries: Made):
    """40 bytes each, which would be hours of painting."""
    side = 10_000
    whole = {"image_id": 1, "category_id": 1, "segmentation": {"counts": [0, side**2], "size": [side, side]}}
    content = json.loads(coco(image={"width": side, "height": side})) | {"annotations": [whole] * 3000}
    (entry,) = entries("coco", {"x.json": json.dumps(content)})
    with pytest.raises(GannotateError, match="cover its 10000x10000 px more than 100 times over"):
        entry.labels()


def test_many_regions_over_a_small_picture_are_fine(entries: Made):
    content = json.loads(coco())
    content["annotations"] *= 1000
    (entry,) = entries("coco", {"x.json": json.dumps(content)})
    assert entry.labels().label_map.tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]


YOLO = {"data.yaml": "names: [left]"}


def test_yolo_outlines_need_a_picture_and_three_corners(entries: Made):
    (entry,) = entries("yolo", YOLO | {"labels/a.txt": "0 0 0 1 0 1 1"})
    with pytest.raises(GannotateError, match="has no picture beside it"):
        entry.labels()


@pytest.mark.parametrize("line", ["0 .5 .5 .2 .2", "0 0 0 1 0", "x 0 0 1 0 1 1", "0 0 0 1 0 1 nan", "0 0 0 1 0 1e9 1"])
def test_yolo_lines_that_are_no_outline(tmp_path: Path, line: str):
    how = ReadOptions(classes=OPTIONS.classes, sizes=lambda name: (4, 4))
    packed = archive(YOLO | {"labels/a.txt": f"0 0 0 1 0 1 1\n{line}\n"}, tmp_path / "set.zip")
    (entry,) = load_format("yolo").read(packed, how)
    with pytest.raises(GannotateError, match=r"line 2"):
        entry.labels()


LAUGHS = "\n".join(
    ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)), "names: *a11"]
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "names: 3",
        "names: {a: b}",
        "a: [",
        "- 1",
        "!!python/object/apply:os.getcwd []",
        "names: {.inf: a}",
        "names: !!int ''",
        "names: 2001-99-99",
        LAUGHS,  # each name would be a text of nine to the eleventh
    ],
)
def test_yolo_without_names_of_classes(entries: Made, text: str):
    with pytest.raises(GannotateError, match="has no list"):
        entries("yolo", {"data.yaml": text})


def task(**changes: Any) -> dict:
    value = {"format": "rle", "rle": [0], "brushlabels": ["left"]}
    result = {"type": "brushlabels", "original_width": 4, "original_height": 2, "value": value}
    return {"data": {"image": "/data/upload/1/1a2b3c4d-a.png"}, "annotations": [{"result": [result | changes]}]}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({}, "code is damaged"),
        ({"original_width": None}, "does not tell original_width"),
        ({"type": "rectanglelabels", "value": {"x": 1}}, "region of rectanglelabels; only brush"),
    ],
)
def test_label_studio_regions_that_are_none(entries: Made, changes: dict, part: str):
    (entry,) = entries("label-studio", {"x.json": json.dumps([task(**changes)])})
    assert entry.name == "a"
    with pytest.raises(GannotateError, match=part):
        entry.labels()


def test_label_studios_newest_annotation_counts_and_cancelled_ones_do_not(entries: Made):
    empty = {"result": [], "updated_at": "2025-01-02"}
    told = task()
    told["annotations"][0]["updated_at"] = "2025-01-01"
    told["annotations"] += [empty, task()["annotations"][0] | {"was_cancelled": True, "updated_at": "2026"}]
    (entry,) = entries("label-studio", {"x.json": json.dumps([told])})
    with pytest.raises(
        GannotateError, match="no picture beside it"
    ):  # it has no regions, so the size must be looked up
        entry.labels()
    told["annotations"] = []
    assert entries("label-studio", {"x.json": json.dumps([told])}) == []


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "folder"])
def test_a_source_of_another_format_is_usage(entries: Made, name: FormatName):
    with pytest.raises(UsageError, match=r"set\.zip"):
        entries(name, {"readme.md": "nothing"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["images", "annotations", "categories", "id", "data", "result", "rle"]), inner
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", ["coco", "label-studio"])
@settings(deadline=None, max_examples=60)
@given(value=json_values)
def test_any_json_gives_entries_or_one_of_our_errors(name: FormatName, value: Any, tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    (folder / "x.json").write_text(json.dumps({"annotations": value} if name == "coco" else value))
    with contextlib.suppress(GannotateError):
        for entry in load_format(name).read(Files(folder / "x.json", (".json",)), OPTIONS):
            assert entry.labels().label_map.dtype == np.uint8
