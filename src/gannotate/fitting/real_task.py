"""What all methods share that teach a decoder from labels of real pictures: the task, its pictures, its settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.data.augment import Augmentation, augment
from gannotate.data.labelled import LabelledSet
from gannotate.decoders.base import Decoder, DecoderConfig
from gannotate.decoders.build import DECODERS
from gannotate.decoders.light import LightConfig
from gannotate.errors import UsageError
from gannotate.features.source import FeatureSource, Tapped
from gannotate.fitting.config import Optimizer
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.generators.base import DrawOptions, Generator
from gannotate.inversion.known import KnownLatents
from gannotate.labels import IGNORE, ClassInfo
from gannotate.metrics.confusion import confusion, scores
from gannotate.segmenters.architectures import Architecture
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.sources import Stored
from gannotate.training.resuming import plain
from gannotate.training.shares import passes

Rate = Literal["cosine", "constant"]
"""How the step size goes: down to zero along half a cosine, or the same."""

LOOKS = 20
"""Looks at held-out pictures on the way of a fit."""


@dataclass(frozen=True, kw_only=True)
class RealTask:
    """A generator, real pictures with labels, and what is known about both.

    labelled: pictures of `RealConfig.picture_size` px. options: how the generator's pictures are drawn. augmentation:
    what may happen to a labelled picture. held_out: annotated generated pictures, that score the decoder on its way
    and teach it nothing. source: the network whose activations the decoder reads in place of the generator's.
    latents: those that draw the labelled pictures, where they are known; else they are sought when they are wanted.
    """

    generator: Generator
    labelled: LabelledSet
    classes: tuple[ClassInfo, ...]
    options: DrawOptions = field(default_factory=DrawOptions)
    augmentation: Augmentation = field(default_factory=Augmentation)
    held_out: tuple[Shot, ...] = ()
    source: FeatureSource | None = None
    latents: KnownLatents | None = None

    @property
    def read_from(self) -> Tapped:
        """What the decoder reads: the source where there is one, else the generator."""
        return self.generator if self.source is None else self.source

    def about_labelled(self) -> dict[str, Any]:
        """Names, labelled pixels of each class, and a hash of pictures and labels, json-able."""
        told = Stored(self.labelled, "hard").about(len(self.classes))
        return {"names": list(self.labelled.names), **{key: told[key] for key in ("labelled_px", "ignored_px", "hash")}}

    @property
    def device(self) -> torch.device:
        """Where the generator is."""
        return next(self.generator.parameters()).device


@dataclass(frozen=True, kw_only=True)
class RealConfig:
    """How a decoder learns from labels of real pictures, whatever the method."""

    decoder: DecoderConfig = field(default_factory=LightConfig)
    """Kind and shape of the decoder."""
    steps: int = 1000
    """Steps of the decoder."""
    optimizer: Optimizer = "adam"
    """adam, or sgd with momentum 0.9."""
    learning_rate: float = 0.002
    """The decoder's first step size."""
    rate: Rate = "cosine"
    """How the step sizes go: cosine (to zero) or constant."""
    ema: float = 0.98
    """Decay a step of the decoder's averaged weights, which are those that are saved; 0 turns the average off."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        check_at_least(1, steps=self.steps)
        check_rate("learning rate", self.learning_rate)
        if not 0 <= self.ema < 1:
            raise UsageError(f"ema is {self.ema}; use 0 up to, but not, 1, e.g. 0.98")
        check_one_of("optimizer", self.optimizer, get_args(Optimizer))
        check_one_of("rate", self.rate, get_args(Rate))

    @property
    def kind(self) -> str:
        """Name of the kind of decoder."""
        return next(name for name, kind in DECODERS.items() if kind.config_class is type(self.decoder))

    def picture_size(self, generator: Generator) -> int:
        """Side in px that the labelled pictures are read at."""
        return generator.size


@dataclass(frozen=True, kw_only=True)
class SegmenterChoice(RealConfig):
    """Settings of methods that train a segmentation network beside the decoder."""

    generated: int = 4
    """Generated pictures a step."""
    segmenter: Architecture = "unet-classic"
    """The segmentation network that learns beside the decoder."""
    segmenter_encoder: str = ""
    """Its encoder, as for `train`; the network's own when not given."""
    segmenter_depth: int = 0
    """Times its encoder halves the picture; the network's own when 0."""
    segmenter_width: int = 0
    """Channels of its decoder at the coarsest (unet-classic: at the finest); the network's own when 0."""
    segmenter_size: int = 0
    """Side in px of the pictures that it sees; the generator's when 0."""
    segmenter_weights: str = "random"
    """What its encoder starts from: random, imagenet, or the path of weights."""
    pretrain: int = 0
    """Steps of 16 labelled pictures that it is trained for first."""
    augment: bool = True
    """Scale, turn, move and (where the project allows) flip the labelled pictures."""
    psi: float | None = None
    """Truncation of the generated pictures that are learned from; as the project draws them when not given."""
    cutoff: int | None = None
    """With psi: truncate only the first this many styles; all when not given."""
    fresh_noise: bool = False
    """Draw with fresh per-pixel noise; as the project draws when off."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, generated=self.generated)
        check_at_least(0, segmenter_size=self.segmenter_size, pretrain=self.pretrain)
        if self.cutoff is not None and self.psi is None:
            raise UsageError("a cutoff was given without psi; give psi too, e.g. 0.7")

    def picture_size(self, generator: Generator) -> int:
        """The segmenter's input size."""
        return self.segmenter_size or generator.size

    def draw_options(self, options: DrawOptions) -> DrawOptions:
        """How pictures to learn from are drawn, where the project draws with `options`."""
        if self.psi is None:
            return options
        return DrawOptions(psi=self.psi, cutoff=self.cutoff, noise=options.noise)

    def segmenter_config(self, task: RealTask) -> SegmenterConfig:
        """The network for the task's pictures and classes.

        Raises:
            UsageError: there is no such network.
        """
        return SegmenterConfig.of_classes(
            task.classes,
            image_channels=task.generator.image_channels,
            size=self.picture_size(task.generator),
            architecture=self.segmenter,
            encoder=self.segmenter_encoder,
            depth=self.segmenter_depth,
            decoder_width=self.segmenter_width,
            weights=self.segmenter_weights,
        )

    def teacher_config(self, task: RealTask) -> SegmenterConfig:
        """The network that learns from the labelled pictures first."""
        return self.segmenter_config(task)


