"""The generator contract: seeds in, pictures and their taps out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import UsageError, nearest
from gannotate.seeding import latent_of_seed, torch_stream

LAST_SEED = 2**32 - 1
"""Latents are drawn by NumPy's old generator, which takes no larger one."""

NoiseMode = Literal["const", "seeded", "none"]
"""Per-pixel noise: the checkpoint's own maps, maps drawn from each picture's seed, or none."""

CHUNK = 16
"""Seeds drawn in one pass. Fixed, because float sums depend on the batch's shape: seed s is always drawn in the chunk
that holds it, [CHUNK * (s // CHUNK), ...), so that its picture is the same bit for bit in every run."""

CACHED_PIXELS = CHUNK * 128 * 128
"""Pixels of a pass on a CPU. Activations of more leave its caches: 16 pictures of 256 px at once took up to twice as
long as by fours, and three times the memory. It depends on their size alone, so a seed is still always one picture."""


@dataclass(frozen=True)
class Tap:
    """A named activation of a generator, in drawing order: (n, channels, height, width)."""

    name: str
    channels: int
    height: int
    width: int


def find_tap(taps: Sequence[Tap], name: str, having: str) -> Tap:
    """The one of `taps` called `name`; `having` begins the list of them in the error, e.g. "this generator has".

    Raises:
        UsageError: no such tap; names the nearest.
    """
    for tap in taps:
        if tap.name == name:
            return tap
    names = [tap.name for tap in taps]
    raise UsageError(f"no tap {name!r}; {having} {', '.join(names)}{nearest(name, names)}")


@dataclass(frozen=True)
class Drawing:
    """One batch of pictures.

    picture: (n, image_channels, size, size) in about [-1, 1]. taps: the activations asked for, by name.
    """

    picture: Float[Tensor, "n c h w"]
    taps: dict[str, Float[Tensor, "n k h w"]]


