"""Changes to zips and tars: of their members, of the members' names, and of what their directories claim."""

from __future__ import annotations

import io
import random
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable

Change = Callable[[random.Random, str, bytes], bytes]

NAMES = (
    *(
        "../x.png",
        "../../x.png",
        "/x.png",
        "/etc/passwd",
        "C:\\x.png",
        "a\\..\\x.png",
        "a//b.png",
        "./a.png",
        "images/",
    ),
    *("images/../../x.png", "masks/../images/a.png", "a" * 300 + ".png", "\x1b[2J.png", "é\u202egnp.png", "..png"),
    *("CON.png", " .png", "images/.png", "a.png/b.png", "", ".", "..", "images/a.PNG", "masks/a.png", "data.yaml"),
)
"""Names of members that are none of a set of pictures, or lead elsewhere."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)

NUMBERS = (0, 1, 2, 8, 12, 14, 20, 63, 99, 255, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

HEADS = ((b"PK\x01\x02", 46), (b"PK\x03\x04", 30), (b"PK\x05\x06", 22))
"""Marks of the directory's entries, the members' own heads and the directory's end, and how long these are."""

Members = list[tuple[str, bytes]]


def members_of(data: bytes) -> Members:
    """Names and contents of a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def packed(members: Members, method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these, whatever their names are."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that stand there twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return buffer.getvalue()


def of_members(change: Change) -> Callable[[random.Random, bytes], bytes]:
    """A zip in which one member's content is changed, left out, doubled or packed once more."""

    def mutate(draw: random.Random, data: bytes) -> bytes:
        members = members_of(data)
        place = draw.randrange(len(members))
        name, content = members[place]
        act = draw.random()
        if act < 0.7:
            members[place] = name, change(draw, name, content)
        elif act < 0.8:
            del members[place]
        elif act < 0.9:
            members.insert(draw.randrange(len(members)), (name, draw.choice(members)[1]))
        else:
            members[place] = name, packed(members)
        return packed(members, draw.choice(METHODS))

    return mutate


def names(draw: random.Random, data: bytes) -> bytes:
    """A zip in which a member has an unusual name."""
    members = members_of(data)
    place = draw.randrange(len(members))
    name, content = members[place]
    members[place] = draw.choice((*NAMES, draw.choice(members)[0], name.upper(), f"images/{name}")), content
    return packed(members, draw.choice(METHODS))


def directory(draw: random.Random, data: bytes) -> bytes:
    """A zip whose directory or heads say something else: sizes, offsets, methods, flags, versions, counts."""
    data = packed(members_of(data), draw.choice(METHODS))
    mark, size = draw.choice(HEADS)
    found = [place for place in range(len(data) - size + 1) if data.startswith(mark, place)]
    start, content = draw.choice(found), bytearray(data)
    for _ in range(draw.choice((1, 1, 2))):
        width = draw.choice((2, 4))
        place = start + draw.randrange(4, size - width + 1, 2)
        struct.pack_into("<H" if width == 2 else "<I", content, place, draw.choice(NUMBERS) & (1 << 8 * width) - 1)
    return bytes(content)


def of_tar(change: Change) -> Callable[[random.Random, bytes], bytes]:
    """A tar in which a member's content, name, kind or size is changed, with right checksums."""

    def mutate(draw: random.Random, data: bytes) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=buffer, mode="w") as new:
            infos = old.getmembers()
            chosen = draw.randrange(len(infos))
            for place, info in enumerate(infos):
                file = old.extractfile(info)
                content = file.read() if file else b""
                if place == chosen:
                    content = change(draw, info.name, content) if draw.random() < 0.5 else content
                    info.name = draw.choice((info.name, info.name, draw.choice(NAMES)))
                    info.type = draw.choice((info.type, info.type, *(bytes([48 + kind]) for kind in range(8)), b"x"))
                    info.linkname = "/etc/passwd"
                info.size = len(content)
                new.addfile(info, io.BytesIO(content))
        return buffer.getvalue()

    return mutate
