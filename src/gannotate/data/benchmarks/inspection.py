"""What of a benchmark is in a folder, what is missing or damaged, and how it looks: pictures under their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from gannotate.data.benchmarks.declaration import Benchmark
from gannotate.data.benchmarks.reading import BenchmarkSplit, LabelledPicture, load_benchmark, shared_names
from gannotate.data.benchmarks.tree import Told, silent
from gannotate.data.pictures import Skipped
from gannotate.errors import GannotateError
from gannotate.labels import IGNORE
from gannotate.viz import PAPER, contact_sheet, legend, overlay

LOOKED_AT = 8
"""Pictures of each split that are read and shown when not all are."""

THUMB_PX = 160

NAMED = 5
"""Missing files that are named; the others are counted."""


@dataclass(frozen=True)
class SplitReport:
    """What a folder has of one split.

    pictures: that the split should have, as far as the files tell. expected: as published. complete: with all files.
    missing: files of the others, the first few, and missing_files how many. looked_at: read from start to end.
    damaged: of those. pixels: of the read label maps by class name; `ignore` are those without a label. error: why the
    split cannot be listed at all. place: where its pictures lie, or are told.
    """

    name: str
    about: str
    labelled: bool
    pictures: int = 0
    expected: int | None = None
    complete: int = 0
    missing: tuple[str, ...] = ()
    missing_files: int = 0
    looked_at: int = 0
    damaged: tuple[Skipped, ...] = ()
    pixels: dict[str, int] | None = None
    error: str = ""
    place: str = ""

    @property
    def whole(self) -> bool:
        """Whether everything is there that was published, and all that was read is sound."""
        enough = self.expected is None or self.pictures == self.expected
        return not self.error and not self.damaged and 0 < self.pictures == self.complete and enough

    @property
    def unanswered(self) -> bool:
        """Whether labels were read, and are all background or 255: as when a mask has 255 where its class should be."""
        counts = list((self.pixels or {}).values())
        return bool(counts) and counts[-1] > 0 and not any(counts[1:-1])


@dataclass(frozen=True)
class Report:
    """What a folder has of a benchmark. shared: pictures that two splits have in common, by their names."""

    benchmark: str
    splits: tuple[SplitReport, ...]
    shared: dict[str, int]
    shown: tuple[tuple[str, tuple[LabelledPicture, ...]], ...]

    def as_dict(self) -> dict[str, Any]:
        """Ready for json."""
        splits = {one.name: {k: v for k, v in asdict(one).items() if k != "name"} for one in self.splits}
        for one in self.splits:
            splits[one.name]["whole"] = one.whole
        return {"benchmark": self.benchmark, "splits": splits, "shared": self.shared}


def inspect(benchmark: Benchmark, folder: str | Path, full: bool = False, told: Told = silent) -> Report:
    """Looks for the files of every split; reads some pictures of each, or all when `full`.

    Args:
        told: called while many files are looked through.

    Raises:
        UsageError: no such folder, or nothing of the dataset in it.
    """
    tree = benchmark.tree(folder)
    tree.told = told
    reports: list[SplitReport] = []
    loaded: list[BenchmarkSplit] = []
    shown: list[tuple[str, tuple[LabelledPicture, ...]]] = []
    for name, split in benchmark.splits.items():
        try:
            data = load_benchmark(benchmark, tree, name)
        except GannotateError as error:
            reports.append(SplitReport(name, split.about, split.labelled, expected=split.count, error=str(error)))
            continue
        report, seen = _inspect(data, full, told)
        reports.append(report)
        loaded.append(data)
        shown.append((name, seen))
    counted = {f"{a.name} and {b.name}": shared_names(a, b) for a, b in combinations(loaded, 2)}
    shared = {pair: count for pair, count in counted.items() if count}
    return Report(benchmark.name, tuple(reports), shared, tuple(shown))


def _inspect(data: BenchmarkSplit, full: bool, told: Told) -> tuple[SplitReport, tuple[LabelledPicture, ...]]:
    split = data.benchmark.splits[data.name]
    lacking = [item.missing() for item in data.items]
    files = [file for missing in lacking for file in missing]
    complete = [index for index, missing in enumerate(lacking) if not missing]
    chosen = complete if full else [complete[i] for i in _spread(len(complete), LOOKED_AT)]
    pixels, damaged, seen = np.zeros(256, np.int64), [], []
    some = {chosen[i] for i in _spread(len(chosen), LOOKED_AT)}
    for done, index in enumerate(chosen, 1):
        told(data.name, done, len(chosen))
        try:
            found = data[index]
        except GannotateError as error:
            damaged.append(Skipped(data.items[index].name, str(error)))
            continue
        pixels += np.bincount(found.label_map.ravel(), minlength=256)
        if index in some:
            seen.append(found)
    counted = dict(zip(data.benchmark.class_names, pixels.tolist(), strict=False)) | {"ignore": int(pixels[IGNORE])}
    report = SplitReport(
        name=data.name,
        about=split.about,
        labelled=split.labelled,
        pictures=len(data),
        expected=split.count,
        complete=len(complete),
        missing=tuple(files[:NAMED]),
        missing_files=len(files),
        looked_at=len(chosen),
        damaged=tuple(damaged),
        pixels=counted if split.labelled else None,
        place=data.benchmark.layout.place(split),
    )
    return report, tuple(seen)


def _spread(count: int, most: int) -> list[int]:
    """At most so many places, spread evenly over a list."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, most)).round()}) if count else []


