"""How a decoder learns from a few annotated pictures: our schedules, and those of the papers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from gannotate.decoders.base import DecoderConfig
from gannotate.decoders.build import DECODERS, decoder_class
from gannotate.decoders.light import LightConfig
from gannotate.decoders.mlp import MLPConfig
from gannotate.decoders.pointwise import PointwiseDecoder
from gannotate.errors import UsageError, nearest

Optimizer = Literal["adam", "sgd"]
"""adam, or stochastic gradient descent with momentum 0.9."""

Rate = Literal["cosine", "constant", "drops"]
"""How the step size goes: down to zero along half a cosine; the same; a tenth of it every `drop_every` steps."""

Solver = Literal["gradient", "closed"]
"""By gradient steps, or (linear decoder only) by linear discriminant analysis, in one pass."""

Schedule = Literal["ours", "paper"]
"""Whose step sizes, steps and batches."""


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How a decoder learns from a few annotated pictures."""

    decoder: DecoderConfig = field(default_factory=LightConfig)
    """Kind and shape of the decoder."""
    solver: Solver = "gradient"
    """By gradient steps, or in closed form (linear decoder only)."""
    steps: int = 200
    """Optimisation steps."""
    batch: int = 4
    """Annotated pictures a step; all of them when there are fewer."""
    pixels: int = 0
    """Pixels a step, for decoders that look at one pixel at a time; 0 shows them whole pictures."""
    balance: float = 0.5
    """How even the classes are among the sampled pixels: 0 as in the pictures, 1 equally many of each."""
    pool: int = 4096
    """Annotated pixels kept of each picture to sample from, classes as evenly as they can be; 0 keeps all."""
    optimizer: Optimizer = "adam"
    """adam or sgd."""
    learning_rate: float = 0.003
    """First step size."""
    weight_decay: float = 0.0
    """Pull of the weights towards 0 (added to the gradient, as the papers do)."""
    rate: Rate = "cosine"
    """How the step size goes: cosine (to zero), constant, or drops."""
    drop_every: int = 0
    """Steps after which the step size drops to a tenth, with `rate` drops."""
    label_smoothing: float = 0.0
    """Part of the target that is spread evenly over all classes."""
    ema: float = 0.98
    """Decay a step of the averaged weights, which are those that are saved; 0 turns the average off."""
    patience: int = 0
    """Stop when the loss of a step was not lower than all before for so many steps; 0 never stops early."""
    patience_from: int = 0
    """First step at which `patience` may stop."""
    noise_augment: bool = False
    """Draw the annotated pictures with fresh per-pixel noise in each step (slower)."""
    hold_out: bool = False
    """Leave pictures out in turn first, to find the number of steps and the temperature (see held_out.py)."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        for name, given in (("steps", self.steps), ("batch", self.batch)):
            if given < 1:
                raise UsageError(f"{name} is {given}; use 1 or more")
        if not 0 < self.learning_rate < math.inf:
            raise UsageError(f"the learning rate is {self.learning_rate}; use a positive number, e.g. 0.003")
        if not 0 <= self.weight_decay < math.inf:
            raise UsageError(f"the weight decay is {self.weight_decay}; use 0 (none) or more, e.g. 0.001")
        for name, part in (("label smoothing", self.label_smoothing), ("ema", self.ema)):
            if not 0 <= part < 1:
                raise UsageError(f"{name} is {part}; use 0 up to, but not, 1")
        for name, count in (("pool", self.pool), ("patience", self.patience), ("patience_from", self.patience_from)):
            if count < 0:
                raise UsageError(f"{name} is {count}; use 0 or more")
        if not 0 <= self.balance <= 1:
            raise UsageError(f"balance is {self.balance}; use 0 (as in the pictures) to 1 (equally many of each class)")
        for name, given, known in (
            ("optimizer", self.optimizer, Optimizer),
            ("rate", self.rate, Rate),
            ("solver", self.solver, Solver),
        ):
            if given not in get_args(known):
                raise UsageError(f"{name} {given!r} is not known; use {', '.join(get_args(known))}")
        if self.rate == "drops" and self.drop_every < 1:
            raise UsageError("the step size drops every 0 steps; give drop_every, the steps between drops")
        self._check_kind()

    def _check_kind(self) -> None:
        if self.pixels < 0:
            raise UsageError(f"{self.pixels} pixels a step were asked for; use 0 (whole pictures) or more, e.g. 1024")
        if self.pixels and not issubclass(decoder_class(self.kind), PointwiseDecoder):
            raise UsageError(
                f"{self.pixels} pixels a step were asked for; decoder {self.kind} learns from whole pictures, use 0"
            )
        if self.solver == "closed" and self.kind != "linear":
            raise UsageError(f"decoder {self.kind} has no closed form; only linear has, use solver gradient")
        if self.solver == "closed" and self.noise_augment:
            raise UsageError("the closed form looks at the pictures once, so fresh noise has no place; leave one out")

    @property
    def kind(self) -> str:
        """Name of the kind of decoder."""
        return next(name for name, kind in DECODERS.items() if kind.config_class is type(self.decoder))


OURS: dict[str, dict[str, Any]] = {
    "light": {"steps": 200, "batch": 4, "learning_rate": 0.003},
    "cnn": {"steps": 300, "batch": 2, "learning_rate": 0.001},
    "fpn": {"steps": 150, "batch": 2, "learning_rate": 0.002},
    "mlp": {"steps": 300, "pixels": 1024, "learning_rate": 0.003},
    "ensemble": {"steps": 300, "pixels": 512, "learning_rate": 0.003},
    "linear": {"solver": "closed"},
}
"""Our schedules; docs/log.md has the experiments behind them."""


LARGE_PX = 256
"""From this size on one picture a step is enough for the dilated CNN: it has 16 times the pixels of one of 64 px."""


def _ours(kind: str, size: int) -> dict[str, Any]:
    return OURS[kind] | ({"batch": 1} if kind == "cnn" and size >= LARGE_PX else {})


def paper_schedule(config: DecoderConfig, kind: str, shots: int, size: int) -> dict[str, Any]:
    """The schedule of the paper that a decoder is from, for so many annotated pictures of `size` px.

    Epochs become steps: an epoch shows each picture, or each pixel, once. Here they are drawn with replacement.

    Raises:
        UsageError: the paper does not train this decoder on annotated pictures alone.
    """
    plain = {"learning_rate": 1e-3, "rate": "constant", "ema": 0.0, "balance": 0.0}
    if kind == "light":  # the released code: 24 epochs of at least 5 pictures, one a step
        return plain | {"steps": 24 * max(5, shots), "batch": 1}
    repurposegan = {"steps": 1000 * shots, "batch": 1, "weight_decay": 1e-3, "rate": "drops", "drop_every": 50 * shots}
    if kind == "cnn" or (isinstance(config, MLPConfig) and config.paper == "repurposegan"):
        return plain | repurposegan
    if kind in ("mlp", "ensemble"):  # DatasetGAN: from epoch 4 on it ends when 50 steps brought nothing
        epoch = math.ceil(shots * size**2 / 64)
        stop = {"patience": 50, "patience_from": 4 * epoch}
        return plain | stop | {"steps": 100 * epoch, "pixels": 64, "pool": 0}
    if kind == "linear":  # LSE: 50 epochs, gradients of all pictures summed, other noise each time
        return plain | {"steps": 50, "batch": shots, "noise_augment": True}
    raise UsageError(
        "the paper's annotator with a feature pyramid learns by gradient matching, not from annotated pictures; use "
        "--schedule ours"
    )


def scheduled(config: DecoderConfig, schedule: Schedule, shots: int, size: int, **choices: Any) -> FitConfig:
    """The settings for so many annotated pictures of `size` px, by our schedule or the paper's.

    `choices` that are not None go before either.

    Raises:
        UsageError: no such schedule, or settings that cannot be used together.
    """
    known = get_args(Schedule)
    if schedule not in known:
        raise UsageError(f"schedule {schedule!r} is not known; use {' or '.join(known)}{nearest(schedule, known)}")
    kind = FitConfig(decoder=config).kind
    settings = _ours(kind, size) if schedule == "ours" else paper_schedule(config, kind, shots, size)
    chosen = {name: value for name, value in choices.items() if value is not None}
    by_gradient = _by_gradient(chosen)
    if schedule == "paper" and chosen.get("solver") == "closed":
        raise UsageError("the paper fits by gradient steps; use solver gradient, or schedule ours")
    if settings.get("solver") == "closed" and by_gradient:
        settings = {"steps": 300, "pixels": 1024, "learning_rate": 0.003}
    return replace(FitConfig(decoder=config), **(settings | chosen))


STEPWISE = ("steps", "batch", "pixels", "balance", "learning_rate", "weight_decay", "label_smoothing", "noise_augment")
"""What only means something to a fit by gradient steps."""


def _by_gradient(chosen: dict[str, Any]) -> bool:
    """Whether someone who chose these wants gradient steps.

    Raises:
        UsageError: these and the closed form were asked for.
    """
    stepwise = [name for name in STEPWISE if name in chosen]
    if stepwise and chosen.get("solver") == "closed":
        raise UsageError(f"the closed form takes no steps, so {stepwise[0]} means nothing to it; leave one out")
    return bool(stepwise) or chosen.get("solver") == "gradient"
