"""Writing with one format and reading back with it, as an import does but without a project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from gannotate.data.formats.base import Entry, Picture, ReadOptions
from gannotate.data.formats.build import FormatName, load_format
from gannotate.data.formats.files import Files
from gannotate.data.writing import new_pictures
from gannotate.labels import make_classes

CLASSES = make_classes(["background", "left", "right ear"])

OPTIONS = ReadOptions(classes=CLASSES)


RoundTrip = Callable[[FormatName, Sequence[np.ndarray], Path], tuple[list[Entry], list[str]]]


@pytest.fixture(scope="session")
def round_trip() -> RoundTrip:
    """Writes label maps with made-up pictures to a path, and reads the entries; gives the writer's notes too."""

    def done(name: FormatName, label_maps: Sequence[np.ndarray], out: Path) -> tuple[list[Entry], list[str]]:
        kind = load_format(name)
        pictures = [
            Picture(f"p-{place}", np.full((*label_map.shape, 1), 9 * place, np.uint8), label_map)
            for place, label_map in enumerate(label_maps)
        ]
        with new_pictures(out) as add:
            notes = kind.write(add, iter(pictures), CLASSES)
        entries = sorted(kind.read(Files(out), OPTIONS), key=lambda entry: entry.name)
        return entries, notes

    return done
