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

LOSSY = ("JPEG", "MPO")
"""Pillow's names of the formats that change values on their way."""

SMALL, PIXELS_A_BYTE = 4_000_000, 50_000
"""A picture of more pixels than SMALL that has more than so many for each byte of its file is refused: it claims them
only. One of a single colour has 8,000 in a PNG and 24,000 in a WebP."""


def is_lossy(image: Image.Image) -> bool:
    """Whether an opened picture went through JPEG, whatever its file is called: values near edges are others now."""
    return image.format in LOSSY or "jpeg" in str(image.info.get("compression", ""))


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