class Generator(nn.Module, ABC):
    """Draws pictures from latents and lets its activations be read (taps) and exchanged (replace).

    Attributes:
        taps: every activation that can be read, in drawing order.
        z_dim, w_dim: lengths of the latent and of the style vector. style_count: style vectors a picture takes.
        size: side of the square picture in pixels. image_channels: 1 (grey) or 3 (RGB).
        label_dim: classes of a class-conditional generator, whose `map` needs labels; 0 for all others.
        architecture: its name in config.json.
    """

    architecture: ClassVar[str]
    taps: tuple[Tap, ...]
    z_dim: int
    w_dim: int
    style_count: int
    size: int
    image_channels: int
    label_dim: int = 0

    @abstractmethod
    def map(
        self,
        z: Float[Tensor, "n z"],
        psi: float = 1.0,
        cutoff: int | None = None,
        labels: Float[Tensor, "n k"] | None = None,
    ) -> Float[Tensor, "n styles w"]:
        """z -> w+. Truncation: styles before `cutoff` (all when None) move to the average: avg + psi * (w - avg).

        `labels` (n, label_dim) are rows of one-hot classes (see `labels_of`), or mixtures of them.

        Raises:
            UsageError: labels are missing, not wanted, or of another width.
        """

    @abstractmethod
    def synthesize(
        self,
        w: Float[Tensor, "n styles w"],
        noise: NoiseMode | Sequence[Float[Tensor, "n 1 h w"]] = "const",
        taps: Sequence[str] = (),
        replace: Mapping[str, Float[Tensor, "n k h w"]] | None = None,
    ) -> Drawing:
        """w+ -> picture and the taps named. `replace` puts given activations in place of the drawn ones.

        The drawing goes on from them, and what comes before the first replaced tap still feeds the picture's skip
        path. `noise="seeded"` needs explicit maps here (see `noise_of_seeds`); asking for no tap keeps none.
        """

    @property
    @abstractmethod
    def noise_shapes(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of each noise map, in drawing order; empty when the architecture draws no noise."""

    @abstractmethod
    def config_dict(self) -> dict[str, Any]:
        """What `build_generator` needs to make this network again, json-able."""

    def latents(self, seeds: Sequence[int]) -> Float[Tensor, "n z"]:
        """z of each seed, as StyleGAN2's public `generate.py` draws it."""
        z = np.stack([latent_of_seed(seed, self.z_dim) for seed in seeds])
        return torch.from_numpy(z).to(next(self.parameters()))

    def noise_of_seeds(self, seeds: Sequence[int]) -> list[Float[Tensor, "n 1 h w"]]:
        """Noise maps that are a function of each picture's seed alone, for `noise="seeded"`."""
        like = next(self.parameters())
        streams = [torch_stream(seed, "noise") for seed in seeds]
        return [
            torch.stack([torch.randn(1, h, w, generator=stream) for stream in streams]).to(like)
            for h, w in self.noise_shapes
        ]

    def labels_of(self, label: int | None, count: int) -> Float[Tensor, "n k"] | None:
        """One-hot labels of `count` pictures of class `label`; None for a generator without classes.

        Raises:
            UsageError: no class given to a class-conditional generator, a class given to another, or no such class.
        """
        if label is None:
            self.check_labels(None)
            return None
        if not 0 <= label < self.label_dim:
            accepted = f"use 0 to {self.label_dim - 1}" if self.label_dim else "it has no classes, leave it out"
            raise UsageError(f"class {label} was asked of this generator; {accepted}")
        return F.one_hot(torch.full((count,), label), self.label_dim).to(next(self.parameters()))

    def check_labels(self, labels: Tensor | None) -> None:
        """Refuses labels that this generator cannot draw from (see `map`)."""
        if labels is None and self.label_dim:
            raise UsageError(
                f"this generator draws {self.label_dim} classes; say which one, 0 to {self.label_dim - 1} (`label` of "
                "draw, or one-hot `labels` of map)"
            )
        if labels is not None and not self.label_dim:
            raise UsageError("this generator takes no class labels; leave them out")
        if labels is not None and labels.shape[1] != self.label_dim:
            raise UsageError(f"labels are {labels.shape[1]} wide; this generator has {self.label_dim} classes")

    def noise_maps(
        self, noise: NoiseMode | Sequence[Tensor], stored: Sequence[Float[Tensor, "h w"]]
    ) -> Sequence[Tensor | None]:
        """What `synthesize` adds at each layer that takes noise: the maps given, those `stored`, or None.

        Raises:
            UsageError: another number of maps than the network takes, or "seeded", which needs the seeds.
        """
        if not isinstance(noise, str):
            if len(noise) != len(stored):
                raise UsageError(f"{len(noise)} noise maps were given; this generator takes {len(stored) or 'none'}")
            return noise
        if noise == "seeded" and stored:
            raise UsageError("noise 'seeded' depends on the seeds; pass generator.noise_of_seeds(seeds)")
        return [None if noise == "none" else single[None, None] for single in stored]

    def tap(self, name: str) -> Tap:
        """The tap called `name`.

        Raises:
            UsageError: no such tap; names the nearest.
        """
        return find_tap(self.taps, name, "this generator has")


@dataclass(frozen=True, kw_only=True)
class DrawOptions:
    """How seeds become pictures; stored with everything that was drawn."""

    psi: float = 1.0
    """Truncation: 1 draws the full variety, 0 the average picture."""
    cutoff: int | None = None
    """Truncate only the first this many styles; all when not given."""
    noise: NoiseMode = "const"
    """Per-pixel noise: const (the checkpoint's maps), seeded (each picture its own) or none."""

    def __post_init__(self) -> None:
        if self.noise not in get_args(NoiseMode):
            raise UsageError(f"noise {self.noise!r} is not known; use one of {', '.join(get_args(NoiseMode))}")
        if self.cutoff is not None and self.cutoff < 0:
            raise UsageError(f"cutoff is {self.cutoff}; use 0 (no style is truncated) or more")
        if not -2 <= self.psi <= 2:
            raise UsageError(f"psi is {self.psi}; use a number from -2 to 2, most often 0.5 to 1")


@torch.inference_mode()
def draw(
    generator: Generator,
    seeds: Iterable[int],
    options: DrawOptions | None = None,
    taps: Sequence[str] = (),
    label: int | None = None,
) -> Iterator[tuple[int, Drawing]]:
    """Yields (seed, drawing of one picture) in the order given, bit-identical for any selection of seeds.

    Whole chunks are drawn (see CHUNK), so consecutive seeds are cheap and scattered ones cost a chunk each. Bit
    identity holds on one kind of machine with one thread count; across those, float tolerance. `label` is the class
    that a class-conditional generator draws.
    """
    options = options or DrawOptions()
    generator.eval()
    held_index, held = -1, None
    for seed in seeds:
        if not 0 <= seed <= LAST_SEED:
            raise UsageError(f"seed {seed} is out of range; use 0 to {LAST_SEED}")
        index, place = divmod(seed, CHUNK)
        if held is None or index != held_index:
            held_index, held = index, _draw_chunk(generator, index, options, taps, label)
        one = slice(place, place + 1)
        yield seed, Drawing(held.picture[one], {name: tensor[one] for name, tensor in held.taps.items()})


def _draw_chunk(
    generator: Generator, index: int, options: DrawOptions, taps: Sequence[str], label: int | None
) -> Drawing:
    seeds = range(index * CHUNK, (index + 1) * CHUNK)
    labels = generator.labels_of(label, CHUNK)
    w = generator.map(generator.latents(seeds), psi=options.psi, cutoff=options.cutoff, labels=labels)
    noise = generator.noise_of_seeds(seeds) if options.noise == "seeded" else options.noise
    return in_passes(generator, w, noise, taps)


def in_passes(
    generator: Generator,
    w: Float[Tensor, "n styles w"],
    noise: NoiseMode | Sequence[Float[Tensor, "n 1 h w"]],
    taps: Sequence[str] = (),
) -> Drawing:
    """`synthesize` of a chunk: at once, or on a CPU in passes of CACHED_PIXELS."""
    count = len(w) if w.device.type != "cpu" else max(1, CACHED_PIXELS // generator.size**2)
    if count >= len(w):
        return generator.synthesize(w, noise, taps=taps)
    drawn = []
    for start in range(0, len(w), count):
        some = slice(start, start + count)
        own = noise if isinstance(noise, str) else [one[some] for one in noise]
        drawn.append(generator.synthesize(w[some], own, taps=taps))
    joined = {name: torch.cat([one.taps[name] for one in drawn]) for name in taps}
    return Drawing(torch.cat([one.picture for one in drawn]), joined)


def to_uint8(picture: Float[Tensor, "n c h w"]) -> np.ndarray:
    """Pictures in [-1, 1] to uint8 (n, h, w, c): floor(127.5 x + 128), clipped, as the public `generate.py` does."""
    scaled = (picture.detach().float() * 127.5 + 128).clamp_(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def from_uint8(pictures: np.ndarray) -> Float[Tensor, "n c h w"]:
    """uint8 (n, h, w, c) to float pictures in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
