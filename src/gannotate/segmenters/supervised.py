"""Training a segmentation network on labelled pictures, real or generated."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from gannotate.data.augment import ALIGNED, Augmentation, Warp, augment
from gannotate.data.labelled import LabelledSet
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE, Mirror, check_label_map
from gannotate.seeding import stream_seed
from gannotate.segmenters.build import SegmenterConfig, build_network, save_segmenter
from gannotate.training.average import follow
from gannotate.training.checkpoint import load_checkpoint
from gannotate.training.loop import LoopConfig, Progress, train
from gannotate.training.losses import masked_cross_entropy

Labels = Literal["soft", "hard"]
"""Learn from class probabilities where the data has them, or from label maps alone."""


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
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        if self.labels not in get_args(Labels):
            raise UsageError(f"labels={self.labels!r} is not known; use {' or '.join(get_args(Labels))}")
        if self.steps < 1 or self.batch < 2:
            raise UsageError(
                f"{self.steps} steps of {self.batch} pictures were asked for; give at least 1 step and 2 pictures"
            )
        if not self.learning_rate > 0 or not 0 <= self.ema < 1:
            raise UsageError(
                f"learning rate {self.learning_rate} and ema {self.ema} were given; give a rate above 0 and an ema "
                "from 0 to below 1"
            )

    @property
    def augmentation(self) -> Augmentation:
        """What may happen to a picture."""
        return Augmentation(warp=self.warp, mirror=self.mirror, turn90=self.turn90, photometric=self.photometric)


class SegmenterTrainer:
    """Teaches a network; `average` is the one to keep."""

    def __init__(
        self,
        data: LabelledSet,
        config: SegmenterConfig,
        training: SegmenterTraining,
        device: str | torch.device = "cpu",
    ) -> None:
        check_data(data, config)
        self.training, self.device = training, torch.device(device)
        self.about = about_training(data, config, training)
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(training.seed, "segmenter"))
            network = build_network(config).to(self.device)
        self.network = convert_conv2d_weight_memory_format(network, torch.channels_last)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), training.learning_rate, weight_decay=training.weight_decay
        )
        # uint8 and float16 stay so: 20,000 pictures of 64 px with 12 soft classes take 2 GB as they are
        self.pictures = torch.from_numpy(data.pictures).permute(0, 3, 1, 2)
        self.label_maps = torch.from_numpy(data.label_maps)
        use_soft = training.labels == "soft" and data.soft is not None
        self.soft = torch.from_numpy(data.soft) if use_soft and data.soft is not None else None

    def step(self, index: int) -> dict[str, float]:
        """One step on a random batch."""
        pictures, label_maps, soft = self._batch()
        self._set_rate(index)
        self.network.train()
        loss = masked_cross_entropy(self.network(pictures), label_maps, soft)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        follow(self.average, self.network, self.training.ema, index)
        return {"loss": float(loss.detach())}

    def _batch(self) -> tuple[Tensor, Tensor, Tensor | None]:
        count, batch = len(self.pictures), self.training.batch
        picked = torch.randperm(count)[:batch] if count >= batch else torch.randint(count, (batch,))
        pictures = self.pictures[picked].to(self.device).float() / 127.5 - 1
        label_maps = self.label_maps[picked].to(self.device).long()
        soft = None if self.soft is None else self.soft[picked].to(self.device).float()
        pictures, label_maps, soft = augment(pictures, label_maps, soft, self.training.augmentation)
        return pictures.contiguous(memory_format=torch.channels_last), label_maps, soft

    def _set_rate(self, index: int) -> None:
        rate = self.training.learning_rate * learning_rate_factor(index, self.training.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def state(self) -> dict[str, Any]:
        """Weights, average, optimizer and what is trained on what."""
        return {
            "about": self.about,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave.

        Raises:
            UsageError: the state is of a training with other settings or data.
        """
        changed = sorted(name for name in self.about if state["about"].get(name) != self.about[name])
        if changed:
            raise UsageError(
                f"the training to resume had other {', '.join(changed)}; resume it with the same ones, or start a new "
                "folder"
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


def learning_rate_factor(index: int, steps: int) -> float:
    """Part of the largest rate at step `index`: a linear rise over a twentieth of the steps, then half a cosine."""
    rise = max(1, steps // 20)
    if index < rise:
        return (index + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (index - rise) / max(1, steps - rise)))


def about_training(data: LabelledSet, config: SegmenterConfig, training: SegmenterTraining) -> dict[str, Any]:
    """What a segmenter was trained with: network, settings, number of labels, labelled pixels, a hash of the data."""
    pixels = np.bincount(data.label_maps.ravel(), minlength=256)
    digest = hashlib.sha256(data.pictures.tobytes())
    digest.update(data.label_maps.tobytes())
    soft = training.labels == "soft" and data.soft is not None
    if soft and data.soft is not None:
        digest.update(data.soft.tobytes())
    return {
        "network": _plain(asdict(config)),
        "settings": _plain(asdict(training)),
        "data": {
            "pictures": len(data),
            "soft_labels": soft,
            "labelled_px": pixels[: config.classes].tolist(),
            "ignored_px": int(pixels[IGNORE]),
            "hash": digest.hexdigest(),
        },
    }


def check_data(data: LabelledSet, config: SegmenterConfig) -> None:
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


def train_segmenter(
    data: LabelledSet,
    config: SegmenterConfig,
    training: SegmenterTraining,
    folder: str | Path,
    resume: bool = True,
    source: str = "",
    device: str | torch.device = "cpu",
) -> Iterator[Progress]:
    """Trains a segmenter from random weights; yields progress after each step.

    Iterating to the end leaves a segmenter folder (see `Segmenter.load`) with the log beside it. Its config.json says
    under 'about' what it learned from; `source` is who made the labels, e.g. "person" or "decoder 0001-light". A
    training that was stopped goes on, and ends as one that was not.

    Raises:
        UsageError: the data or settings cannot be used; see `check_data`.
    """
    trainer = SegmenterTrainer(data, config, training, device)
    loop = LoopConfig(steps=training.steps, minutes=training.minutes, seed=training.seed)
    folder = Path(folder)
    yield from train(trainer, folder, loop, resume=resume)
    saved = load_checkpoint(folder / "checkpoint.safetensors")
    trained = {"steps": saved["done"], "seconds": round(saved["seconds"], 2)}
    about = {"label_source": source, **trainer.about["data"], "settings": trainer.about["settings"], "trained": trained}
    save_segmenter(folder, trainer.average, config, **about)


def _plain(value: Any) -> Any:
    # tuples become lists, as they do in a checkpoint, so that what was saved compares equal
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
