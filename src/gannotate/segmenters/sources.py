"""Where a segmentation network's training pictures come from: what is held in memory, drawn online, or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.data.labelled import LabelledSet
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE, check_label_map
from gannotate.segmenters.build import AnswerConfig, SegmenterConfig
from gannotate.training.resuming import hash_of

Labels = Literal["soft", "hard"]
"""Learn from class probabilities where the data has them, or from label maps alone."""


ALL = slice(None)
"""Every picture of a batch."""


class Batch(NamedTuple):
    """Pictures in [-1, 1] with their class ids (255 = ignore) and, for soft labels, class probabilities."""

    pictures: Float[Tensor, "n c h w"]
    label_maps: Int[Tensor, "n h w"]
    soft: Float[Tensor, "n k h w"] | None

    def part(self, kept: slice) -> Batch:
        """Some of the pictures."""
        return Batch(self.pictures[kept], self.label_maps[kept], None if self.soft is None else self.soft[kept])


class Source(Protocol):
    """Gives training pictures, as many as asked for."""

    def check(self, config: SegmenterConfig) -> None:
        """Raises UsageError or GannotateError if the pictures and labels do not fit the network."""
        ...

    def about(self, classes: int) -> dict[str, Any]:
        """What the pictures and labels are, json-able; a training is resumed only on the same."""
        ...

    def batch(self, count: int, device: torch.device, kept: slice = ALL) -> Batch:
        """`count` pictures, drawn with torch's global generator, which the training loop seeds before each step.

        Of these only the `kept` ones, this process's own, are read and given; the draws are those of all.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Counters, json-able: with them the next batch is the one that would have come without an interruption."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        ...


class Stored:
    """Draws from labelled pictures in memory, without replacement where there are enough."""

    def __init__(self, data: LabelledSet, labels: Labels = "soft") -> None:
        self.data = data
        # uint8 and float16 stay so: 20,000 pictures of 64 px with 12 soft classes take 2 GB as they are
        self.pictures = torch.from_numpy(data.pictures).permute(0, 3, 1, 2)
        self.label_maps = torch.from_numpy(data.label_maps)
        self.soft = torch.from_numpy(data.soft) if labels == "soft" and data.soft is not None else None

    def check(self, config: SegmenterConfig) -> None:
        """See `check_data`."""
        check_data(self.data, config)

    def about(self, classes: int) -> dict[str, Any]:
        """Number of pictures, labelled pixels a class, and a hash of all that is read."""
        pixels = np.bincount(self.data.label_maps.ravel(), minlength=256)
        soft = [] if self.soft is None else [self.soft.numpy()]
        return {
            "pictures": len(self.data),
            "soft_labels": self.soft is not None,
            "labelled_px": pixels[:classes].tolist(),
            "ignored_px": int(pixels[IGNORE]),
            "hash": hash_of(self.data.pictures, self.data.label_maps, *soft),
        }

    def batch(self, count: int, device: torch.device, kept: slice = ALL) -> Batch:
        """`count` of the pictures."""
        picked = pick(len(self.pictures), count)[kept]
        return Batch(
            to_float(self.pictures[picked].to(device)),
            self.label_maps[picked].to(device).long(),
            None if self.soft is None else self.soft[picked].to(device).float(),
        )

    def state(self) -> dict[str, Any]:
        """Nothing: batches do not depend on those before them."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to take back."""


