"""Training pictures that generator and decoder draw while the segmenter learns: no dataset on disk.

The pictures come in chunks of consecutive seeds (see `generators.base.CHUNK`). Those drawn last stay in a buffer, and
batches are taken from it, so that a slow machine need not draw every picture of every batch anew. Which chunks the
buffer holds follows from the number of pictures given so far alone: a training that goes on draws them again.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gannotate.decoders.base import Decoder
from gannotate.errors import UsageError
from gannotate.generators.base import CHUNK, DrawOptions, Generator
from gannotate.seeding import stream_seed
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.sources import ALL, Batch, Labels, pick, to_float
from gannotate.synthesis import annotate_seeds, fingerprint
from gannotate.training import distributed

FIRST_CHUNK, CHUNKS = 1 << 24, 1 << 27
"""Online pictures have seeds from 2^28 upwards, far above pools and datasets; where they start depends on the seed."""


@dataclass(frozen=True, kw_only=True)
class OnlineConfig:
    """How pictures are drawn for a training."""

    refresh: float = 0.25
    """Part of a batch that is newly drawn, above 0 to 1; at 0.25 a picture is seen about four times."""
    buffer: int = 512
    """Pictures that are kept to draw batches from; the oldest leave as new ones come. 0 keeps one batch only."""
    keep: float = 1.0
    """Part of the buffer that batches are drawn from, the most certain pictures (DatasetGAN: 0.9)."""
    seed: int = 0
    """Seed of the pictures: another one draws others."""

    def __post_init__(self) -> None:
        if not 0 < self.refresh <= 1:
            raise UsageError(f"refresh is {self.refresh}; give the part of a batch that is new, above 0 to 1")
        if not 0.1 <= self.keep <= 1:
            raise UsageError(f"keep is {self.keep}; use 0.1 to 1, e.g. 0.9 to leave the least certain tenth out")
        if self.buffer < 0:
            raise UsageError(f"a buffer of {self.buffer} pictures was asked for; give 0 or more, most often 512")


@dataclass(frozen=True)
class _Chunk:
    """The drawn pictures of one chunk of seeds."""

    pictures: UInt8[Tensor, "n c h w"]
    label_maps: UInt8[Tensor, "n h w"]
    soft: Float[Tensor, "n k h w"]
    uncertainty: Float[Tensor, " n"]


class Online:
    """Draws labelled pictures from a generator and its decoder, as a dataset of them would hold."""

    def __init__(
        self,
        generator: Generator,
        decoder: Decoder,
        options: DrawOptions | None = None,
        config: OnlineConfig | None = None,
        labels: Labels = "soft",
    ) -> None:
        """Soft labels are the decoder's probabilities at its temperature.

        Raises:
            GannotateError: the decoder is of another generator.
        """
        decoder.check_fits(generator)
        self.generator, self.decoder = generator, decoder
        self.options, self.config, self.labels = options or DrawOptions(), config or OnlineConfig(), labels
        self.given = 0
        self._first = FIRST_CHUNK + stream_seed(self.config.seed, "online") % CHUNKS
        self._chunks: OrderedDict[int, _Chunk] = OrderedDict()
        self._drawn_before = 0

    def check(self, config: SegmenterConfig) -> None:
        """Checks that what is drawn fits the network.

        Raises:
            UsageError: another size, or another number of channels or classes.
        """
        drawn = (self.generator.size, self.generator.image_channels, self.decoder.classes)
        if drawn != (config.size, config.image_channels, config.classes):
            raise UsageError(
                f"generator and decoder draw {drawn[0]} px pictures of {drawn[1]} channel(s) and {drawn[2]} classes, "
                f"the segmenter takes {config.size} px, {config.image_channels} and {config.classes}; use those of one "
                "project"
            )

    def about(self, classes: int) -> dict[str, Any]:
        """How the pictures are drawn and by what, without their number: it depends on the steps."""
        return {
            "online": asdict(self.config),
            "draw": asdict(self.options),
            "soft_labels": self.labels == "soft",
            "generator_hash": fingerprint(self.generator),
            "decoder_hash": fingerprint(self.decoder),
            "temperature": self.decoder.temperature,
        }

    @property
    def drawn(self) -> int:
        """Pictures that an uninterrupted training has drawn by now."""
        return max(self._drawn_before, CHUNK * max(self._chunks, default=-1) + CHUNK)

    def batch(self, count: int, device: torch.device, kept: slice = ALL) -> Batch:
        """`count` of the most certain pictures in the buffer, after it was refreshed."""
        self._refresh(count)
        held = list(self._chunks.values())
        certain = most_certain(torch.cat([chunk.uncertainty for chunk in held]), self.config.keep)
        chosen = [divmod(place, CHUNK) for place in certain[pick(len(certain), count)][kept].tolist()]
        self.given += count
        pictures = _stack([held[chunk].pictures[place] for chunk, place in chosen], held[0].pictures)
        label_maps = _stack([held[chunk].label_maps[place] for chunk, place in chosen], held[0].label_maps)
        soft = None
        if self.labels == "soft":
            soft = _stack([held[chunk].soft[place] for chunk, place in chosen], held[0].soft).to(device).float()
        return Batch(to_float(pictures.to(device)), label_maps.to(device).long(), soft)

    def state(self) -> dict[str, Any]:
        """How many pictures were given, and drawn."""
        return {"given": self.given, "drawn": self.drawn}

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave; the next batch draws the buffer's pictures again."""
        self.given, self._drawn_before = int(state["given"]), int(state.get("drawn", 0))
        self._chunks.clear()

    def span(self, count: int) -> range:
        """Chunks that the buffer holds for the next batch of `count`, by their number from the start.

        New pictures a batch are refresh * count, divided by keep: what the filter leaves out is drawn too.
        """
        batch = math.ceil(count / self.config.keep)
        capacity = math.ceil(max(self.config.buffer, batch) / CHUNK)
        # the first batch fills the buffer; each later one is preceded by its part of new pictures
        fresh = math.ceil(self.given * self.config.refresh / self.config.keep / CHUNK)
        return range(fresh, fresh + capacity)

    def _refresh(self, count: int) -> None:
        wanted = self.span(count)
        for number in [number for number in self._chunks if number not in wanted]:
            del self._chunks[number]
        missing = [number for number in wanted if number not in self._chunks]
        # the processes draw in turns, and give each other what they drew
        for turn in range(0, len(missing), distributed.count()):
            own = missing[turn:][distributed.rank() : distributed.rank() + 1]
            for drawn in distributed.from_each({number: self._draw(number) for number in own}):
                self._chunks |= drawn

    def _draw(self, number: int) -> _Chunk:
        first = (self._first + number) * CHUNK
        drawn = list(annotate_seeds(self.generator, self.decoder, range(first, first + CHUNK), self.options))
        return _Chunk(
            torch.stack([torch.from_numpy(one.picture).permute(2, 0, 1) for one in drawn]),
            torch.stack([torch.from_numpy(one.label_map) for one in drawn]),
            torch.stack([torch.from_numpy(one.soft) for one in drawn]),
            torch.tensor([one.uncertainty for one in drawn]),
        )


def _stack(tensors: list[Tensor], like: Tensor) -> Tensor:
    """`torch.stack`, of none too."""
    return torch.stack(tensors) if tensors else like[:0]


def most_certain(uncertainty: Float[Tensor, " n"], keep: float) -> Int[Tensor, " m"]:
    """Places of the `keep` part with the least uncertainty, at least one, in their order."""
    count = max(1, round(keep * len(uncertainty)))
    return uncertainty.argsort(stable=True)[:count].sort().values
