"""The labels of a project as a zip, in any format that `data/formats` writes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from gannotate.annotate.exporting import read_pool_picture
from gannotate.annotate.store import Store
from gannotate.data.formats.base import Picture
from gannotate.data.formats.build import FORMATS, FormatName, load_format
from gannotate.data.writing import new_pictures
from gannotate.errors import UsageError

NAMES: tuple[FormatName, ...] = tuple(name for name in FORMATS if name != "folder")
"""What the page offers: `folder` is only another name of `palette`."""


def export_zip(store: Store, format: FormatName) -> tuple[bytes, list[str]]:
    """A zip of every labelled pool picture and its labels; and sentences on what the format could not hold.

    Raises:
        UsageError: nothing is labelled. GannotateError: a picture or label map that cannot be read.
    """
    store.check_readable()
    if not store.labelled():
        raise UsageError("nothing is labelled yet; label a picture first")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.zip"
        with new_pictures(path) as add:
            told = load_format(format).write(add, _labelled(store), store.project.classes)
        return path.read_bytes(), told


def _labelled(store: Store) -> Iterator[Picture]:
    labelled = store.labelled()
    for one in store.project.pool("any"):
        if one.seed in labelled:  # through the store: its map is settled, and another tab may be saving
            pixels = read_pool_picture(store.project, one.seed)
            yield Picture(one.name, pixels, store.load(one.seed).label_map)
