"""Writing pictures: PNG bytes, and folders or zips of them that appear whole or not at all."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

from gannotate.errors import GannotateError, UsageError
from gannotate.files import appearing, atomic_write, disk_error

Add = Callable[[str, bytes], None]
"""Adds a file: its name inside, e.g. images/7.png, and its bytes."""


def encode_picture(picture: np.ndarray) -> bytes:
    """PNG bytes of a picture, uint8 (h, w, 1, 3 or 4: the last its opacity)."""
    buffer = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(buffer, "PNG")
    return buffer.getvalue()


def check_new(path: str | Path) -> Path:
    """Checks that `path` can become a new folder or zip.

    Raises:
        UsageError: it exists and is not an empty folder.
    """
    path = Path(path)
    if path.exists() and (path.is_file() or any(path.iterdir())):
        raise UsageError(f"{path} exists and is not an empty folder; give a new name to --out")
    return path


@contextlib.contextmanager
def new_pictures(path: str | Path) -> Iterator[Add]:
    """Opens a new folder, or a new zip when `path` ends with .zip; it appears whole at the end or not at all.

    Raises:
        UsageError: `path` exists. GannotateError: the disk is full.
    """
    path = check_new(path)
    writing = _new_zip(path) if path.suffix.lower() == ".zip" else _new_folder(path)
    try:
        with writing as add:
            yield partial(_add_inside, add)
    except OSError as error:
        raise disk_error(error, path) from error


def _add_inside(add: Add, name: str, data: bytes) -> None:
    """Raises GannotateError for a name that leads out of the folder; else adds the file."""
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts or "\\" in name:
        raise GannotateError(f"a picture is called {name!r}, which leads out of the folder; give it another name")
    add(name, data)


@contextlib.contextmanager
def _new_zip(path: Path) -> Iterator[Add]:
    # pictures are compressed already: stored, they are read faster
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        yield archive.writestr


@contextlib.contextmanager
def _new_folder(path: Path) -> Iterator[Add]:
    with appearing(path) as building:

        def add(name: str, data: bytes) -> None:
            target = building / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

        yield add