class Mixed:
    """Fills a part of each batch from each of several sources, e.g. a quarter from real labelled pictures."""

    def __init__(self, parts: Sequence[tuple[Source, float]]) -> None:
        """Each source with its share of the pictures, above 0; the shares add up to 1.

        Raises:
            UsageError: other shares.
        """
        shares = [share for _, share in parts]
        if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise UsageError(f"the shares of a mix are {shares}; give each source a share above 0, 1 in all")
        self.parts = tuple(parts)
        self.given = [0] * len(self.parts)

    def check(self, config: SegmenterConfig) -> None:
        """Checks every source."""
        for source, _ in self.parts:
            source.check(config)

    def about(self, classes: int) -> dict[str, Any]:
        """The shares, and what each source is."""
        parts = [(source.about(classes), share) for source, share in self.parts]
        return {
            "soft_labels": any(about.get("soft_labels") for about, _ in parts),
            "mix": [{"share": share, **about} for about, share in parts],
        }

    def batch(self, count: int, device: torch.device, kept: slice = ALL) -> Batch:
        """`count` pictures; after any number of batches each source has given its share to within one picture."""
        numbers = self.split(count)
        self.given = [before + now for before, now in zip(self.given, numbers, strict=True)]
        wanted = range(count)[kept]
        batches, first = [], 0
        for (source, _), number in zip(self.parts, numbers, strict=True):
            if number:  # asked even where none is kept: its draws and counters go on
                of_these = slice(*(min(max(place - first, 0), number) for place in (wanted.start, wanted.stop)))
                batches.append(source.batch(number, device, of_these))
            first += number
        return join(batches)

    def split(self, count: int) -> list[int]:
        """How many of the next `count` pictures each source gives: one by one, from the one furthest behind."""
        numbers, total = [0] * len(self.parts), sum(self.given)
        for place in range(1, count + 1):
            behind = [
                share * (total + place) - given - number
                for (_, share), given, number in zip(self.parts, self.given, numbers, strict=True)
            ]
            numbers[behind.index(max(behind))] += 1
        return numbers

    def state(self) -> dict[str, Any]:
        """What each source has given, and the sources' own counters."""
        return {"given": list(self.given), "parts": [source.state() for source, _ in self.parts]}

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.given = list(state["given"])
        for (source, _), part in zip(self.parts, state["parts"], strict=True):
            source.load_state(part)


def join(batches: Sequence[Batch]) -> Batch:
    """Several batches as one; where only some have class probabilities, the others' are what their labels say."""
    if len(batches) == 1:
        return batches[0]
    widths = [batch.soft.shape[1] for batch in batches if batch.soft is not None]
    soft = None
    if widths:
        known = [truth_as_probabilities(batch, widths[0]) if batch.soft is None else batch.soft for batch in batches]
        soft = torch.cat(known)
    pictures = torch.cat([batch.pictures for batch in batches])
    return Batch(pictures, torch.cat([batch.label_maps for batch in batches]), soft)


def truth_as_probabilities(batch: Batch, classes: int) -> Float[Tensor, "n k h w"]:
    """What the labels say as class probabilities: the soft labels where there are any, else 0 and 1; 0 at IGNORE.

    No class at all, not the background, stands where nothing is known: when pictures are moved, neighbours mix.
    """
    known = (batch.label_maps != IGNORE).unsqueeze(1)
    if batch.soft is not None:
        return batch.soft * known
    return F.one_hot(batch.label_maps.clamp(max=classes - 1), classes).permute(0, 3, 1, 2) * known.float()


def pick(available: int, count: int) -> Int[Tensor, "n ..."]:
    """`count` of the numbers below `available`; each at most once unless there are fewer."""
    return torch.randperm(available)[:count] if available >= count else torch.randint(available, (count,))


def to_float(pictures: Tensor) -> Float[Tensor, "n c h w"]:
    """uint8 pictures in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def check_data(data: LabelledSet, config: AnswerConfig) -> None:
    """Checks that the pictures and labels fit the network.

    Raises:
        UsageError: no pictures, another size or number of channels or classes, nothing labelled. GannotateError:
            unknown class ids; names the picture.
    """
    if not len(data):
        raise UsageError("no labelled pictures were given; give at least one")
    height, width, channels = data.pictures.shape[1:]
    if (height, width, channels) != (config.size, config.size, config.image_channels):
        raise UsageError(
            f"the pictures are {width}x{height} px with {channels} channel(s), the segmenter takes {config.size}x"
            f"{config.size} with {config.image_channels}; read them with that size and number of channels"
        )
    if data.label_maps.shape != data.pictures.shape[:3]:
        raise GannotateError(f"label maps {data.label_maps.shape} do not fit pictures {data.pictures.shape}")
    if data.soft is not None and data.soft.shape != (len(data), config.classes, height, width):
        raise UsageError(
            f"the soft labels have shape {data.soft.shape}; {config.classes} classes ask for "
            f"{(len(data), config.classes, height, width)}"
        )
    for name, label_map in zip(data.names, data.label_maps, strict=True):
        check_label_map(label_map, config.classes, name)
    if (data.label_maps == IGNORE).all():
        raise UsageError(f"nothing is labelled: every pixel of the {len(data)} label maps is {IGNORE} (ignore)")
