"""Odd and hostile pictures by name: what each becomes, or the sentence that it is refused with."""

from __future__ import annotations

import io
import struct
import subprocess
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gannotate.data.formats.base import ReadOptions
from gannotate.data.formats.raster import Scheme, read_mask
from gannotate.data.pictures import decode_picture
from gannotate.errors import GannotateError
from gannotate.labels import decode_label_map, make_classes
from gannotate.picture_files import FORMATS, open_picture

COLOUR = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8))
GREY = COLOUR.convert("L")
DEEP = Image.fromarray(np.linspace(100, 60_000, 54).reshape(6, 9).astype(np.uint16))
OPTIONS = ReadOptions(classes=make_classes(["background", "left", "right"]))


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.copy().save(buffer, form, **options)
    return buffer.getvalue()


def frames() -> dict[str, Any]:
    return {"save_all": True, "append_images": [Image.new("RGB", COLOUR.size, (9, 9, 9))]}


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, packed: bytes, *more: bytes, depth: int = 8, kind: int = 0) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


READ = {
    "one pixel": (saved(Image.new("RGB", (1, 1)), "PNG"), (1, 1), "RGB"),
    "30,000 px wide": (saved(Image.new("L", (30_000, 1)), "PNG"), (30_000, 1), "L"),
    "CMYK JPEG": (saved(COLOUR.convert("CMYK"), "JPEG"), (9, 6), "RGB"),
    "CMYK TIFF": (saved(COLOUR.convert("CMYK"), "TIFF"), (9, 6), "RGB"),
    "16-bit PNG": (saved(DEEP, "PNG"), (9, 6), "L"),
    "16-bit TIFF": (saved(DEEP, "TIFF"), (9, 6), "L"),
    "16-bit TIFF of the other byte order": (
        saved(Image.frombytes("I;16B", (9, 6), bytes(range(108))), "TIFF"),
        (9, 6),
        "L",
    ),
    "float TIFF": (saved(GREY.convert("F"), "TIFF"), (9, 6), "L"),
    "32-bit TIFF": (saved(GREY.convert("I"), "TIFF"), (9, 6), "L"),
    "BigTIFF": (saved(COLOUR, "TIFF", big_tiff=True), (9, 6), "RGB"),
    "TIFF of several pages": (saved(COLOUR, "TIFF", **frames()), (9, 6), "RGB"),
    "animated GIF": (saved(COLOUR, "GIF", **frames()), (9, 6), "RGB"),
    "animated WebP": (saved(COLOUR, "WEBP", lossless=True, **frames()), (9, 6), "RGB"),
    "APNG": (saved(COLOUR, "PNG", **frames()), (9, 6), "RGB"),
    "MPO": (saved(COLOUR, "MPO", **frames()), (9, 6), "RGB"),
    "turned by EXIF": (saved(COLOUR, "JPEG", exif=turned(6)), (6, 9), "RGB"),
    "turned to nowhere by EXIF": (saved(COLOUR, "JPEG", exif=turned(77)), (9, 6), "RGB"),
    "palette with a transparent entry": (saved(COLOUR.quantize(4), "PNG", transparency=1), (9, 6), "RGB"),
    "grey with alpha": (saved(GREY.convert("LA"), "PNG"), (9, 6), "L"),
    "colour with alpha": (saved(COLOUR.convert("RGBA"), "PNG"), (9, 6), "RGB"),
    "1-bit": (saved(GREY.convert("1"), "PNG"), (9, 6), "L"),
    "1-bit TIFF": (saved(GREY.convert("1"), "TIFF"), (9, 6), "L"),
}


@pytest.mark.parametrize("name", READ)
def test_odd_pictures_that_are_read(name: str):
    data, size, mode = READ[name]
    read = decode_picture(data)
    assert (read.size, read.mode) == (size, mode)


