"""A split of a benchmark, read one picture at a time: the datasets are far larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gannotate.data.benchmarks.declaration import LARGEST_PX, Benchmark, find_benchmark
from gannotate.data.benchmarks.items import Item
from gannotate.data.benchmarks.tree import Tree
from gannotate.data.labelled import LabelledSet, resize_picture
from gannotate.data.pictures import Skipped
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE
from gannotate.parsing import DAMAGED, load_json

LABELLED_BY = "labels.json"
"""Says which network made the labels of a folder, see `labelling`."""


@dataclass(frozen=True)
class LabelledPicture:
    """One picture uint8 (h, w, c) with its label map uint8 (h, w); 255 everywhere in a split without labels."""

    name: str
    picture: UInt8[np.ndarray, "h w c"]
    label_map: UInt8[np.ndarray, "h w"]


@dataclass
class BenchmarkSplit:
    """The pictures of one split at the benchmark's size; nothing is read before it is asked for.

    Going through it leaves out what cannot be read, and lists it in `skipped` (of the last time).
    """

    benchmark: Benchmark
    name: str
    items: tuple[Item, ...]
    size_px: int
    channels: int = 3
    label_source: str = "dataset"
    """Whose labels they are: the dataset's, or `network NAME`'s (see `gannotate data label`)."""
    skipped: list[Skipped] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> LabelledPicture:
        """One picture.

        Raises:
            GannotateError: a file is missing or damaged, or does not fit the others; names it.
        """
        item = self.items[index]
        image = item.picture().convert("L" if self.channels == 1 else "RGB")
        labels = item.label_map() if item.label_map else np.full((image.height, image.width), IGNORE, np.uint8)
        _check_shape(item.name, image, labels)
        width, height = self._size(image)
        small = Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST)
        picture = np.asarray(resize_picture(image, width, height), np.uint8).reshape(height, width, self.channels)
        label_map = np.asarray(small, np.uint8)
        if self.benchmark.fit == "pad":
            picture, label_map = _in_a_square(picture, 0), _in_a_square(label_map, IGNORE)
        return LabelledPicture(item.name, picture, label_map)

    def __iter__(self) -> Iterator[LabelledPicture]:
        self.skipped = []
        for index, item in enumerate(self.items):
            try:
                found = self[index]
            except GannotateError as error:
                self.skipped.append(Skipped(item.name, str(error)))
                continue
            yield found

    def first(self, count: int | None) -> BenchmarkSplit:
        """The first so many pictures: the papers' few-label sets are the first ones of the training pictures.

        Raises:
            UsageError: fewer pictures than that.
        """
        if count is None:
            return self
        if not 1 <= count <= len(self):
            there = f"{self.name} of {self.benchmark.name} has {len(self)}"
            raise UsageError(f"{count} pictures were asked for, {there}; give 1 to {len(self)}")
        places = sorted(range(len(self)), key=lambda place: self.items[place].rank)[:count]
        return replace(self, items=tuple(self.items[place] for place in sorted(places)), skipped=[])

    def in_memory(self) -> LabelledSet:
        """All pictures at once.

        Raises:
            GannotateError: none can be read, or they have several sizes (fit `short-side`).
        """
        read = list(self)
        if not read:
            first = f", the first: {self.skipped[0].name}: {self.skipped[0].reason}" if self.skipped else ""
            raise GannotateError(f"none of the {len(self)} pictures of {self.name} can be used{first}")
        shapes = sorted({one.label_map.shape for one in read})
        if len(shapes) > 1:
            raise GannotateError(
                f"the pictures of {self.name} have {len(shapes)} sizes, as {self.benchmark.name} scales their shorter "
                "side; go through them one at a time, or export them"
            )
        return LabelledSet(
            tuple(one.name for one in read),
            np.stack([one.picture for one in read]),
            np.stack([one.label_map for one in read]),
            skipped=tuple(self.skipped),
        )

    def _size(self, image: Image.Image) -> tuple[int, int]:
        if self.benchmark.fit == "stretch":
            return self.size_px, self.size_px
        if self.benchmark.fit == "pad":
            width, height = (max(1, side * self.size_px // max(image.size)) for side in image.size)
            return width, height
        short = min(image.size)
        width, height = (max(self.size_px, side * self.size_px // short) for side in image.size)
        return width, height


def load_benchmark(
    name: str | Benchmark, folder: str | Path | Tree, split: str, size: int | None = None, channels: int = 3
) -> BenchmarkSplit:
    """A split of a benchmark from the folder that its dataset was unpacked in.

    Args:
        name: of a benchmark (see `gannotate data benchmarks`), FILE.yaml, or FILE.yaml:NAME.
        folder: or its `Benchmark.tree`, by which several splits read what they share once.
        size: side in px; the benchmark's own when not given.
        channels: 3 (RGB) or 1 (grey).

    Raises:
        UsageError: no such benchmark, split or folder, a size that is not 8 to 1024 px, or another number of channels.
            GannotateError: a list of the split is damaged.
    """
    benchmark = find_benchmark(name) if isinstance(name, str) else name
    chosen = benchmark.split(split)
    size = benchmark.size_px if size is None else size
    if not 8 <= size <= LARGEST_PX or channels not in (1, 3):
        raise UsageError(
            f"size {size} px with {channels} channel(s) was asked for; give 8 to {LARGEST_PX} px, and 1 or 3"
        )
    tree = folder if isinstance(folder, Tree) else benchmark.tree(folder)
    items = benchmark.layout.items(tree, chosen, benchmark.source, benchmark.merge)
    source = _label_source(tree) if chosen.labelled else "dataset"
    return BenchmarkSplit(benchmark, split, tuple(items), size, channels, source)


def shared_names(first: BenchmarkSplit, second: BenchmarkSplit) -> int:
    """How many pictures two splits of a benchmark have in common, by their names; 0 where each has its own folder."""
    one, other = (data.benchmark.splits[data.name] for data in (first, second))
    if (one.folder, one.pictures) != (other.folder, other.pictures):
        return 0  # equal names mean nothing
    return len({item.name for item in first.items} & {item.name for item in second.items})


def _in_a_square(array: UInt8[np.ndarray, "h w *c"], bars: int) -> UInt8[np.ndarray, "s s *c"]:
    """The array in the middle of a square of `bars`."""
    height, width = array.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.full((side, side, *array.shape[2:]), bars, np.uint8)
    square[top : top + height, left : left + width] = array
    return square


def _label_source(tree: Tree) -> str:
    if not tree.has(LABELLED_BY):
        return "dataset"
    try:
        return f"network {load_json(tree.read(LABELLED_BY))['network']}"
    except DAMAGED as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise GannotateError(f"{LABELLED_BY} is damaged ({reason}); it tells which network made the labels") from error


def _check_shape(name: str, image: Image.Image, labels: np.ndarray) -> None:
    height, width = labels.shape
    if image.width * height != image.height * width:
        raise GannotateError(
            f"the picture of {name} is {image.width}x{image.height} px and its labels are {width}x{height}; they must "
            "be of one shape"
        )
