"""Zips of strangers: names lead nowhere, bombs do not go off, and whatever is broken is told in a sentence."""

from __future__ import annotations

import bz2
import io
import lzma
import stat
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gannotate.data.archives import Archive, read_file
from gannotate.data.formats.files import Files
from gannotate.data.pictures import PictureSource, load_pictures
from gannotate.data.real_pictures import read_real, survey
from gannotate.errors import GannotateError, UsageError


def png(value: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def packed(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return buffer.getvalue()


def at(folder: Path, data: bytes) -> Path:
    (folder / "set.zip").write_bytes(data)
    return folder / "set.zip"


def changed(data: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    """A zip whose first head with this mark says something else."""
    place = data.index(mark) + offset
    return data[:place] + value + data[place + len(value) :]


DIRECTORY, END = b"PK\x01\x02", b"PK\x05\x06"
WHOLE = packed(("a.png", png()), ("b.png", png(9)))

BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "no zip": b"PK\x03\x04 but not really",
    "cut off": WHOLE[:-30],
    "no directory": WHOLE.replace(DIRECTORY, b"PK\x09\x09"),
    "a version to come": changed(WHOLE, DIRECTORY, 6, b"\xff\x00"),
    "a directory before the beginning": changed(WHOLE, END, 12, b"\xff\xff\xff\x7f"),
    "a directory of a terabyte, by zip64": WHOLE[: WHOLE.index(END)]
    + b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 2, 2, 1 << 40, 1 << 40)
    + b"PK\x06\x07" + struct.pack("<IQI", 0, WHOLE.index(END), 1)
    + changed(WHOLE[WHOLE.index(END) :], END, 12, b"\xff" * 8),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_zips_without_a_directory_that_can_be_read(name: str, tmp_path: Path):
    path = at(tmp_path, BROKEN[name])
    with pytest.raises(GannotateError, match=r"^is not a zip that can be read"):
        Archive(path)
    for reader in (PictureSource, Files):
        with pytest.raises(UsageError, match="is not a folder or a zip"):
            reader(path)


MEMBER = packed(("a.png", png()))

UNREADABLE: dict[str, tuple[bytes, str]] = {
    "a wrong checksum": (MEMBER.replace(b"IDAT", b"IDAt"), "Bad CRC"),
    "a packing that is damaged": (
        packed(("a.png", bytes(9000)), method=zipfile.ZIP_DEFLATED).replace(b"\xed\xc1", b"\xff\xff"),
        "Error -3",
    ),
    "encrypted": (changed(MEMBER, DIRECTORY, 8, b"\x01\x00"), "encrypted|password"),
    "no head": (MEMBER.replace(b"PK\x03\x04", b"PK\x09\x09"), "Bad magic"),
    "a head beyond the end": (changed(MEMBER, DIRECTORY, 42, b"\x00\x00\x00\x7f"), "cannot be read"),
    "a method that nobody knows": (changed(MEMBER, DIRECTORY, 10, b"\x63\x00"), "unusual method"),
    "packed by bzip2": (packed(("a.png", png()), method=zipfile.ZIP_BZIP2), "unusual method"),
    "packed by LZMA": (packed(("a.png", png()), method=zipfile.ZIP_LZMA), "unusual method"),
    "larger than it says": (changed(MEMBER, DIRECTORY, 24, struct.pack("<I", 10)), "cannot be read"),
    "smaller than it says": (changed(MEMBER, DIRECTORY, 20, struct.pack("<II", 5000, 5000)), "cannot be read"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_members_that_cannot_be_read(name: str, tmp_path: Path):
    data, words = UNREADABLE[name]
    path = at(tmp_path, data)
    with pytest.raises(GannotateError, match=words):
        Archive(path).read("a.png")
    with pytest.raises(UsageError, match=r"of 1 picture in .* none could be read"):
        load_pictures(path)
    with pytest.raises(GannotateError, match=r"^a\.png "):
        Files(path).read("a.png")


def bomb(method: int, compress: Callable[[bytes], bytes]) -> bytes:
    """A picture of 20 MB in a zip of some kilobytes, whose heads say that it has a thousand bytes."""
    content = compress(bytes(20_000_000))
    data = bytearray(packed(("a.png", content)))
    for mark, places in ((b"PK\x03\x04", (8, 22)), (DIRECTORY, (10, 24))):
        struct.pack_into("<H", data, data.index(mark) + places[0], method)
        struct.pack_into("<I", data, data.index(mark) + places[1], 1000)
    return bytes(data)


def lzma_member(data: bytes) -> bytes:
    """As zip keeps LZMA: a version, the length of its settings, the settings, the raw stream."""
    settings = bytes([0x5D]) + struct.pack("<I", 1 << 16)
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16}]
    return (
        b"\x09\x04"
        + struct.pack("<H", len(settings))
        + settings
        + lzma.compress(data, lzma.FORMAT_RAW, filters=filters)
    )


@pytest.mark.parametrize("kind", ["deflate", "bzip2", "lzma"])
def test_a_bomb_is_not_unpacked(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if kind == "deflate":  # honest about its size, which is refused
        data = packed(("a.png", bytes(20_000_000)), method=zipfile.ZIP_DEFLATED)
    elif kind == "bzip2":
        data = bomb(zipfile.ZIP_BZIP2, bz2.compress)
    else:
        data = bomb(zipfile.ZIP_LZMA, lzma_member)
    assert len(data) < 50_000
    archive = Archive(at(tmp_path, data))
    tracemalloc.start()
    try:
        with pytest.raises(GannotateError, match=r"has more than 1 MB|unusual method"):
            archive.read("a.png", most=1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


NAMES = (
    *("../x.png", "../../x.png", "/x.png", "/tmp/x.png", "a/../../x.png", "C:\\x.png", "a\\..\\..\\x.png"),
    *("images/../../../x.png", "\x1b[2J.png", "é\u202egnp.png", "a" * 240 + ".png", "CON.png", "a.png/b.png"),
)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_elsewhere_are_only_names(name: str, tmp_path: Path):
    path = at(tmp_path, packed((name, png()), ("good/a.png", png(9))))
    before, count = (
        sorted(tmp_path.rglob("*")),
        1 if ".." in name.split("/") else 2,
    )  # as hidden ones, these are left out
    assert len(load_pictures(path).pictures) == count
    source = PictureSource(path)
    taken = [item[0].name for item in read_real(source, source.names, 8, 1, crop=True) if isinstance(item, tuple)]
    assert len(set(taken)) == len(source.names) == count
    assert not {"/", "\\", "\x1b"} & set("".join(taken))
    assert sorted(tmp_path.rglob("*")) == before
    assert survey(path, None, True) == (8, 1)


def test_names_that_stand_there_twice_count_once_and_empty_ones_not(tmp_path: Path):
    path = at(tmp_path, packed(("a.png", png(1)), ("a.png", png(2)), ("", b"x"), ("b.png", png(3))))
    assert Archive(path).names == ("a.png", "b.png")
    loaded = load_pictures(path)
    assert loaded.names == ("a.png", "b.png")
    assert loaded.pictures[0].max() == 2  # the last one of that name


def test_a_link_in_a_zip_is_a_file_of_its_own_text(tmp_path: Path):
    link = zipfile.ZipInfo("a.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("b.png", png())
    loaded = load_pictures(tmp_path / "set.zip")
    assert loaded.names == ("b.png",)
    assert "not a whole picture" in loaded.skipped[0].reason


def test_a_zip_in_a_zip_is_no_picture(tmp_path: Path):
    inner = packed(("a.png", png()))
    with pytest.raises(UsageError, match="no pictures in"):
        load_pictures(at(tmp_path, packed(("inner.zip", inner))))
    with pytest.raises(UsageError, match="not a whole picture"):
        load_pictures(at(tmp_path, packed(("inner.png", inner))))


def test_plain_files_have_the_same_limit(tmp_path: Path):
    (tmp_path / "a").write_bytes(bytes(10))
    assert read_file(tmp_path / "a", most=10) == bytes(10)
    with pytest.raises(GannotateError, match="has more than 0 MB"):
        read_file(tmp_path / "a", most=9)
    for name in ("b", "a/b", "a\0b"):
        with pytest.raises(GannotateError, match="cannot be read"):
            read_file(tmp_path / name)


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_zip_gives_its_files_or_sentences(data: st.DataObject, tmp_path: Path):
    content = bytearray(packed(("images/a.png", png()), ("masks/a.png", png(1)), method=zipfile.ZIP_DEFLATED))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    path = at(tmp_path, bytes(content))
    with suppress(GannotateError):
        archive = Archive(path)
        for name in archive.names:
            with suppress(GannotateError):
                archive.read(name)
    with suppress(GannotateError):
        load_pictures(path)
