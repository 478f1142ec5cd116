"""Labels of other tools: a folder or zip in each format, and the codes that regions come in."""

from __future__ import annotations

import io
import json
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.fuzz.archives import packed
from bench.fuzz.target import Target, put
from bench.fuzz.targets.pictures import CLASSES, RANDOM, both, noise
from gannotate.data.benchmarks.crops import read_boxes
from gannotate.data.benchmarks.declaration import read_declarations
from gannotate.data.benchmarks.matlab import read_matlab
from gannotate.data.benchmarks.part_annotations import read_things
from gannotate.data.benchmarks.reading import load_benchmark
from gannotate.data.formats.arrays import decode
from gannotate.data.formats.base import Picture, ReadOptions
from gannotate.data.formats.brush_code import decode as decode_brush
from gannotate.data.formats.brush_code import encode as encode_brush
from gannotate.data.formats.build import FormatName, load_format
from gannotate.data.formats.files import Files
from gannotate.data.formats.regions import decompressed

SIDE = 8
OPTIONS = ReadOptions(classes=CLASSES, sizes=lambda name: (SIDE, SIDE))


def labelled() -> list[Picture]:
    """Two pictures with labels, one of them with pixels that are not labelled."""
    maps = [RANDOM.choice([0, 1, 2, 255], (SIDE, SIDE)).astype(np.uint8) for _ in range(2)]
    return [Picture(str(index), noise(SIDE, SIDE), label_map) for index, label_map in enumerate(maps)]


def written(name: FormatName) -> dict[str, bytes]:
    """The files of a format, as our own writer makes them."""
    files: dict[str, bytes] = {}
    load_format(name).write(files.__setitem__, labelled(), CLASSES)
    return files


def format_target(name: FormatName, folder: Path) -> Target:
    """All files of a format, each changed in its turn, in a folder and in a zip."""
    form, files = load_format(name), written(name)
    if name == "numpy":
        buffer = io.BytesIO()
        np.savez(buffer, masks=np.zeros((2, SIDE, SIDE), np.uint8), names=np.array(["a", "b"]))
        files["labels.npz"] = buffer.getvalue()
    if name == "coco":
        files["annotations/instances.json"] = polygons(files["annotations/instances.json"])
    for file, data in files.items():
        put(folder / "set", file, data)
    told = {file: data for file, data in files.items() if not file.startswith(("images/", "JPEGImages/"))}
    kinds = {file: [data] for file, data in list(told.items())[:6]}
    kinds["set.zip"] = [packed([(file, data) for file, data in files.items() if not file.endswith(".npz")])]

    def read(kind: str, data: bytes) -> None:
        if kind == "set.zip":
            return _entries(form, put(folder, kind, data))
        put(folder / "set", kind, data)
        try:
            _entries(form, folder / "set")
        finally:
            put(folder / "set", kind, files[kind])

    return Target(about=f"data.formats.{form.read.__module__.rpartition('.')[2]}.read", seeds=kinds, read=read)


def _entries(form: Any, path: Path) -> None:
    for entry in form.read(Files(path, form.single), OPTIONS):
        both(entry.labels, entry.picture or (lambda: None))


def polygons(data: bytes) -> bytes:
    """COCO's JSON with a region as polygons and one as plain run lengths beside the compressed ones."""
    content = json.loads(data)
    first = content["annotations"][0]
    more = ([[1.0, 1.0, 5.0, 1.0, 5.0, 6.5]], {"counts": [3, 5, 56], "size": [SIDE, SIDE]})
    content["annotations"] += [first | {"segmentation": one} for one in more]
    return json.dumps(content).encode()


def codes(folder: Path) -> Target:
    """Run lengths of COCO and Label Studio's brush, and arrays."""
    mask = RANDOM.random((SIDE, SIDE)) < 0.5
    array = io.BytesIO()
    np.save(array, mask.astype(np.int32))
    brush = bytes(encode_brush(mask))

    def read(kind: str, data: bytes) -> None:
        if kind == "brush":
            return void(decode_brush(list(data), SIDE, SIDE))
        if kind == "runs":
            return void(decompressed(data.decode("latin1"), SIDE, SIDE))
        void(decode(data))

    return Target(
        about="data.formats.brush_code.decode, regions.decompressed, arrays.decode",
        seeds={"brush": [brush], "runs": [b"12345PON06XY0nN", b"P2"], "a.npy": [array.getvalue()]},
        read=read,
    )


