"""Second phase of SemanticGAN: an encoder from pictures to the latents of the joint generator.

A feature pyramid (Lin et al. 2017) read at up to three levels: coarse styles from the smallest, fine ones from the
largest (Richardson et al. 2021; Li et al. 2021, section 3.3). Smaller than the authors' ResNet-50, without batch
statistics, and one read-out a level in place of one a style.
"""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.data.augment import augment
from gannotate.data.labelled import LabelledSet
from gannotate.inversion.encoder import GROUPS, LAST_PX, EncoderBlock
from gannotate.inversion.latents import latent_statistics, mix_styles
from gannotate.inversion.losses import PictureLoss
from gannotate.seeding import stream_seed
from gannotate.segmenters.semantic_gan.config import SemanticGANConfig
from gannotate.segmenters.semantic_gan.generator import JointGenerator, Pair
from gannotate.segmenters.semantic_gan.losses import label_loss, picture_losses
from gannotate.segmenters.semantic_gan.trainer import ENCODER
from gannotate.segmenters.sources import Batch, Stored, pick, to_float
from gannotate.training import distributed
from gannotate.training.average import follow
from gannotate.training.descent import Compute, Descent
from gannotate.training.schedules import half_cosine, set_rate
from gannotate.training.shares import Share, in_parts, own_place

COARSE, MEDIUM = 3, 4
"""Styles that are read at the smallest level and at the next; all others are read at the largest."""

EMA = 0.995
"""Of the averaged weights, which are kept."""


