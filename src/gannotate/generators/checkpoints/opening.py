"""Which foreign format a file has, told by its content and never by its name."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gannotate.errors import GannotateError, UsageError
from gannotate.generators.checkpoints import official, rosinality, saic, stylegan1, tensorflow
from gannotate.generators.checkpoints.plan import Plan
from gannotate.generators.checkpoints.stream import Holder, Unreadable, shown
from gannotate.generators.checkpoints.torch_files import is_legacy, is_zip, read_pickle, read_torch

FORMATS = (official, tensorflow, rosinality, saic, stylegan1)
"""Each has `looks_like(root)`, `read(root)` and the format's name, KIND."""

KNOWN = (
    "NVIDIA's .pkl of stylegan2-ada-pytorch, stylegan3 or StyleGAN2's TensorFlow code, rosinality's .pt, saic-vul's "
    ".tar, and StyleGAN1's .pt"
)

STRANGERS = (
    (0, b"version https://git-lfs", "is a Git LFS pointer, not the file itself; get it with `git lfs pull`"),
    (0, b"\x89HDF", "is an HDF5 file"),
    (0, b"\x89PNG", "is a picture"),
    (0, b"\xff\xd8\xff", "is a picture"),
    (0, b"\x1f\x8b", "is compressed with gzip; unpack it first"),
    (0, b"7z\xbc\xaf", "is compressed with 7-Zip; unpack it first"),
    (0, b"\x93NUMPY", "is a NumPy array; give it as --average-latent beside the generator's file"),
    (257, b"ustar", "is a tar archive; unpack it and give the checkpoint inside"),
    (8, b"{", "is a safetensors file, which no public generator comes in"),
)
"""Files that are easily taken for a checkpoint: where their mark is, the mark, what to say."""


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[memoryview]:
    """The file's bytes, mapped and not loaded.

    Raises:
        UsageError: there is no such file. GannotateError: it is empty or cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the checkpoint's file")
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise GannotateError(f"{path} is empty; download it again")
            # never closed by hand: views of it may live on in an error's traceback; the last one takes it along
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist; give a checkpoint's file: {KNOWN}") from error
    except OSError as error:
        raise GannotateError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        yield memoryview(mapped)
    except Unreadable as error:
        raise GannotateError(f"{path} {error}") from error


def plan_of(data: memoryview) -> Plan:
    """The generator in a foreign file, recognised and renamed; its numbers are not read yet.

    Raises:
        Unreadable: no known format, damaged, or refused.
    """
    _check_strangers(data)
    root = read_torch(data) if is_zip(data) or is_legacy(data) else _pickle(data)
    for form in FORMATS:
        if form.looks_like(root):
            return form.read(root)
    raise Unreadable(f"holds {_described(root)}, which is no generator in a known format; known are {KNOWN}")


def _pickle(data: memoryview) -> Any:
    try:
        return read_pickle(data)
    except Unreadable as error:
        # before protocol 2 a pickle has no mark, so anything may end here
        if data[0] == 0x80 or "refused" in str(error):
            raise
        raise Unreadable(f"is in no known format, or cut off; known are {KNOWN}") from error


def _check_strangers(data: memoryview) -> None:
    for place, mark, sentence in STRANGERS:
        if bytes(data[place : place + len(mark)]) == mark and not (mark == b"{" and data[7] != 0):
            raise Unreadable(f"{sentence}; known are {KNOWN}")
    if bytes(data[:200]).lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise Unreadable("is a web page, not a checkpoint; download the file itself")


def _described(root: Any) -> str:
    if isinstance(root, Holder):
        return f"an object of the class {shown(root.name)}"
    if isinstance(root, Mapping):
        names = [repr(shown(name)) for name in list(root)[:6]]
        more = f" and {len(root) - 6} more" if len(root) > 6 else ""
        return f"a dictionary with {', '.join(names)}{more}" if names else "an empty dictionary"
    return f"a {shown(root)}"
