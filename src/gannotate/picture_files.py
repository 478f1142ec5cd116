"""Opening picture files that anybody may have made: of the few formats that are read here, and of a bearable size."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator

from PIL import (  # noqa: F401 (they tell Pillow of themselves; else it loads all that it has at the first picture)
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from gannotate.errors import GannotateError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "TIFF", "WEBP")
"""Pillow's names; JPEG includes MPO. It knows dozens more, one of which hands the file to another program (EPS, to
Ghostscript)."""

MAX_PIXELS = 100_000_000
"""A picture with more pixels is refused: it would fill the memory."""

SMALL, PIXELS_A_BYTE = 4_000_000, 50_000
"""A picture of more pixels than SMALL that has more than so many for each byte of its file is refused: it claims them
only. One of a single colour has 8,000 in a PNG and 24,000 in a WebP."""


def lossy_kind(image: Image.Image, data: bytes) -> str | None:
    """What changed the values of an opened picture near edges, whatever its file is called: "JPEG", "lossy WebP"; None.

    data: the file's bytes.
    """
    if image.format in ("JPEG", "MPO") or "jpeg" in str(image.info.get("compression", "")):
        return "JPEG"
    return "lossy WebP" if image.format == "WEBP" and b"VP8 " in _riff_chunks(data, 12) else None


def _riff_chunks(data: bytes, begin: int) -> Iterator[bytes]:
    """The names of a WebP's chunks, and of those in the frames of an animated one."""
    while begin + 8 <= len(data):
        name, size = data[begin : begin + 4], int.from_bytes(data[begin + 4 : begin + 8], "little")
        yield name
        # a frame is 16 bytes of its place, then chunks; any other chunk is passed, to the next even byte
        begin += 8 + (16 if name == b"ANMF" else size + size % 2)


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Pillow warns on large pictures, and on odd ones that it can read; the first are refused here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def open_picture(data: bytes, load: bool = True) -> Image.Image:
    """The picture, or the first one of several, as it is stored; without `load` its pixels are not read yet.

    Raises:
        GannotateError: not of these formats, not whole, or with more pixels than MAX_PIXELS or than its bytes can
            hold; the reason begins behind the picture's name, and no memory was taken for the pixels.
    """
    try:
        with without_warnings():
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            pixels = image.width * image.height
            if pixels > MAX_PIXELS:
                raise GannotateError(f"{image.width}x{image.height} px is more than {MAX_PIXELS // 10**6} Mpx")
            if pixels > max(SMALL, PIXELS_A_BYTE * len(data)):
                raise GannotateError(f"not a whole picture: {len(data)} bytes for {image.width}x{image.height} px")
            if load:
                image.load()
    except GannotateError:
        raise
    except Image.DecompressionBombError as error:
        raise GannotateError(f"more than {MAX_PIXELS // 10**6} Mpx ({error})") from error
    except Exception as error:  # Pillow raises many kinds on a broken file
        reason = str(error).split(" <_io.")[0]  # Pillow names the buffer that it was given, which nobody knows
        raise GannotateError(f"not a whole picture ({reason})") from error
    return image
