"""Pictures and masks of every kind, alone, in zips, and in videos."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.fuzz.archives import packed
from bench.fuzz.target import Target, put
from gannotate.data.formats.base import ReadOptions
from gannotate.data.formats.raster import Scheme, read_mask
from gannotate.data.labelled import read_labelled
from gannotate.data.pictures import MAX_PIXELS, PictureSource, decode_picture, load_pictures
from gannotate.data.real_pictures import read_real, survey
from gannotate.data.video import VideoEncoder, read_video, video_info
from gannotate.data.writing import encode_picture
from gannotate.errors import GannotateError
from gannotate.labels import decode_label_map, encode_label_map, make_classes

CLASSES = make_classes(["background", "left", "right"])
OPTIONS = ReadOptions(classes=CLASSES)
RANDOM = np.random.default_rng(0)

BYTES_A_PIXEL = 20
"""Memory that reading a picture may take for each pixel that it claims, up to MAX_PIXELS."""

FRAMES = 3
"""Of a video, those that are read."""


def noise(width: int = 8, height: int = 8, channels: int = 3) -> np.ndarray:
    """A picture, uint8 (h, w, c)."""
    return RANDOM.integers(0, 256, (height, width, channels)).astype(np.uint8)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """A picture file."""
    buffer = io.BytesIO()
    image.copy().save(buffer, form, **options)  # a copy: Pillow leaves the settings of a JPEG on a picture
    return buffer.getvalue()


def frames() -> dict[str, Any]:
    """Options that make a picture file one of three frames."""
    return {"save_all": True, "append_images": [Image.fromarray(noise()) for _ in range(2)]}


def picture_files() -> dict[str, list[bytes]]:
    """Pictures of all modes and kinds that our readers know, by a file name."""
    colour = Image.fromarray(noise())
    grey, ids = colour.convert("L"), Image.fromarray(RANDOM.integers(0, 3, (8, 8)).astype(np.uint8))
    deep = Image.fromarray(np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16))
    palette = colour.quantize(4)
    clear = palette.copy()
    clear.info["transparency"] = 1
    turned = Image.Exif()
    turned[0x0112] = 6
    modes = [colour, grey, ids, deep, palette, colour.convert("1"), colour.convert("LA"), colour.convert("RGBA")]
    return {
        "a.png": [saved(one, "PNG") for one in modes]
        + [saved(clear, "PNG", transparency=1), saved(colour, "PNG", exif=turned), saved(colour, "PNG", **frames())],
        "a.jpg": [saved(one, "JPEG") for one in (colour, grey, colour.convert("CMYK"))]
        + [
            saved(colour, "JPEG", exif=turned),
            saved(colour, "JPEG", progressive=True),
            saved(colour, "MPO", **frames()),
        ],
        "a.gif": [saved(palette, "GIF"), saved(colour, "GIF", **frames())],
        "a.bmp": [saved(one, "BMP") for one in (colour, grey, palette, colour.convert("1"))],
        "a.tif": [saved(one, "TIFF") for one in (*modes, grey.convert("F"), colour.convert("CMYK"))]
        + [saved(colour, "TIFF", compression=how) for how in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")]
        + [saved(colour, "TIFF", big_tiff=True), saved(colour, "TIFF", **frames())],
        "a.webp": [saved(colour, "WEBP"), saved(colour, "WEBP", lossless=True), saved(colour, "WEBP", **frames())],
    }


def claimed_mb(kind: str, data: bytes) -> float:
    """Memory for the pixels that a picture file says it has, as far as these are taken at all."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = Image.open(io.BytesIO(data)).size
    except Exception:  # whatever Pillow says
        return 0.0
    return min(width * height, MAX_PIXELS) * BYTES_A_PIXEL / (1 << 20)


def both(*reads: Callable[[], object]) -> None:
    """Calls all; the first of our errors is raised when all were called."""
    errors = []
    for read in reads:
        try:
            read()
        except GannotateError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def picture(folder: Path) -> Target:
    """One picture file."""
    return Target(
        about="data.pictures.decode_picture",
        seeds=picture_files(),
        read=lambda kind, data: decode_picture(data),
        allowed_mb=claimed_mb,
    )


def mask(folder: Path) -> Target:
    """One mask file."""
    ids = RANDOM.integers(0, 3, (8, 8)).astype(np.uint8)
    files = picture_files()
    files["a.png"] += [encode_label_map(ids, CLASSES)] * 4

    def read(kind: str, data: bytes) -> None:
        both(lambda: read_mask(data, Scheme(), OPTIONS), lambda: decode_label_map(data, len(CLASSES), "mask"))

    return Target(
        about="data.formats.raster.read_mask, labels.decode_label_map",
        seeds=files,
        read=read,
        allowed_mb=claimed_mb,
    )


def pictures(folder: Path) -> Target:
    """Folders and zips of pictures, and of pictures with masks."""
    ids = RANDOM.integers(0, 3, (8, 8)).astype(np.uint8)
    plain = packed([("a.png", encode_picture(noise())), ("b/c.jpg", saved(Image.fromarray(noise()), "JPEG"))])
    labelled = [(f"images/{name}.png", encode_picture(noise())) for name in "ab"]
    labelled += [(f"masks/{name}.png", encode_label_map(ids, CLASSES)) for name in "ab"]

    def read(kind: str, data: bytes) -> None:
        path = put(folder, kind, data)
        if kind == "labelled.zip":
            return both(lambda: read_labelled(path, len(CLASSES)), lambda: read_labelled(path, len(CLASSES), size=8))
        both(lambda: load_pictures(path), lambda: survey(path, None, True), lambda: _real(path))

    return Target(
        about="data.pictures.load_pictures, data.labelled.read_labelled, data.real_pictures",
        seeds={"pictures.zip": [plain], "labelled.zip": [packed(labelled)]},
        read=read,
    )


def _real(path: Path) -> None:
    source = PictureSource(path)
    list(read_real(source, source.names, 8, 3, crop=True))


def video(folder: Path) -> Target:
    """Videos; the decoders are FFmpeg's."""
    encoder = VideoEncoder(Fraction(5))
    for _ in range(FRAMES):
        encoder.add(noise(16, 16))

    def read(kind: str, data: bytes) -> None:
        path = put(folder, kind, data)
        both(lambda: video_info(path), lambda: list(islice(read_video(path), FRAMES)))

    return Target(
        about="data.video.read_video",
        seeds={"a.mp4": [encoder.finish()], "a.avi": [avi()]},
        read=read,
        allowed_mb=lambda kind, data: MAX_PIXELS * BYTES_A_PIXEL / (1 << 20),
    )


def avi(side: int = 16) -> bytes:
    """A video of one uncompressed frame: RIFF, in lists of chunks."""

    def part(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    def listed(name: bytes, *parts: bytes) -> bytes:
        return part(b"LIST", name + b"".join(parts))

    frame = noise(side, side).tobytes()
    head = struct.pack("<14I", 200_000, 0, 0, 16, 1, 0, 1, len(frame), side, side, 0, 0, 0, 0)
    stream = b"vids\0\0\0\0" + struct.pack("<IHHIIIIIIII4H", 0, 0, 0, 0, 1, 5, 0, 1, len(frame), 0, 0, 0, 0, side, side)
    form = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, len(frame), 0, 0, 0, 0)
    lists = listed(b"hdrl", part(b"avih", head), listed(b"strl", part(b"strh", stream), part(b"strf", form)))
    return part(b"RIFF", b"AVI " + lists + listed(b"movi", part(b"00db", frame)))


TARGETS = {"picture": picture, "mask": mask, "pictures-zip": pictures, "video": video}
