"""Real pictures of a pool: which part is shown, the same part of a label map, and safe, unique names."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gannotate.data.pictures import PictureSource, Skipped
from gannotate.data.real_pictures import cut, fit_labels, fit_picture, read_real, safe_name, survey, unique_name
from gannotate.errors import GannotateError, UsageError
from gannotate.project import RealPicture


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def test_picture_and_label_map_are_cut_and_scaled_alike():
    ids = np.kron(np.arange(15, dtype=np.uint8).reshape(3, 5), np.ones((4, 4), np.uint8))  # 20 x 12 px in blocks of 4
    real, pixels = fit_picture(png(ids), "a/b.png", "b", 3, 1, crop=True)
    assert (real.width, real.height, real.left, real.top, real.side_px, real.file) == (20, 12, 4, 0, 12, "b.png")
    assert pixels[..., 0].tolist() == [[1, 2, 3], [6, 7, 8], [11, 12, 13]]
    assert fit_labels(ids, real, 3).tolist() == pixels[..., 0].tolist()
    assert np.array_equal(cut(Image.fromarray(ids), real, 3, 1), pixels)
    small = np.zeros((3, 3), np.uint8)
    assert fit_labels(small, real, 3) is small


def test_label_maps_of_another_size_are_refused():
    real, _ = fit_picture(png(np.zeros((12, 20), np.uint8)), "b.png", "b", 3, 1, crop=True)
    with pytest.raises(GannotateError, match=r"is 19x12 px, its picture 20x12 \(or 3x3\); give a mask of"):
        fit_labels(np.zeros((12, 19), np.uint8), real, 3)
    with pytest.raises(GannotateError, match="is 20x12 px, its picture 3x3"):
        fit_labels(np.zeros((12, 20), np.uint8), None, 3)


@pytest.mark.parametrize(
    ("shape", "crop", "part"), [((8, 9), False, "add --crop"), ((3, 9), True, "smaller than the project's 4 px")]
)
def test_pictures_that_do_not_fit(shape: tuple[int, int], crop: bool, part: str):
    with pytest.raises(GannotateError, match=part):
        fit_picture(png(np.zeros(shape, np.uint8)), "a.png", "a", 4, 1, crop)


@given(stem=st.text(max_size=30))
def test_any_name_becomes_one_that_is_safe_and_no_seed(stem: str):
    name = safe_name(stem)
    assert name
    assert not name.isdecimal()
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert name[0] != "."
    assert name.strip(" .") == name
    assert len(name) <= 110


def test_names_keep_folders_apart_and_are_unique():
    assert [safe_name(stem) for stem in ("a/b.c", "../../etc/x", "0017", "..")] == [
        "a-b.c",
        "etc-x",
        "real-0017",
        "picture",
    ]
    assert unique_name("a", ["b"]) == "a"
    assert unique_name("A", ["a", "A-2"]) == "A-3"


def test_a_folder_is_read_once_and_what_cannot_be_taken_is_told(tmp_path: Path):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (8, 8)).astype(np.uint8) for _ in range(3)]
    (tmp_path / "x").mkdir()
    for name, array in zip(("x/1.png", "x/a.png", "x/copy.png"), [arrays[0], arrays[1], arrays[1]], strict=True):
        (tmp_path / name).write_bytes(png(array))
    (tmp_path / "x" / "wide.png").write_bytes(png(np.zeros((8, 9), np.uint8)))
    (tmp_path / "x" / "torn.png").write_bytes(b"torn")
    source = PictureSource(tmp_path)
    found = list(read_real(source, source.names, 8, 1, crop=False))
    taken = [one[0] for one in found if not isinstance(one, Skipped)]
    assert [real.name for real in taken] == ["real-1", "a"]  # the folder that all share is no part of a name
    reasons = {one.name: one.reason for one in found if isinstance(one, Skipped)}
    assert reasons["x/copy.png"] == "is in the pool already"
    assert "add --crop" in reasons["x/wide.png"]
    assert "not a whole picture" in reasons["x/torn.png"]
    again = list(read_real(source, source.names, 8, 1, False, [one for one in taken if isinstance(one, RealPicture)]))
    assert all(isinstance(one, Skipped) for one in again)


def test_size_and_channels_are_found(tmp_path: Path):
    for place, side in enumerate((8, 8, 12)):
        (tmp_path / f"{place}.png").write_bytes(png(np.zeros((side, side, 3), np.uint8)))
    assert survey(tmp_path, None, crop=False) == (8, 1)  # grey, though stored as RGB
    coloured = np.zeros((8, 8, 3), np.uint8)
    coloured[..., 0] = 200
    for place in range(2):
        (tmp_path / f"{place}.png").write_bytes(png(coloured))
    assert survey(tmp_path, 8, crop=False) == (8, 3)
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "a.png").write_bytes(png(np.zeros((1025, 1025), np.uint8)))
    with pytest.raises(UsageError, match="are 1025 px; give the size to work at"):
        survey(tmp_path / "large", None, crop=False)
    for size in (7, 0, -5):
        with pytest.raises(UsageError, match=f"--size is {size}; give 8 px or more, or leave it out"):
            survey(tmp_path, size, crop=False)
