"""A segmenter's training step: ours against the plain loop that every tutorial shows.

The plain loop reads PNG files through a DataLoader, moves each picture by itself (Pillow), and takes AdamW's steps
on the same network. Ours keeps the pictures in memory as uint8, moves a batch at once, runs channels-last and keeps
averaged weights besides. Run by bench/all.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from decoder_fit import patches
from measure import How, Work
from naive import learn
from parts import CLASSES, OURS, SIZES, Part, smaller_batches
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gannotate.data.labelled import LabelledSet
from gannotate.labels import IGNORE
from gannotate.segmenters.build import SegmenterConfig, build_network
from gannotate.segmenters.sources import Stored
from gannotate.segmenters.supervised import SegmenterTrainer, SegmenterTraining

PICTURES = 32


def prepare(way: str, how: How, size: int, classes: int, batch: int) -> Work:
    """One step of a U-Net on ResNet-18 from random weights, label maps only."""
    data, config = labelled(size, classes), SegmenterConfig(classes=classes, image_channels=3, size=size)
    if way == OURS:
        trainer = SegmenterTrainer(Stored(data), config, SegmenterTraining(steps=1000, batch=batch), how.device)
        return Work([(lambda: trainer.step(500), 1)], units=batch)
    network = build_network(config).to(how.device).train()
    optimizer = torch.optim.AdamW(network.parameters(), 0.002, weight_decay=0.01)
    batches = endless(DataLoader(Files(data), batch, shuffle=True, drop_last=True))

    def step() -> None:
        pictures, label_maps = (tensor.to(how.device) for tensor in next(batches))
        learn(optimizer, F.cross_entropy(network(pictures), label_maps, ignore_index=IGNORE))

    return Work([(step, 1)], units=batch)


PART = Part(
    title="Training a segmenter",
    unit="picture",
    ways={OURS: "in memory, moved as a batch, channels last, averaged", "plain": "PNG files, DataLoader, Pillow"},
    prepare=prepare,
    cases=[{"size": 64, "classes": 11, "batch": 16}],
    growth={"size": SIZES, "classes": CLASSES},
    quick={"classes": 2},
    adjust=smaller_batches,
)


def labelled(size: int, classes: int) -> LabelledSet:
    """Pictures of coloured patches under a little noise, and what the patches are."""
    label_maps = np.stack([patches(size, classes, seed) for seed in range(PICTURES)])
    colours = np.random.default_rng(0).integers(16, 240, (classes, 3))
    noise = np.random.default_rng(1).integers(0, 16, (PICTURES, size, size, 1))
    return LabelledSet(
        tuple(map(str, range(PICTURES))), (colours[label_maps] + noise).astype(np.uint8), label_maps, None
    )


class Files(Dataset[tuple[Tensor, Tensor]]):
    """Pictures and label maps as PNG files, read, moved and flipped one by one."""

    def __init__(self, data: LabelledSet) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.count = len(data)
        for index in range(self.count):
            for kind, array in (("picture", data.pictures[index]), ("labels", data.label_maps[index])):
                Image.fromarray(array).save(self._path(kind, index))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        picture, label_map = (Image.open(self._path(kind, index)) for kind in ("picture", "labels"))
        move = affine(picture.width)
        moved = picture.transform(picture.size, Image.Transform.AFFINE, move, Image.Resampling.BILINEAR)
        labels = label_map.transform(picture.size, Image.Transform.AFFINE, move, fillcolor=IGNORE)
        x = torch.from_numpy(np.array(moved)).permute(2, 0, 1).float() / 127.5 - 1
        return x, torch.from_numpy(np.array(labels)).long()

    def _path(self, kind: str, index: int) -> Path:
        return Path(self.folder.name) / f"{index}-{kind}.png"


def affine(size: int) -> tuple[float, ...]:
    """A random scale, rotation and shift about the picture's middle, as strong as ours, in Pillow's numbers."""
    random = np.random.default_rng(int(torch.randint(2**31, ())))
    turn, scale = np.deg2rad(random.uniform(-10, 10)), np.exp(random.uniform(np.log(0.8), np.log(1.25)))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / scale
    middle = np.full(2, size / 2)
    shift = middle - matrix @ (middle + random.uniform(-0.1, 0.1, 2) * size)
    return (*matrix[0], shift[0], *matrix[1], shift[1])


def endless(batches: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch after the other."""
    while True:
        yield from batches
