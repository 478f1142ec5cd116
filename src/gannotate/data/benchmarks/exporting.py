"""A split of a benchmark as a folder or zip of images/ and masks/, which every verb takes that wants labelled pictures.

    images/NAME.png  masks/NAME.png  classes.json  benchmark.json

Reading a public dataset takes twenty masks a picture, or a MATLAB file: it is done once, at the size that is learned
from, and what was left out is said once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gannotate.data.benchmarks.reading import BenchmarkSplit
from gannotate.data.formats.files import Files
from gannotate.data.formats.palette import NAMES, names_json
from gannotate.data.pictures import Skipped
from gannotate.data.writing import encode_picture, new_pictures
from gannotate.errors import GannotateError
from gannotate.labels import encode_label_map
from gannotate.parsing import load_json

ABOUT = "benchmark.json"


@dataclass(frozen=True)
class Exported:
    """What was written."""

    pictures: int
    skipped: tuple[Skipped, ...]


def export_split(data: BenchmarkSplit, out: str | Path, told: Callable[[int], object] = lambda done: None) -> Exported:
    """Writes the pictures of a split, one at a time; the folder or zip appears whole or not at all.

    Args:
        out: new folder, or new zip when it ends with .zip. told: called with the number of pictures so far.

    Raises:
        UsageError: `out` exists. GannotateError: not one picture can be read.
    """
    written, labelled = 0, data.benchmark.splits[data.name].labelled
    with new_pictures(out) as add:
        for picture in data:
            add(f"images/{picture.name}.png", encode_picture(picture.picture))
            if labelled:
                add(f"masks/{picture.name}.png", encode_label_map(picture.label_map, data.benchmark.infos))
            written += 1
            told(written)
        if not written:
            first = f": {data.skipped[0].name}: {data.skipped[0].reason}" if data.skipped else ""
            none = f"none of the {len(data)} pictures of {data.name} can be read{first}"
            raise GannotateError(none if len(data) else f"the folder has no picture of {data.name}; see `data check`")
        add(NAMES, names_json(data.benchmark.infos))
        add(ABOUT, json.dumps(_about(data, written), indent=1).encode())
    return Exported(written, tuple(data.skipped))


def _about(data: BenchmarkSplit, written: int) -> dict[str, object]:
    benchmark = data.benchmark
    return {
        "benchmark": benchmark.name,
        "split": data.name,
        "protocol": benchmark.protocol,
        "size_px": data.size_px,
        "label_source": data.label_source,
        "pictures": written,
        "skipped": len(data.skipped),
        "paper": benchmark.paper,
        "licence": benchmark.licence,
        "attribution": benchmark.attribution,
        "notes": list(benchmark.notes),
    }


def protocol_of(path: str | Path) -> str | None:
    """The name of the protocol of an exported split; None for any other folder or zip of labelled pictures."""
    try:
        files = Files(path)
        about = load_json(files.read(ABOUT)) if ABOUT in files else {}
    except (GannotateError, ValueError):
        return None
    found = about.get("protocol") if isinstance(about, dict) else None
    return found if isinstance(found, str) else None
