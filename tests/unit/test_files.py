"""A reader sees the old file or the whole new one."""

import errno
import json
import os

import pytest

from gannotate import files
from gannotate.errors import GannotateError
from gannotate.files import (
    DiskError,
    appearing,
    atomic_write,
    disk_error,
    disk_trouble,
    drop,
    drop_abandoned,
    make_folder,
    write_json,
    write_new,
    write_text,
)
from gannotate.locks import take


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


def stray(path, data=b"half", alive=False):
    """What a process that writes `path` has beside it, killed or alive."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    handle = os.open(part, os.O_RDONLY)
    if alive:
        assert take(handle)
    return part, handle


def test_what_a_killed_process_left_is_taken_over(tmp_path):
    path = tmp_path / "a.txt"
    os.close(stray(path, b"longer than what comes")[1])
    write_text(path, "new")
    assert path.read_text() == "new"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]
    (tmp_path / "b.txt").touch()
    assert path.stat().st_mode == (tmp_path / "b.txt").stat().st_mode


@pytest.fixture
def mask(monkeypatch):
    """This process's umask, which nothing may touch any more: it is one for all threads."""
    before = os.umask(0o027)
    with monkeypatch.context() as patch:
        patch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
        yield 0o027
    os.umask(before)


@pytest.mark.parametrize("beside", ["nothing", "abandoned", "alive"])
@pytest.mark.parametrize("write", [write_new, lambda path, data: write_text(path, data.decode())])
def test_files_have_the_mode_of_any_other_and_the_umask_is_left_alone(tmp_path, mask, write, beside):
    path = tmp_path / "a.txt"
    part, handle = path.with_name(".a.txt.part"), None
    if beside != "nothing":
        part, handle = stray(path, alive=beside == "alive")
        part.chmod(0o600)  # as those of older versions are
    write(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    assert part.exists() == (beside == "alive")
    if handle is not None:
        os.close(handle)


def test_a_file_has_its_mode_from_its_first_moment_on(tmp_path, mask):
    with atomic_write(tmp_path / "a.txt") as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == 0o666 & ~mask


def test_what_another_process_writes_is_left_alone(tmp_path):
    path = tmp_path / "a.txt"
    part, handle = stray(path, alive=True)
    write_text(path, "new")
    assert path.read_text() == "new"
    assert part.read_bytes() == b"half"
    os.close(handle)


def test_on_a_disk_without_locks_what_another_process_writes_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "take", lambda handle: True)
    path = tmp_path / "a.txt"
    part, handle = stray(path)
    write_text(path, "new")
    assert path.read_text() == "new"
    assert part.read_bytes() == b"half"
    assert [item.name for item in tmp_path.iterdir() if item not in (part, path)] == []
    os.close(handle)


def test_what_killed_processes_left_below_is_dropped(tmp_path):
    for name in ("0001", "0002"):
        (tmp_path / name).mkdir()
    dead, handle = stray(tmp_path / "0001" / "run.json")
    os.close(handle)
    alive, handle = stray(tmp_path / "0002" / "run.json", alive=True)
    other, closed = stray(tmp_path / "0002" / "else.json")
    os.close(closed)
    drop_abandoned(tmp_path, "run.json")
    assert (dead.exists(), alive.exists(), other.exists()) == (False, True, True)
    os.close(handle)


def test_a_new_file_replaces_nothing(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    assert write_new(path, b"first")
    assert not write_new(path, b"second")
    assert path.read_bytes() == b"first"
    assert [item.name for item in path.parent.iterdir()] == ["a.txt"]


def test_a_second_name_of_a_whole_file_is_not_written_over(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"whole")
    os.link(path, tmp_path / ".a.txt.part")  # write_new was killed before it removed that
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"whole"
    assert path.read_bytes() == b"new"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_appears_whole_and_takes_over_what_a_killed_process_left(tmp_path):
    left = tmp_path / ".made.part" / "deep"
    left.mkdir(parents=True)
    (left / "half").touch()
    with appearing(tmp_path / "made") as building:
        assert list(building.iterdir()) == []
        (building / "a").touch()
        assert not (tmp_path / "made").exists()
    assert [item.name for item in (tmp_path / "made").iterdir()] == ["a"]
    assert [item.name for item in tmp_path.iterdir()] == ["made"]


def test_two_processes_do_not_make_one_folder(tmp_path):
    building = tmp_path / ".made.part"
    building.mkdir()
    (building / "theirs").touch()
    handle = os.open(building, os.O_RDONLY)
    assert take(handle)
    with pytest.raises(GannotateError, match=r"another process is making .*made; wait for its end"):
        with appearing(tmp_path / "made"):
            pytest.fail("it was let in")
    assert [item.name for item in building.iterdir()] == ["theirs"]
    os.close(handle)


def test_a_folder_is_made_with_those_above_it_and_may_be_there(tmp_path):
    for _ in range(2):
        assert make_folder(tmp_path / "deep" / "deeper").is_dir()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, r"no space left on the disk while writing .*made"),
        (errno.EROFS, r"cannot write .*made \(Read-only file system\); give a place that can be written"),
    ],
)
def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path, monkeypatch, code, words):
    def fail(path, mode=0o777):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(os, "mkdir", fail)
    with pytest.raises(GannotateError, match=words):
        make_folder(tmp_path / "made")


def test_a_file_in_the_way_of_a_folder_is_one_sentence(tmp_path):
    (tmp_path / "made").touch()
    with pytest.raises(GannotateError, match=r"cannot write .*made \(File exists\)"):
        make_folder(tmp_path / "made")


def test_what_is_dropped_is_gone_unless_the_disk_says_no(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.touch()
    for _ in range(2):
        drop(path)
        assert not path.exists()
    path.touch()

    def fail(path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(os, "unlink", fail)
    drop(path)
    assert path.exists()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.ENOSPC, "no space", "a/b"),
            "no space left on the disk while writing a/b: nothing was replaced; free some space and run the same "
            "command again",
        ),
        (
            OSError(errno.EDQUOT, "quota", None),
            "no space left on the disk while writing a file: nothing was replaced; free some space and run the same "
            "command again",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", b"a/b"),
            "cannot write a/b (Read-only file system); give a place that can be written",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "a/b"),
            "cannot open or change a/b (Permission denied); give another path, or get the permission",
        ),
    ],
)
def test_trouble_with_the_disk_that_nobody_answered_is_a_sentence(error, sentence):
    assert str(disk_trouble(error)) == sentence


def test_trouble_with_the_disk_is_told_from_other_errors_by_its_type():
    assert isinstance(disk_error(OSError(errno.EIO, "Input/output error"), "a"), DiskError)
    assert isinstance(disk_trouble(OSError(errno.ENOSPC, "no space", "a")), DiskError)
    assert isinstance(disk_trouble(PermissionError(errno.EACCES, "Permission denied", "a")), DiskError)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file", "a/b"),
        PermissionError(errno.EPERM, "Operation not permitted"),  # no file: a process, a port
        ConnectionError("no route"),
        ValueError("no space left"),
    ],
)
def test_other_errors_are_no_trouble_with_the_disk(error):
    assert disk_trouble(error) is None
