"""A reader sees the old file or the whole new one."""

import errno
import json
import os

import pytest

from gannotate.errors import GannotateError
from gannotate.files import atomic_write, write_json, write_text


def test_replaces_only_when_whole(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old")

    def half_written():
        with atomic_write(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_written()
    assert path.read_text() == "old"
    assert [item.name for item in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "no space left on the disk"), (errno.EACCES, "cannot write")]
)
def test_a_failing_disk_is_one_sentence_and_nothing_is_lost(tmp_path, monkeypatch, code, words):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(GannotateError, match=words):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_json_has_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"x": [float("nan"), 1.5], "path": tmp_path})
    assert json.loads((tmp_path / "a.json").read_text())["x"] == [None, 1.5]