def to_side(x: Float[Tensor, "n k h w"], side: int) -> Float[Tensor, "n k s s"]:
    """Pictures or probabilities at another size: bilinear, over all pixels that one covers."""
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False, antialias=True)


def check_at_least(least: int, **given: int) -> None:
    """Refuses a setting below `least`."""
    for name, value in given.items():
        if value < least:
            raise UsageError(f"{name.replace('_', ' ')} is {value}; use {least} or more")


def check_rate(name: str, value: float) -> None:
    """Refuses a step size that is not positive, or infinite."""
    if not 0 < value < math.inf:
        raise UsageError(f"the {name} is {value}; use a positive number, e.g. 0.001")


def check_one_of(name: str, given: str, known: Sequence[str]) -> None:
    """Refuses a word that is not known."""
    if given not in known:
        raise UsageError(f"{name} {given!r} is not known; use {', '.join(known)}")


def check_task(task: RealTask, config: RealConfig) -> None:
    """Checks that the labelled pictures can teach a decoder of this generator.

    Raises:
        UsageError: none, of another size or number of channels, or nothing labelled; or a generator with classes.
    """
    if task.generator.label_dim:
        raise UsageError(
            f"this generator draws {task.generator.label_dim} classes; labels of real pictures can teach a decoder "
            "only of a generator without classes"
        )
    size, channels = config.picture_size(task.generator), task.generator.image_channels
    if not len(task.labelled):
        raise UsageError("no labelled pictures were given; give at least one")
    height, width, given = task.labelled.pictures.shape[1:]
    if (height, width, given) != (size, size, channels):
        raise UsageError(
            f"the labelled pictures are {width}x{height} px with {given} channel(s); this fit takes {size}x{size} with "
            f"{channels}, read them so"
        )
    if (task.labelled.label_maps == IGNORE).all():
        raise UsageError(
            f"nothing is labelled: every pixel of the {len(task.labelled)} label maps is {IGNORE} (ignore)"
        )


