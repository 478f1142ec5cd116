"""The two floors that any method must beat: what position alone tells, and what colour and position tell."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from gannotate.data.labelled import LabelledSet
from gannotate.errors import GannotateError
from gannotate.labels import IGNORE
from gannotate.metrics.confusion import Scores, confusion, scores
from gannotate.seeding import stream_seed
from gannotate.training.loop import Progress

BLURS_PX = (1.0, 2.0, 4.0)
"""Standard deviations of the blurred copies that the pixel net sees, in px of a picture of 64 px."""

STEPS, BATCH_PX, HIDDEN = 500, 2048, 64


def majority_floor(train: LabelledSet, test: LabelledSet, classes: int) -> Scores:
    """Scores of one answer for every picture: at each pixel the training labels' most common class.

    A pixel without any label takes the most common class of all. Ties go to the lower class id.
    """
    answer = majority_map(train.label_maps, classes)
    predictions = np.broadcast_to(answer, test.label_maps.shape)
    return scores(confusion(test.label_maps, predictions, classes))


def majority_map(label_maps: UInt8[np.ndarray, "n h w"], classes: int) -> UInt8[np.ndarray, "h w"]:
    """The most common class at each pixel."""
    counts = np.stack([(label_maps == index).sum(axis=0) for index in range(classes)])
    usual = counts.sum(axis=(1, 2)).argmax()
    return np.where(counts.sum(axis=0) > 0, counts.argmax(axis=0), usual).astype(np.uint8)


class PixelFloor:
    """A small net that sees one pixel at a time: its colour, blurred colours, and where it is.

    Going through it gives progress over the pictures, first those learned from and then the test's, and leaves
    `scores`.

    Raises:
        GannotateError: no labelled pixel to learn from.
    """

    scores: Scores

    def __init__(self, train: LabelledSet, test: LabelledSet, classes: int, seed: int = 0) -> None:
        self.train, self.test, self.classes, self.seed = train, test, classes, seed

    def __iter__(self) -> Iterator[Progress]:
        train, test, begin, steps = self.train, self.test, time.monotonic(), len(self.train) + len(self.test)
        labels = torch.from_numpy(train.label_maps.reshape(-1).astype(np.int64))
        known = labels != IGNORE
        if not bool(known.any()):
            raise GannotateError(f"nothing to learn from: every pixel of the labels is {IGNORE} (ignore)")
        seen = []
        for index in range(len(train)):
            seen.append(pixel_features(train.pictures[index : index + 1]))
            yield Progress.since(begin, index + 1, steps)
        features = torch.cat(seen)[known]
        mean, spread = features.mean(0), features.std(0) + 1e-3
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(self.seed, "pixel_floor"))
            net = _fit_pixels((features - mean) / spread, labels[known], self.classes)
        predictions = np.empty(test.label_maps.shape, np.uint8)
        for index in range(len(test)):
            with torch.inference_mode():
                logits = net((pixel_features(test.pictures[index : index + 1]) - mean) / spread)
            predictions[index] = logits.argmax(1).numpy().reshape(predictions.shape[1:])
            yield Progress.since(begin, len(train) + index + 1, steps)
        self.scores = scores(confusion(test.label_maps, predictions, self.classes))


def pixel_floor(train: LabelledSet, test: LabelledSet, classes: int, seed: int = 0) -> Scores:
    """What `PixelFloor` leaves, at once."""
    floor = PixelFloor(train, test, classes, seed)
    deque(floor, maxlen=0)
    return floor.scores


def pixel_features(pictures: UInt8[np.ndarray, "n h w c"]) -> Float[Tensor, "nhw d"]:
    """One row a pixel: colours in [-1, 1], as they are and blurred, then x and y in [-1, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    count, _, height, width = x.shape
    layers = [x] + [_blur(x, sigma * max(height, width) / 64) for sigma in BLURS_PX]
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    place = torch.stack([columns, rows]).expand(count, 2, height, width)
    return torch.cat([*layers, place], 1).permute(0, 2, 3, 1).flatten(0, 2)


def _blur(x: Float[Tensor, "n c h w"], sigma_px: float) -> Float[Tensor, "n c h w"]:
    reach = min(round(3 * sigma_px), min(x.shape[-2:]) - 1)
    places = torch.arange(-reach, reach + 1).float()
    kernel = torch.exp(-0.5 * (places / sigma_px) ** 2)
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, -1)
    padded = F.pad(x, (reach,) * 4, mode="reflect")
    across = F.conv2d(padded, kernel, groups=x.shape[1])
    return F.conv2d(across, kernel.transpose(2, 3), groups=x.shape[1])


def _fit_pixels(features: Float[Tensor, "p d"], labels: Tensor, classes: int) -> nn.Module:
    net = nn.Sequential(
        nn.Linear(features.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
        nn.Linear(HIDDEN, classes),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        picked = torch.randint(len(labels), (BATCH_PX,))
        loss = F.cross_entropy(net(features[picked]), labels[picked])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()
