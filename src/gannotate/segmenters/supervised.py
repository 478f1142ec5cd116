"""Training a segmentation network on labelled pictures, real or generated.

`SegmenterTrainer` is also what the semi-supervised methods start from: they override `step` and keep the rest.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from gannotate.data.augment import ALIGNED, Augmentation, Warp, augment
from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError
from gannotate.labels import Mirror
from gannotate.seeding import stream_seed
from gannotate.segmenters.build import SegmenterConfig, build_network, save_segmenter
from gannotate.segmenters.kept import Keeper, drop_others
from gannotate.segmenters.sources import Batch, Labels, Source, Stored
from gannotate.training import distributed
from gannotate.training.average import follow
from gannotate.training.checkpoint import load_checkpoint
from gannotate.training.descent import Compute, Descent
from gannotate.training.loop import LoopConfig, Progress, train
from gannotate.training.losses import masked_cross_entropy_and_count
from gannotate.training.resuming import check_same, plain
from gannotate.training.schedules import half_cosine, set_rate
from gannotate.training.shares import Share, own_place


@dataclass(frozen=True, kw_only=True)
class SegmenterTraining:
    """How a segmentation network learns."""

    steps: int = 600
    """Optimisation steps."""
    batch: int = 16
    """Pictures a step, at least 2; drawn with replacement when there are fewer."""
    learning_rate: float = 0.002
    """AdamW's largest step size: reached after a twentieth of the steps, then down to zero along a cosine."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    labels: Labels = "soft"
    """soft: learn from class probabilities where the data has them; hard: from label maps."""
    warp: Warp = ALIGNED
    """How far pictures are moved: scale, rotation, translation."""
    mirror: Mirror = field(default_factory=Mirror)
    """What a left-right flip means here; half of the pictures are flipped unless the rule is `no`."""
    turn90: bool = False
    """Turn pictures by quarter turns."""
    photometric: bool = False
    """Change brightness, contrast, saturation and gamma, and add a little noise."""
    ema: float = 0.99
    """Decay a step of the averaged weights, which are those that are saved; 0 turns the average off."""
    minutes: float | None = None
    """Stop after so many minutes; no limit when not given."""
    keep_every: int | None = None
    """Keep the averaged network too as it was after every so many steps, and after the last one (see `kept`)."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        if self.labels not in get_args(Labels):
            raise UsageError(f"labels={self.labels!r} is not known; use {' or '.join(get_args(Labels))}")
        if self.steps < 1 or self.batch < 2:
            raise UsageError(
                f"{self.steps} steps of {self.batch} pictures were asked for; give at least 1 step and 2 pictures"
            )
        if not 0 < self.learning_rate < math.inf or not 0 <= self.ema < 1:
            raise UsageError(
                f"learning rate {self.learning_rate} and ema {self.ema} were given; give a rate above 0 and an ema "
                "from 0 to below 1"
            )
        if not 0 <= self.weight_decay < math.inf:
            raise UsageError(f"the weight decay is {self.weight_decay}; give 0 (none) or more, e.g. 0.01")
        if self.keep_every is not None and not 1 <= self.keep_every <= self.steps:
            raise UsageError(
                f"keep-every is {self.keep_every}, of {self.steps} steps; give 1 to {self.steps}, or leave it out"
            )

    @property
    def augmentation(self) -> Augmentation:
        """What may happen to a picture."""
        return Augmentation(warp=self.warp, mirror=self.mirror, turn90=self.turn90, photometric=self.photometric)

    def told(self) -> dict[str, Any]:
        """The settings as config.json and a checkpoint have them."""
        settings = plain(asdict(self))
        if self.keep_every is None:  # trainings that began before there was such a setting go on
            del settings["keep_every"]
        return settings


class SegmenterTrainer:
    """Teaches a network; `average` is the one to keep."""

    def __init__(
        self,
        source: Source,
        config: SegmenterConfig,
        training: SegmenterTraining,
        device: str | torch.device = "cpu",
        compute: Compute | None = None,
    ) -> None:
        source.check(config)
        self.compute = compute or Compute()
        self.descent = Descent(self.compute, least=2)
        self.source, self.config, self.training, self.device = source, config, training, torch.device(device)
        self.about = {
            "network": plain(asdict(config)),
            "settings": training.told(),
            "data": source.about(config.classes),
        }
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(training.seed, "segmenter"))
            network = build_network(config).to(self.device)
        self.network = convert_conv2d_weight_memory_format(network, torch.channels_last)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.look = self.compute.prepared(self.network)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), training.learning_rate, weight_decay=training.weight_decay
        )

    def step(self, index: int) -> dict[str, float]:
        """One step on a random batch."""
        samples, own = self.training.batch, own_place(self.training.batch)
        batch = self.source.batch(samples, self.device, own.slice)
        self.network.train()

        def loss_of(share: Share) -> tuple[Tensor, Tensor]:
            seen = self.augmented(batch.part(share.place.within(own)))
            with self.compute.autocast(self.device):
                logits = self.look(seen.pictures)
            return masked_cross_entropy_and_count(logits.float(), seen.label_maps, seen.soft)

        loss = self.descent(self.network.parameters(), samples, loss_of)
        self._move(index)
        return {"loss": loss, **self.descent.metrics(samples)}

    def augmented(self, batch: Batch) -> Batch:
        """The batch with pictures and labels moved and changed together, as the settings say."""
        pictures, label_maps, soft = augment(*batch, self.training.augmentation)
        return Batch(pictures.contiguous(memory_format=torch.channels_last), label_maps, soft)

    def _move(self, index: int) -> None:
        """Moves the network down its gradients, and the average after it."""
        set_rate(self.optimizer, self.training.learning_rate * learning_rate_factor(index, self.training.steps))
        self.optimizer.step()
        follow(self.average, self.network, self.training.ema, index)

    def state(self) -> dict[str, Any]:
        """Weights, average, optimizer, the source's counters, and what is trained on what."""
        return {
            "about": self.about,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "source": self.source.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave.

        Raises:
            UsageError: the state is of a training with other settings or data.
        """
        check_same(state["about"], self.about, "training")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.source.load_state(state["source"])


def learning_rate_factor(index: int, steps: int) -> float:
    """Part of the largest rate at step `index`: a linear rise over a twentieth of the steps, then half a cosine."""
    rise = max(1, steps // 20)
    if index < rise:
        return (index + 1) / rise
    return half_cosine(index - rise, max(1, steps - rise))


def train_segmenter(
    data: LabelledSet | Source,
    config: SegmenterConfig,
    training: SegmenterTraining,
    folder: str | Path,
    resume: bool = True,
    source: str = "",
    device: str | torch.device = "cpu",
    compute: Compute | None = None,
) -> Iterator[Progress]:
    """Trains a segmenter on `data`; yields progress after each step. See `train_with`.

    Raises:
        UsageError: the data or settings cannot be used; see `sources.check_data`.
    """
    stored = Stored(data, training.labels) if isinstance(data, LabelledSet) else data
    yield from train_with(SegmenterTrainer(stored, config, training, device, compute), folder, resume, source)


def train_with(
    trainer: SegmenterTrainer, folder: str | Path, resume: bool = True, source: str = ""
) -> Iterator[Progress]:
    """Lets any trainer of a segmenter run to its end; yields progress after each step.

    Iterating to the end leaves a segmenter folder (see `Segmenter.load`) with the log beside it. Its config.json says
    under 'about' what it learned from; `source` is who made the labels, e.g. "person" or "decoder 0001-light". A
    training that was stopped goes on, and ends as one that was not. With `keep_every` among the settings FOLDER/kept
    holds the networks of those steps, each a segmenter folder.
    """
    training, folder = trainer.training, Path(folder)
    loop = LoopConfig(steps=training.steps, minutes=training.minutes, seed=training.seed)
    about = {"label_source": source, **trainer.about["data"], "settings": trainer.about["settings"]}

    def keep(place: Path, done: int) -> None:
        save_segmenter(place, trainer.average, trainer.config, **about, trained={"steps": done})

    every = training.keep_every
    yield from train(trainer, folder, loop, (Keeper(folder, every, keep),) if every else (), resume)
    if not distributed.is_first():
        return
    saved = load_checkpoint(folder / "checkpoint.safetensors")
    if every:
        drop_others(folder, every, saved["done"])
    trained = {"steps": saved["done"], "seconds": round(saved["seconds"], 2)}
    save_segmenter(folder, trainer.average, trainer.config, **about, trained=trained)