@pytest.mark.parametrize("name", ["animated GIF", "APNG", "animated WebP", "TIFF of several pages"])
def test_of_several_pictures_the_first_is_read(name: str):
    first = np.asarray(decode_picture(READ[name][0]).convert("RGB"), np.int16)
    assert np.abs(first - np.asarray(COLOUR, np.int16)).mean() < 40
    assert np.ptp(first) > 100  # the second one is flat


FLAT = zlib.compress(bytes(100_000))

REFUSED = {
    "nothing": (b"", "whole picture"),
    "text": (b"hello", "whole picture"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", "whole picture"),
    "EPS, which Pillow gives to Ghostscript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "whole",
    ),
    "PPM": (b"P6 2 2 255 " + bytes(12), "whole picture"),
    "PDF": (b"%PDF-1.4\n", "whole picture"),
    "30,000 x 30,000 px": (png(30_000, 30_000, FLAT), "more than 100 Mpx"),
    "30,000 x 30,000 px in one bit": (png(30_000, 30_000, FLAT, depth=1), "more than 100 Mpx"),
    "81 Mpx in some bytes": (png(9000, 9000, zlib.compress(b"")), "whole picture: .* bytes for 9000x9000 px"),
    "a PNG of no pixels": (png(0, 8, FLAT), "whole picture"),
    "a PNG of 2^31 pixels": (png(2**31 - 1, 1, FLAT), "more than 100 Mpx"),
    "cut off": (saved(COLOUR, "PNG")[:60], "whole picture"),
    "a cut JPEG": (saved(COLOUR, "JPEG")[:300], "whole picture"),
    "a cut TIFF": (saved(COLOUR, "TIFF")[:100], "whole picture"),
    "a wrong checksum": (saved(COLOUR, "PNG").replace(b"IHDR", b"IHDr"), "whole picture"),
    "a text that unpacks to 20 MB": (
        png(8, 8, FLAT, chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(20_000_000), 9))),
        "whole picture",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_pictures_that_are_refused(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(subprocess, "Popen", None)  # whoever starts a program fails
    data, words = REFUSED[name]
    tracemalloc.start()
    try:
        for reader in (decode_picture, lambda data: read_mask(data, Scheme(), OPTIONS)):
            with pytest.raises(GannotateError, match=words):
                reader(data)
        with pytest.raises(GannotateError, match=r"^mask: not a readable picture"):
            decode_label_map(data, 3, "mask")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_only_a_few_formats_are_opened():
    for form in ("PPM", "TGA", "ICO", "SGI", "PCX", "EPS", "PDF", "JPEG2000"):
        with pytest.raises(GannotateError, match="not a whole picture"):
            open_picture(saved(COLOUR, form))
    assert "EPS" not in FORMATS


def test_pictures_of_numbers_without_a_bound_or_a_value():
    for values, middle in (([0.0, np.nan, 1.0], 0), ([0.0, np.inf, 1.0], 0), ([-1e38, 0.0, 1e38], 128)):
        shown = np.asarray(decode_picture(saved(Image.fromarray(np.array([values], np.float32)), "TIFF")))
        assert shown.tolist() == [[0, middle, 255]]
    for flat in (np.nan, np.inf, 7.0):
        assert not np.asarray(decode_picture(saved(Image.fromarray(np.full((2, 2), flat, np.float32)), "TIFF"))).any()


def test_a_large_flat_mask_takes_a_few_bytes_a_pixel():
    """The file has some kB; what is read of it is honest, and what is made of it must not be ten times that."""
    side = 3000
    ids = np.zeros((side, side), np.uint8)
    ids[: side // 2] = 1
    packed = saved(Image.fromarray(ids), "PNG")
    assert len(packed) < 60_000
    tracemalloc.start()  # counts NumPy's memory, the picture's own one is Pillow's
    try:
        labels = read_mask(packed, Scheme(), OPTIONS)
        assert tracemalloc.get_traced_memory()[1] < 8 * ids.size
    finally:
        tracemalloc.stop()
    assert labels.classes == ("0", "1")
    assert (np.bincount(labels.label_map.ravel()) == [ids.size // 2] * 2).all()
