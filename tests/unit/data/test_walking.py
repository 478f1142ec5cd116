"""Links to folders are followed, never round in circles, and what cannot be read is named."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.data.benchmarks.tree import Tree
from gannotate.data.pictures import PictureSource
from gannotate.data.walking import names_below
from gannotate.errors import GannotateError


def written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


def test_files_in_linked_folders_are_found_at_any_depth(tmp_path: Path):
    written(tmp_path / "disk" / "faces" / "b.png")
    (tmp_path / "disk" / "deeper").symlink_to(written(tmp_path / "other" / "c.png").parent)
    top = tmp_path / "top"
    written(top / "a.png")
    (top / "images").symlink_to(tmp_path / "disk")
    assert names_below(top) == ["a.png", "images/deeper/c.png", "images/faces/b.png"]


def test_one_folder_linked_twice_is_there_twice(tmp_path: Path):
    written(tmp_path / "disk" / "a.png")
    (tmp_path / "top").mkdir()
    for name in ("train", "val"):
        (tmp_path / "top" / name).symlink_to(tmp_path / "disk")
    assert names_below(tmp_path / "top") == ["train/a.png", "val/a.png"]


@pytest.mark.parametrize("target", [".", "..", "top", "top/inside", "elsewhere"])
def test_links_that_lead_back_end(tmp_path: Path, target: str):
    """`elsewhere` lies outside, and a link in it leads back."""
    written(tmp_path / "top" / "inside" / "a.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "top")
    (tmp_path / "top" / "inside" / "link").symlink_to(tmp_path / target if target not in (".", "..") else target)
    assert names_below(tmp_path / "top") == ["inside/a.png"]


def test_hidden_files_broken_links_and_what_is_no_file_are_left_out(tmp_path: Path):
    for name in ("a.png", ".b.png", ".trash/c.png", "__MACOSX/d.png", "e/.thumbs/f.png"):
        written(tmp_path / name)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert names_below(tmp_path) == ["a.png"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written(tmp_path / "closed" / "a.png")
    look = os.scandir

    def refuse(path: str):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return look(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(GannotateError, match=r"closed cannot be read \(Permission denied\)"):
        names_below(tmp_path)


def test_a_dataset_whose_folders_are_links_is_read(tmp_path: Path):
    (tmp_path / "disk").mkdir()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "disk" / "a.png")
    for name in ("images", "masks"):
        (tmp_path / "top").mkdir(exist_ok=True)
        (tmp_path / "top" / name).symlink_to(tmp_path / "disk")
    assert PictureSource(tmp_path / "top").names == ("images/a.png",)
    assert Tree(tmp_path / "top", (".",), ("images",)).below("images") == ["a.png"]
