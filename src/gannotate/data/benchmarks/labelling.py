"""Labels of a folder of pictures by a ready network: masks/NAME.png for images/NAME.*, and labels.json that says whose.

Such labels are answers, not truth: `labels.json` goes with them, and a score on them says how near one network is to
another.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gannotate.data.benchmarks.classes import network_lookup
from gannotate.data.benchmarks.declaration import Benchmark
from gannotate.data.benchmarks.layouts import Pairs
from gannotate.data.benchmarks.layouts.pairs import check_apart
from gannotate.data.benchmarks.networks import Labeller
from gannotate.data.benchmarks.reading import LABELLED_BY
from gannotate.data.pictures import PictureSource, Skipped
from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_json
from gannotate.labels import IGNORE, write_label_map


@dataclass(frozen=True)
class Labelled:
    """One picture that is done: written, kept from before, or skipped with a reason."""

    name: str
    done: int
    total: int
    kept: bool = False
    skipped: Skipped | None = None


def class_use(benchmark: Benchmark, labeller: Labeller) -> dict[str, list[str]]:
    """Which of a network's classes become which of the benchmark's; `ignore` are those that become none."""
    lookup = network_lookup(labeller.labels, benchmark.merge)
    used: dict[str, list[str]] = {name: [] for name in (*benchmark.class_names, "ignore")}
    for index, label in enumerate(labeller.labels):
        found = int(lookup[index])
        used["ignore" if found == IGNORE else benchmark.class_names[found]].append(label)
    return used


def label_pictures(
    benchmark: Benchmark, folder: str | Path, labeller: Labeller, network: str, sha256: str, replace: bool = False
) -> Iterator[Labelled]:
    """Labels the pictures in images/ one at a time; masks that the same network made before are kept.

    Args:
        network: what it is called in labels.json. sha256: of its weights. replace: make all masks anew; those that are
            there go to masks-1, or masks-2, ...

    Raises:
        UsageError: the benchmark is not labelled by a network, no pictures, masks of another origin and not
            `replace`, or a class that is none of the network's. GannotateError: two pictures of one name.
    """
    if not isinstance(benchmark.layout, Pairs) or any(
        split.pictures[:7] != "images/" for split in benchmark.splits.values()
    ):
        raise UsageError(f"{benchmark.name} has labels of its own; networks label ffhq-hair and the lsun benchmarks")
    folder = Path(folder)
    source, used = PictureSource(folder, under="images"), class_use(benchmark, labeller)
    check_apart([name.removeprefix("images/") for name in source.names], "images")
    empty = [name for name in benchmark.class_names[1:] if not used[name]]
    if empty:
        raise UsageError(
            f"the network has no class for {', '.join(empty)} of {benchmark.name}; it has "
            f"{', '.join(labeller.labels[:8])}{', ...' if len(labeller.labels) > 8 else ''}"
        )
    about = {"benchmark": benchmark.name, "network": network, "sha256": sha256}
    _check_origin(folder, about, replace)
    if replace:
        _set_aside(folder / "masks")
    write_json(folder / LABELLED_BY, about | {"classes": used, "made_by": "network"})
    lookup = network_lookup(labeller.labels, benchmark.merge)
    for done, name in enumerate(source.names, 1):
        stem = Path(name).relative_to("images").with_suffix("").as_posix()
        target = folder / "masks" / f"{stem}.png"
        if target.exists():
            yield Labelled(stem, done, len(source.names), kept=True)
            continue
        try:
            picture = np.asarray(source.read(name).convert("RGB"), np.uint8)
        except GannotateError as error:
            yield Labelled(stem, done, len(source.names), skipped=Skipped(name, str(error)))
            continue
        write_label_map(target, lookup[labeller(picture)], benchmark.infos)
        yield Labelled(stem, done, len(source.names))


def _set_aside(masks: Path) -> None:
    # not one by one: a run that is cut off would leave masks of two networks in one folder
    if masks.exists():
        number = next(n for n in itertools.count(1) if not masks.with_name(f"{masks.name}-{n}").exists())
        masks.rename(masks.with_name(f"{masks.name}-{number}"))


def _check_origin(folder: Path, about: dict[str, str], replace: bool) -> None:
    """Masks of several origins never mix: a score on them would mean nothing."""
    if replace or not any((folder / "masks").glob("**/*.png")):
        return
    try:
        before = json.loads((folder / LABELLED_BY).read_text())
        same = all(before.get(key) == value for key, value in about.items() if key != "network")
    except (OSError, ValueError, AttributeError):
        before, same = {}, False
    if not same:
        whose = (
            f"by {before['network']} for {before['benchmark']}"
            if {"network", "benchmark"} <= before.keys()
            else "by somebody"
        )
        raise UsageError(f"{folder}/masks has label maps already, made {whose}; add --replace to set them aside")
