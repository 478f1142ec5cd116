"""What a generator is made of: its taps, its styles, its parameters, and the memory that its features take."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from gannotate.generators.base import Generator, Tap

Group = Literal["coarse", "middle", "fine"]
"""The StyleGAN paper's words for layers of up to 8, of up to 32, and of more pixels (Karras et al. 2019, figure 3)."""

COARSE_PX, MIDDLE_PX = 8, 32
"""Largest sides of the coarse and of the middle layers."""

FLOAT32_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class TapInfo:
    """One tap: where it is, and what one picture's share of it takes as float32."""

    name: str
    """As `synthesize` and decoders call it."""
    channels: int
    """Feature maps."""
    height: int
    """In px."""
    width: int
    """In px."""
    place: int
    """1 for the first tap of its size, 2 for the second, in drawing order."""
    of: int
    """Taps of this size."""
    doubles: bool
    """Whether it is larger than the tap before."""
    group: Group
    """See `Group`."""
    style: int
    """The style vector that drives it."""
    native_mb: float
    """Memory at its own size."""
    stacked_mb: float
    """Memory when it is upsampled to the picture's size, as naive feature stacks do."""


@dataclass(frozen=True, kw_only=True)
class GeneratorInfo:
    """What `gannotate info` shows of a network. Megabytes are 10^6 bytes."""

    size: int
    """Side of the picture in px."""
    image_channels: int
    """1 (grey) or 3 (RGB)."""
    z_dim: int
    """Length of the latent."""
    w_dim: int
    """Length of a style vector."""
    style_count: int
    """Style vectors that a picture takes."""
    classes: int
    """Classes that it can be asked for; 0 for an unconditional one."""
    styles: dict[Group, tuple[int, ...]]
    """Styles of each group; one without any is left out."""
    taps: tuple[TapInfo, ...]
    """Every activation that can be read, in drawing order."""
    parameters: dict[str, int]
    """Trained numbers by part: `mapping`, `synthesis.b4`, ..."""
    noise_values: int
    """Numbers of the noise maps that one picture takes."""

    @property
    def features(self) -> int:
        """Channels of all taps together: the length of a pixel's naive feature vector."""
        return sum(tap.channels for tap in self.taps)

    @property
    def native_mb(self) -> float:
        """All taps of one picture at their own sizes, where decoders project them."""
        return sum(tap.native_mb for tap in self.taps)

    @property
    def stacked_mb(self) -> float:
        """All taps of one picture upsampled to its size and stacked, as the papers' code does."""
        return sum(tap.stacked_mb for tap in self.taps)


def inspect(generator: Generator) -> GeneratorInfo:
    """Everything that can be told without drawing a picture."""
    return GeneratorInfo(
        size=generator.size,
        image_channels=generator.image_channels,
        z_dim=generator.z_dim,
        w_dim=generator.w_dim,
        style_count=generator.style_count,
        classes=generator.label_dim,
        styles=style_groups(generator),
        taps=_tap_infos(generator),
        parameters=count_parameters(generator),
        noise_values=sum(height * width for height, width in generator.noise_shapes),
    )


def group_of(side_px: int) -> Group:
    """The group of a layer of that many pixels."""
    return "coarse" if side_px <= COARSE_PX else "middle" if side_px <= MIDDLE_PX else "fine"


def styles_before_taps(generator: Generator) -> int:
    """Styles before that of the first tap: tap k is driven by style k plus this number.

    StyleGAN has a style a tap, StyleGAN2 one more, for the last conversion to colours (those before it share the
    style of the next block's first layer), and StyleGAN3 also one before all, which turns and shifts its input.
    """
    return max(0, generator.style_count - len(generator.taps) - 1)


def style_sides(generator: Generator) -> tuple[int, ...]:
    """Side in px of the layer that each style drives; the picture's for a style of the conversion to colours."""
    sides = [tap.height for tap in generator.taps]
    sides = sides[:1] * styles_before_taps(generator) + sides
    return tuple(sides + [generator.size] * (generator.style_count - len(sides)))


def style_groups(generator: Generator) -> dict[Group, tuple[int, ...]]:
    """Styles of each group that has any."""
    groups: dict[Group, tuple[int, ...]] = {}
    for style, side in enumerate(style_sides(generator)):
        group = group_of(side)
        groups[group] = (*groups.get(group, ()), style)
    return groups


def count_parameters(generator: Generator) -> dict[str, int]:
    """Trained numbers by part: the synthesis block by block, everything else (the mapping) as one each."""
    counts: Counter[str] = Counter()
    for name, parameter in generator.named_parameters():
        first, second, *_ = name.split(".")
        counts[f"{first}.{second}" if first == "synthesis" else first] += parameter.numel()
    return dict(counts)


def _tap_infos(generator: Generator) -> tuple[TapInfo, ...]:
    of, seen = Counter(_side(tap) for tap in generator.taps), Counter[tuple[int, int]]()
    infos, first_style = [], styles_before_taps(generator)
    for index, tap in enumerate(generator.taps):
        side = _side(tap)
        seen[side] += 1
        before = generator.taps[index - 1].height if index else tap.height
        infos.append(
            TapInfo(
                name=tap.name,
                channels=tap.channels,
                height=tap.height,
                width=tap.width,
                place=seen[side],
                of=of[side],
                doubles=tap.height > before,
                group=group_of(tap.height),
                style=index + first_style,
                native_mb=_mb(tap.channels * tap.height * tap.width),
                stacked_mb=_mb(tap.channels * generator.size**2),
            )
        )
    return tuple(infos)


def _side(tap: Tap) -> tuple[int, int]:
    return tap.height, tap.width


def _mb(values: int) -> float:
    return values * FLOAT32_BYTES / 1e6