class RealPictures:
    """Random batches of the labelled pictures, from the global torch generator."""

    def __init__(self, task: RealTask, moved: bool) -> None:
        self.source = Stored(task.labelled, "hard")
        self.augmentation, self.device = task.augmentation if moved else None, task.device

    def __call__(self, count: int) -> tuple[Float[Tensor, "n c s s"], Int[Tensor, "n s s"]]:
        """Of so many pictures this process's own, in [-1, 1], and their label maps."""
        (share,) = passes(count)
        # picked by all alike: with fewer labels than pictures the same numbers must come in every process
        pictures, label_maps, _ = self.source.batch(count, self.device, share.place.slice)
        with share:
            if self.augmentation is not None:
                pictures, label_maps, _ = augment(pictures, label_maps, None, self.augmentation)
        return pictures.contiguous(memory_format=torch.channels_last), label_maps


class DrawnPictures:
    """Random generated pictures with their taps, from the global torch generator.

    They are drawn from latents, not from seeds, so none of them is a picture of the pool.
    """

    def __init__(self, task: RealTask, config: SegmenterChoice, names: Sequence[str]) -> None:
        self.generator, self.names = task.generator.eval(), tuple(names)
        self.options = config.draw_options(task.options)
        # noise of a seed has no place where there is no seed
        self.fresh = config.fresh_noise or self.options.noise == "seeded"
        if config.fresh_noise and (self.options.noise == "none" or not self.generator.noise_shapes):
            raise UsageError("fresh noise was asked for, but the pictures are drawn with noise none; leave one out")

    @torch.no_grad()
    def __call__(self, count: int) -> tuple[Float[Tensor, "n c s s"], dict[str, Float[Tensor, "n k h w"]]]:
        """So many pictures in about [-1, 1] and their taps."""
        generator, options = self.generator, self.options
        like = next(generator.parameters())
        w = generator.map(torch.randn(count, generator.z_dim).to(like), psi=options.psi, cutoff=options.cutoff)
        noise: Any = options.noise
        if self.fresh:
            noise = [torch.randn(count, 1, *shape).to(like) for shape in generator.noise_shapes]
        drawing = generator.synthesize(w, noise, taps=self.names)
        # real pictures are bytes: what leaves their range is clipped there, so it is here
        return drawing.picture.clamp(-1, 1), drawing.taps


class Watch:
    """Scores a decoder on annotated generated pictures every so many steps of its way: the live curve."""

    def __init__(self, task: RealTask, decoder: Callable[[], Decoder], every: int) -> None:
        self.task, self.decoder, self.every = task, decoder, every

    @classmethod
    def of(cls, task: RealTask, decoder: Callable[[], Decoder], steps: int) -> tuple[Watch, ...]:
        """The hook for a fit of so many steps; none where there is nothing to score on."""
        return (cls(task, decoder, max(1, steps // LOOKS)),) if task.held_out else ()

    def __call__(self, done: int) -> dict[str, float]:
        """mIoU and pixel accuracy on the held-out pictures."""
        return score(self.task, self.decoder())


@torch.no_grad()
def score(task: RealTask, decoder: Decoder) -> dict[str, float]:
    """{"held_out_miou", "held_out_accuracy"} of a decoder on the task's held-out pictures; nothing without any.

    Nothing for a decoder that reads a source, either: held-out pictures are given as seeds of the generator.
    """
    if not task.held_out or task.source is not None:
        return {}
    counts = np.zeros((len(task.classes),) * 2, np.int64)
    for shot in task.held_out:
        logits = decoder.eval()(draw_taps(task.generator, [shot.seed], decoder.tap_names, task.options))
        predicted = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
        counts += confusion(shot.label_map[None], predicted, len(task.classes))
    found = scores(counts)
    return {"held_out_miou": found.miou, "held_out_accuracy": found.pixel_accuracy}


def settings_of(config: RealConfig) -> dict[str, Any]:
    """A configuration as JSON has it, with the name of the decoder's kind, so that what was saved compares equal."""
    settings = plain(asdict(config))
    settings["decoder"]["kind"] = config.kind
    return settings
