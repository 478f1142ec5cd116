"""Training settings by name: the public StyleGAN2-ADA ones, and `tiny`, ours, for small pictures on a CPU."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from gannotate.errors import UsageError, nearest
from gannotate.generators.stylegan2 import StyleGAN2Config

AugmentMode = Literal["ada", "fixed", "none"]


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """Everything that defines a generator's training, but for the pictures and the time."""

    network: StyleGAN2Config
    """Shape of generator and discriminator."""
    batch: int = 32
    """Pictures a step."""
    learning_rate: float = 0.0025
    """Adam's step size for both networks, before the correction for lazy regularisation."""
    r1_gamma: float = 1.0
    """Weight of the gradient penalty (halved in the loss)."""
    r1_interval: int = 16
    """Steps between gradient penalties."""
    path_weight: float = 2.0
    """Weight of the path length penalty; 0 turns it off."""
    path_interval: int = 4
    """Steps between path length penalties."""
    path_shrink: int = 2
    """The path length penalty sees batch / path_shrink pictures."""
    mixing: float = 0.9
    """Chance that a picture is drawn with two styles."""
    ema_kimg: float = 10.0
    """Half-life of the averaged generator, in thousand pictures."""
    ema_ramp: float | None = 0.05
    """The half-life is at most this part of the pictures seen so far; no limit when not given."""
    group: int = 4
    """Group of the minibatch standard deviation."""
    patch_stem: bool = False
    """The discriminator starts at half size with overlapping patches: about a third cheaper in all."""
    augment: AugmentMode = "ada"
    """ada: strength set by the controller; fixed: shifts and mild colour at a fixed rate; none."""
    augment_p: float = 0.7
    """Rate of each change with `fixed`."""
    ada_target: float = 0.6
    """Target of the ADA controller: mean sign of the discriminator on real pictures."""
    ada_kimg: float = 500.0
    """Thousand pictures in which p can go from 0 to 1."""
    mirror: bool = False
    """Left-right flipped copies belong to the pictures."""
    turn90: bool = False
    """Copies turned by quarter turns belong to the pictures."""

    def __post_init__(self) -> None:
        for name in ("batch", "r1_interval", "path_interval", "path_shrink", "group"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; use 1 or more")
        for name in ("learning_rate", "ada_kimg"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} is {getattr(self, name)}; use a number above 0")
        for name in ("r1_gamma", "path_weight", "ema_kimg", "ema_ramp"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise UsageError(f"{name} is {value}; use a number from 0 on")
        for name, least in (("mixing", 0), ("augment_p", 0), ("ada_target", -1)):
            if not least <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name)}; use {least} to 1")
        if self.augment not in get_args(AugmentMode):
            known = get_args(AugmentMode)
            raise UsageError(f"augment {self.augment!r} is not known; use {', '.join(known)}")


@dataclass(frozen=True)
class _Preset:
    batch: int
    group: int
    fmaps: float
    learning_rate: float
    gamma: float
    ema_kimg: float
    ramp: float | None
    mapping_layers: int


_PUBLIC = {
    "stylegan2": _Preset(32, 4, 1, 0.002, 10, 10, None, 8),
    "paper256": _Preset(64, 8, 0.5, 0.0025, 1, 20, None, 8),
    "paper512": _Preset(64, 8, 1, 0.0025, 0.5, 20, None, 8),
}

NAMES = ("tiny", "auto", *_PUBLIC)


def preset(name: str, size: int, image_channels: int) -> AdversarialConfig:
    """The settings called `name` for pictures of `size` px.

    Raises:
        UsageError: unknown name.
    """
    if name == "tiny":
        return _tiny(size, image_channels)
    if name not in NAMES:
        raise UsageError(f"no preset {name!r}; there are {', '.join(NAMES)}{nearest(name, NAMES)}")
    chosen = _PUBLIC.get(name) or _auto(size)
    network = StyleGAN2Config(
        size=size,
        image_channels=image_channels,
        mapping_layers=chosen.mapping_layers,
        channel_base=int(chosen.fmaps * 32768),
    )
    return AdversarialConfig(
        network=network,
        batch=chosen.batch,
        learning_rate=chosen.learning_rate,
        r1_gamma=chosen.gamma,
        ema_kimg=chosen.ema_kimg,
        ema_ramp=chosen.ramp,
        group=chosen.group,
    )


def _auto(size: int) -> _Preset:
    """The public `auto` heuristic for one device."""
    batch = max(min(min(4096 // size, 32), 64), 1)
    return _Preset(
        batch=batch,
        group=min(batch, 4),
        fmaps=1 if size >= 512 else 0.5,
        learning_rate=0.002 if size >= 1024 else 0.0025,
        gamma=0.0002 * size**2 / batch,
        ema_kimg=batch * 10 / 32,
        ramp=0.05,
        mapping_layers=2,
    )


def _tiny(size: int, image_channels: int) -> AdversarialConfig:
    """0.76 M parameters at 64 px: 128 channels up to 8 px, 16 at 64 px, short latents, a light gradient penalty."""
    network = StyleGAN2Config(
        size=size,
        image_channels=image_channels,
        z_dim=128,
        w_dim=128,
        mapping_layers=2,
        channel_base=1024 * max(1, size // 64),
        channel_max=128,
    )
    return AdversarialConfig(
        network=network,
        r1_gamma=0.5 * (size / 64) ** 2,
        path_interval=8,
        augment="fixed",
        patch_stem=True,
        batch=16,
    )


def with_choices(config: AdversarialConfig, **choices: object) -> AdversarialConfig:
    """`config` with the given fields changed; None leaves a field as it is."""
    return replace(config, **{name: value for name, value in choices.items() if value is not None})  # pyright: ignore[reportArgumentType]
