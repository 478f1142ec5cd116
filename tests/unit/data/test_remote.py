"""Places: paths stay paths, addresses are written whole, and what cannot be reached is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from gannotate.data.remote import Remote, place_of, put, put_new_json, stems
from gannotate.errors import GannotateError, UsageError


class Disk(LocalFileSystem):
    """A file system that is not an object store: a file is there while it is being written."""

    protocol = "disk"


@pytest.fixture(params=["memory", "disk", "path"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    fsspec.register_implementation("disk", Disk, clobber=True)
    return place_of(
        {"memory": f"memory://{tmp_path.name}", "disk": f"disk://{tmp_path}", "path": tmp_path}[request.param]
    )


def test_paths_and_addresses(tmp_path: Path) -> None:
    assert place_of("a/b") == place_of(Path("a/b")) == Path("a/b")
    assert place_of(f"file://{tmp_path}") == tmp_path
    found = place_of("memory://cells/")
    assert isinstance(found, Remote)
    assert found == place_of(found) == Remote("memory://cells")
    assert str(found / "a.json") == "memory://cells/a.json"
    assert (found / "images/7.png").name == "7.png"
    assert len({found, Remote("memory://cells")}) == 1


def test_what_is_put_is_there(place: Any) -> None:
    assert not (place / "a.bin").exists()
    with pytest.raises(FileNotFoundError):
        (place / "a.bin").read_bytes()
    put(place / "a.bin", b"1")
    put(place / "a.bin", b"22")
    put(place / "inner/b.bin", b"3")
    assert (place / "a.bin").read_bytes() == b"22"
    assert (place / "inner/b.bin").read_bytes() == b"3"
    put(place / "inner/a.txt", b"text")
    assert (place / "inner/a.txt").read_text() == "text"
    assert stems(place / "inner", ".bin") == ["b"]
    assert stems(place / "nothing", ".bin") == []


def test_the_first_of_two_stays(place: Any) -> None:
    assert put_new_json(place / "new.json", {"value": 1})
    assert not put_new_json(place / "new.json", {"value": 2})
    assert '"value": 1' in (place / "new.json").read_text()


def test_a_folder_is_removed_with_all_in_it(place: Any) -> None:
    if isinstance(place, Remote):
        put(place / "parts/1.json", b"{}")
        (place / "parts").remove()
        assert not (place / "parts").exists()
        (place / "parts").remove()


def test_half_a_file_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("disk", Disk, clobber=True)
    place = Remote(f"disk://{tmp_path}")
    put(place / "a.bin", b"whole")

    def torn(self: Disk, path: str, data: bytes, **more: Any) -> None:
        Path(path).write_bytes(data[:2])
        raise OSError("connection lost")

    monkeypatch.setattr(Disk, "pipe_file", torn)
    with pytest.raises(GannotateError, match=r"cannot write disk://.*a\.bin \(connection lost\); check the address"):
        put(place / "a.bin", b"another")
    assert (place / "a.bin").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_store_that_cannot_tell_whether_a_file_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = MemoryFileSystem.pipe_file

    def plain(self: MemoryFileSystem, path: str, data: bytes) -> None:
        whole(self, path, data)

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", plain)
    place = Remote(f"memory://{tmp_path.name}")
    assert put_new_json(place / "new.json", {})
    assert not put_new_json(place / "new.json", {})


def test_addresses_that_lead_nowhere_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="is no address that fsspec knows"):
        Remote("nowhere://bucket").exists()

    def missing(address: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UsageError, match="s3://bucket needs another package: Install s3fs"):
        Remote("s3://bucket").exists()