class StyleHead(nn.Module):
    """One level of the pyramid to the offsets of its styles: halved down to 4 px, then one linear layer."""

    def __init__(self, channels: int, side: int, styles: int, w_dim: int) -> None:
        super().__init__()
        halvings = int(math.log2(side // LAST_PX))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(halvings))
        self.linear = nn.Linear(channels * LAST_PX**2, styles * w_dim)
        self.styles = styles
        # every picture starts at the average latent
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n styles d"]:
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        return self.linear(F.relu(x).flatten(1)).unflatten(1, (self.styles, -1))


class PyramidEncoder(nn.Module):
    """Pictures (n, c, size, size) in [-1, 1] to w+ (n, styles, w): the average latent plus an offset for each style."""

    average: Tensor
    deviation: Tensor

    def __init__(self, size: int, image_channels: int, styles: int, w_dim: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(image_channels, width, 4, stride=2, padding=1)
        halvings = int(math.log2(size // 2 // LAST_PX))
        widths = [width * min(2**step, 8) for step in range(halvings + 1)]
        self.blocks = nn.ModuleList(EncoderBlock(a, b) for a, b in pairwise(widths))
        # the smallest levels first, as the styles come
        levels = list(reversed(widths))[:3]
        inner = 2 * width
        self.laterals = nn.ModuleList(nn.Conv2d(channels, inner, 1) for channels in levels)
        self.smooth = nn.ModuleList(nn.Conv2d(inner, inner, 3, padding=1) for _ in levels[1:])
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, channels) for channels in levels)
        self.heads = nn.ModuleList(
            StyleHead(inner, LAST_PX * 2**level, count, w_dim)
            for level, count in enumerate(split_styles(styles, len(levels)))
        )
        self.register_buffer("average", torch.zeros(w_dim))
        self.register_buffer("deviation", torch.ones([]))

    def forward(self, picture: Float[Tensor, "n c h w"]) -> Float[Tensor, "n styles w"]:
        found = [self.stem(picture)]
        for block in self.blocks:
            found.append(block(found[-1]))
        offsets: list[Tensor] = []
        above: Tensor | None = None
        for level, head in enumerate(self.heads):
            x = self.laterals[level](F.relu(self.norms[level](found[-1 - level])))
            if above is not None:
                x = self.smooth[level - 1](x + F.interpolate(above, scale_factor=2, mode="bilinear"))
            offsets.append(head(x))
            above = x
        return self.average + self.deviation * torch.cat(offsets, dim=1)


def split_styles(styles: int, levels: int) -> list[int]:
    """How many styles each level gives, the smallest level first."""
    counts = [min(COARSE, styles), min(MEDIUM, max(0, styles - COARSE))][: levels - 1]
    return [*counts, styles - sum(counts)]


def make_encoder(generator: JointGenerator, width: int) -> PyramidEncoder:
    """A new encoder for `generator`, with random weights from the global torch generator."""
    shape = (generator.size, generator.image_channels, generator.style_count, generator.w_dim)
    return PyramidEncoder(*shape, width)


class EncoderTrainer:
    """Teaches an encoder of a finished joint generator; `average` is the one to keep.

    Every step sees drawn pairs (their latents, pictures and labels are known), unlabelled pictures (they must be drawn
    again) and labelled ones (and so must their labels).

    Args:
        first: the loop's step at which this phase begins.
    """

    def __init__(
        self,
        generator: JointGenerator,
        labelled: LabelledSet,
        unlabelled: np.ndarray,
        settings: SemanticGANConfig,
        loss: PictureLoss,
        about: dict[str, Any],
        first: int,
        compute: Compute | None = None,
    ) -> None:
        self.compute = compute or Compute()
        self.descent = Descent(self.compute)
        self.generator, self.settings, self.loss, self.about, self.first = generator, settings, loss, about, first
        self.labelled = Stored(labelled, "hard")
        self.pictures = torch.from_numpy(unlabelled).permute(0, 3, 1, 2)
        self.device = next(generator.parameters()).device
        statistics = latent_statistics(generator)
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(settings.seed, "encoder"))
            self.encoder = make_encoder(generator, settings.encoder_width).to(self.device)
        self.encoder.average.copy_(statistics.average)
        self.encoder.deviation.fill_(statistics.deviation / generator.w_dim**0.5)
        self.average = copy.deepcopy(self.encoder).eval().requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), settings.encoder_learning_rate)

    def step(self, index: int) -> dict[str, float]:
        """One step on pictures of all three kinds; they go through both networks together."""
        settings, local = self.settings, index - self.first
        set_rate(self.optimizer, settings.encoder_learning_rate * half_cosine(local, settings.encoder_steps))
        own, found = own_place(settings.batch), list[dict[str, Tensor]]()
        picked = pick(len(self.pictures), settings.batch)[own.slice]
        unlabelled = to_float(self.pictures[picked].to(self.device))
        batch = self.labelled.batch(settings.batch, self.device, own.slice)

        def loss_of(share: Share) -> tuple[Tensor, int]:
            part = share.place.within(own)
            parts = self._parts(unlabelled[part], batch.part(part), share)
            found.append({name: each.detach() for name, each in parts.items()})
            # each part is what this pass adds to that of all pictures, where a mean over its own is asked for
            return torch.stack(list(parts.values())).sum() * (share.place.of / len(share.place)), len(share.place)

        self.descent(self.encoder.parameters(), settings.batch, loss_of, begin=found.clear)
        nn.utils.clip_grad_norm_(self.encoder.parameters(), settings.encoder_clip)
        self.optimizer.step()
        follow(self.average, self.encoder, EMA, local)
        sums = {f"encoder_{name}": torch.stack([parts[name] for parts in found]).sum() for name in found[0]}
        return {**distributed.summed(**sums), **self.descent.metrics(settings.batch)}

    def state(self) -> dict[str, Any]:
        """Weights, average, optimizer, the generator, and what is trained on what."""
        return {
            "phase": ENCODER,
            "about": self.about,
            "first": self.first,
            "generator": self.generator.state_dict(),
            "encoder": self.encoder.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave; the first phase's state is where this one begins."""
        if state["phase"] != ENCODER:
            return
        self.encoder.load_state_dict(state["encoder"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _parts(self, unlabelled: Float[Tensor, "n c h w"], batch: Batch, share: Share) -> dict[str, Tensor]:
        """The weighted parts of the loss at a pass's pictures, and at as many drawn ones."""
        settings = self.settings
        labelled = Batch(*augment(*batch, settings.augmentation))
        drawn_w, drawn = self._drawn(len(share.place) if settings.drawn_weight else 0)
        given = torch.cat([unlabelled, labelled.pictures, drawn.pictures])
        w = self.compute.said(self.encoder, given)
        with in_parts(len(given) // len(share.place)):
            noise = self._noise(len(given))
        return self._losses(w, given, self._pair(w, noise), labelled, drawn_w, drawn, share)

    def _pair(self, w: Float[Tensor, "n styles d"], noise: list[Tensor]) -> Pair:
        with self.compute.autocast(self.device):
            pair = self.generator.pair(w, noise)
        return Pair(pair.pictures.float(), pair.codes.float())

    def _losses(
        self,
        w: Float[Tensor, "n styles d"],
        given: Float[Tensor, "n c h w"],
        redrawn: Pair,
        labelled: Batch,
        drawn_w: Float[Tensor, "m styles d"],
        drawn: Pair,
        share: Share,
    ) -> dict[str, Tensor]:
        """The weighted parts of the loss; `given` and its codes hold unlabelled, labelled, drawn ones, in order.

        Of several processes and passes each gives what its pictures add to them.
        """
        settings, count = self.settings, len(share.place)
        pictures = picture_losses(
            redrawn.pictures, given, self.loss, settings.pixel_weight, settings.perceptual_weight
        ).split([count, count, len(drawn_w)])
        codes = redrawn.codes[count : 2 * count]
        parts = {
            "unlabelled": share.part_of(pictures[0].mean()),
            "labelled": share.part_of(pictures[1].mean()),
            "labels": settings.label_weight * label_loss(codes, labelled.label_maps, share),
        }
        if len(drawn_w):
            offset = (w[2 * count :] - drawn_w) / self.encoder.deviation
            labels = label_loss(redrawn.codes[2 * count :], drawn.codes.argmax(dim=1), share)
            weight = settings.drawn_weight
            parts["drawn"] = weight * share.part_of(pictures[2].mean())
            parts["drawn_w"] = weight * share.part_of(offset.square().mean())
            parts["drawn_labels"] = weight * settings.label_weight * labels
        return parts

    @torch.no_grad()
    def _drawn(self, count: int) -> tuple[Tensor, Pair]:
        """So many latents, and the pairs drawn from them."""
        with in_parts(2):
            z = torch.randn(2 * count, self.generator.z_dim).to(self.device)
        first, second = self.generator.map(z).split([count, count])
        w = mix_styles(first, second, 0.5)
        return w, self._pair(w, self._noise(count))

    def _noise(self, count: int) -> list[Tensor]:
        return [torch.randn(count, 1, h, w).to(self.device) for h, w in self.generator.noise_shapes]