def sheet(benchmark: Benchmark, report: Report) -> UInt8[np.ndarray, "h w 3"]:
    """Some pictures of every split, and below them the same under their labels; the classes' colours on the right.

    Raises:
        GannotateError: not one picture could be read.
    """
    strips = []
    for one, (name, seen) in zip([r for r in report.splits if not r.error], report.shown, strict=True):
        if not seen:
            continue
        count = f"{one.complete} pictures" + (f" of {one.expected}" if one.expected not in (None, one.complete) else "")
        strips.append(_heading(f"{name}: {count}", len(seen)))
        plain = [_thumb(found.picture, Image.Resampling.BOX) for found in seen]
        shown = plain
        if one.labelled:
            covered = [overlay(found.picture, found.label_map, benchmark.infos, 0.6) for found in seen]
            shown = plain + [_thumb(picture, Image.Resampling.BOX) for picture in covered]
        strips.append(contact_sheet(shown, len(seen), 4))
    if not strips:
        raise GannotateError(f"there is nothing to show: no picture of {benchmark.name} can be read")
    return _beside(_below(strips), legend(benchmark.infos))


def _thumb(picture: UInt8[np.ndarray, "h w c"], kind: Image.Resampling) -> UInt8[np.ndarray, "t t 3"]:
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("RGB")
    image.thumbnail((THUMB_PX, THUMB_PX), kind)
    paper = Image.new("RGB", (THUMB_PX, THUMB_PX), (PAPER,) * 3)
    paper.paste(image, ((THUMB_PX - image.width) // 2, (THUMB_PX - image.height) // 2))
    return np.asarray(paper, np.uint8)


def _heading(text: str, columns: int) -> UInt8[np.ndarray, "h w 3"]:
    font = ImageFont.load_default(size=16)
    strip = Image.new("RGB", (max(columns * THUMB_PX, round(font.getlength(text)) + 8), 28), (PAPER,) * 3)
    ImageDraw.Draw(strip).text((2, 14), text, fill=(0, 0, 0), font=font, anchor="lm")
    return np.asarray(strip, np.uint8)


def _below(strips: Sequence[UInt8[np.ndarray, "_h _w 3"]]) -> UInt8[np.ndarray, "h w 3"]:
    width = max(strip.shape[1] for strip in strips)
    return np.concatenate([_padded(strip, strip.shape[0], width) for strip in strips])


def _beside(left: UInt8[np.ndarray, "_a _b 3"], right: UInt8[np.ndarray, "_c _d 3"]) -> UInt8[np.ndarray, "h w 3"]:
    height = max(left.shape[0], right.shape[0])
    return np.concatenate([_padded(one, height, one.shape[1]) for one in (left, right)], axis=1)


def _padded(strip: UInt8[np.ndarray, "_h _w 3"], height: int, width: int) -> UInt8[np.ndarray, "h w 3"]:
    found = np.full((height, width, 3), PAPER, np.uint8)
    found[: strip.shape[0], : strip.shape[1]] = strip
    return found