def void(value: object) -> None:
    """Drops a value."""


def matlab(folder: Path) -> Target:
    """Pascal-Part's annotations."""

    def element(kind: int, payload: bytes) -> bytes:
        return struct.pack("<II", kind, len(payload)) + payload + b"\0" * (-len(payload) % 8)

    def matrix(form: int, sides: tuple[int, ...], name: bytes, *more: bytes) -> bytes:
        shape = struct.pack(f"<{len(sides)}i", *sides)
        return element(
            14, element(6, struct.pack("<II", form, 0)) + element(5, shape) + element(1, name) + b"".join(more)
        )

    def text(value: bytes) -> bytes:
        return matrix(4, (1, len(value)), b"", element(16, value))

    def structs(name: bytes, fields: list[bytes], *values: bytes) -> bytes:
        heads = element(5, struct.pack("<i", 32)) + element(1, b"".join(field.ljust(32, b"\0") for field in fields))
        return matrix(2, (1, len(values) // len(fields)), name, heads, *values)

    area = matrix(9, (4, 4), b"", element(2, bytes([0, 1] * 8)))
    parts = structs(b"", [b"part_name", b"mask"], text(b"head"), area, text(b"tail"), area)
    index = matrix(9, (1, 1), b"", element(2, b"\x0d"))
    things = structs(b"", [b"class", b"class_ind", b"mask", b"parts"], text(b"horse"), index, area, parts)
    anno = structs(b"anno", [b"imname", b"objects"], text(b"2008"), things)
    head = b" " * 124 + b"\x00\x01IM"

    def read(kind: str, data: bytes) -> None:
        both(lambda: read_things(data, kind), lambda: read_matlab(data, "anno", kind))

    import zlib

    compressed = zlib.compress(anno)
    packed_whole = head + struct.pack("<II", 15, len(compressed)) + compressed
    return Target(
        about="data.benchmarks.matlab.read_matlab, part_annotations.read_things",
        seeds={"a.mat": [head + anno, packed_whole]},
        read=read,
    )


DECLARATION = """benchmarks:
  pairs:
    about: pairs of pictures and label maps
    paper: none
    get: made here
    licence: none
    attribution: nobody
    layout: {kind: pairs}
    source: [background, left, right]
    size_px: 8
    protocol: %s
    splits:
      test: {names: list.txt, pictures: "images/{name}.*", labels: "masks/{name}.png"}
"""

XML = b"""<annotation><object><name>horse</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>7</xmax>
<ymax>8</ymax></bndbox></object></annotation>"""


def benchmark(folder: Path) -> Target:
    """A declaration, a list of names and files of a benchmark, and boxes in XML."""
    from gannotate.data.writing import encode_picture
    from gannotate.labels import encode_label_map
    from gannotate.metrics.protocols import PROTOCOLS

    ids = RANDOM.integers(0, 3, (SIDE, SIDE)).astype(np.uint8)
    files = {
        "own.yaml": (DECLARATION % next(iter(PROTOCOLS))).encode(),
        "list.txt": b"a\n",
        "images/a.png": encode_picture(noise(SIDE, SIDE)),
        "masks/a.png": encode_label_map(ids, CLASSES),
        "labels.json": b'{"network": "x"}',
    }
    for name, data in files.items():
        put(folder, name, data)

    def read(kind: str, data: bytes) -> None:
        if kind == "boxes.xml":
            return void(read_boxes(data, "horse", kind))
        put(folder, kind, data)
        try:
            if kind == "own.yaml":
                void(read_declarations(folder / kind))
            split = load_benchmark(f"{folder / 'own.yaml'}:pairs", folder, "test")
            both(*(partial(split.__getitem__, index) for index in range(len(split))))
        finally:
            put(folder, kind, files[kind])

    return Target(
        about="data.benchmarks: declarations, lists, pairs, boxes",
        seeds={"boxes.xml": [XML]} | {name: [data] for name, data in files.items()},
        read=read,
    )


NAMES: tuple[FormatName, ...] = ("coco", "label-studio", "yolo", "voc", "palette", "numpy")

TARGETS = {
    **{name: partial(format_target, name) for name in NAMES},
    "codes": codes,
    "matlab": matlab,
    "benchmark": benchmark,
}
