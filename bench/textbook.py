"""A step of StyleGAN2's training as the papers write it down, on our networks or the official ones.

Pictures for the discriminator are drawn apart from those for the generator, real and drawn ones are judged apart, and
the regularisers come every so many steps. What is trained, with which settings, is what `AdversarialTrainer` is given.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from generators import official_generator, official_networks
from naive import learn
from torch import Tensor, nn

from gannotate.generators.adversarial.augment import MILD, augment
from gannotate.generators.adversarial.discriminator import Discriminator
from gannotate.generators.adversarial.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty
from gannotate.generators.adversarial.presets import AdversarialConfig
from gannotate.generators.adversarial.trainer import lazy_adam
from gannotate.generators.base import from_uint8
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.training.average import follow

DECAY, PATH_DECAY = 0.999, 0.01
"""A step: of the averaged generator, and of the mean path length."""

Networks = tuple[nn.Module, nn.Module, Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]
"""Generator, discriminator, z -> w+, w+ -> pictures."""


class TextbookTrainer:
    """Pictures: uint8 (n, size, size, channels). `reference`: train the official networks of that checkout."""

    def __init__(
        self, pictures: np.ndarray, config: AdversarialConfig, device: str = "cpu", reference: Path | None = None
    ) -> None:
        self.pictures, self.config, self.device = pictures, config, torch.device(device)
        made = _official(reference, config) if reference else _ours(config)
        self.generator, self.discriminator, self.styles, self.paint = made
        for network in made[:2]:
            network.to(self.device).to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.g_optimizer = lazy_adam(self.generator.parameters(), config.learning_rate, config.path_interval)
        self.d_optimizer = lazy_adam(self.discriminator.parameters(), config.learning_rate, config.r1_interval)
        self.path_mean = 0.0

    def step(self, index: int) -> None:
        """One step on a batch: discriminator, its penalty, generator, its penalty, average."""
        config = self.config
        real = from_uint8(self.pictures[np.random.default_rng(index).integers(0, len(self.pictures), config.batch)])
        real = real.to(self.device)
        with torch.no_grad():
            fake = self._draw(config.batch)[0]
        loss = discriminator_loss(self._judge(real), self._judge(fake))
        learn(self.d_optimizer, loss)
        if index % config.r1_interval == 0:
            seen = augment(real, config.augment_p, MILD).detach().requires_grad_(True)
            penalty = r1_penalty(seen, self._logits(seen))
            learn(self.d_optimizer, penalty * (config.r1_gamma / 2 * config.r1_interval))
        learn(self.g_optimizer, generator_loss(self._judge(self._draw(config.batch)[0])))
        if index % config.path_interval == 0:
            picture, w = self._draw(max(1, config.batch // config.path_shrink))
            lengths = path_lengths(picture, w, torch.randn_like(picture))
            self.path_mean += PATH_DECAY * (float(lengths.detach().mean()) - self.path_mean)
            penalty = (lengths - self.path_mean).square().mean()
            learn(self.g_optimizer, penalty * (config.path_weight * config.path_interval))
        follow(self.average, self.generator, DECAY, index)

    def _draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Pictures and their w+, of which some change to a second latent at a random layer."""
        first, second = (self.styles(torch.randn(count, self.config.network.z_dim, device=self.device)) for _ in "ab")
        layers = first.shape[1]
        change = torch.where(torch.rand(count, 1) < self.config.mixing, torch.randint(1, layers, (count, 1)), layers)
        keep = (torch.arange(layers)[None] < change).to(self.device)
        w = torch.where(keep[:, :, None], first, second)
        return self.paint(w), w

    def _judge(self, picture: Tensor) -> Tensor:
        return self._logits(augment(picture, self.config.augment_p, MILD))

    def _logits(self, picture: Tensor) -> Tensor:
        return self.discriminator(picture).flatten()


def _ours(config: AdversarialConfig) -> Networks:
    generator = StyleGAN2(config.network)

    def paint(w: Tensor) -> Tensor:
        noise = [torch.randn(len(w), 1, *shape, device=w.device) for shape in generator.noise_shapes]
        return generator.synthesize(w, noise).picture

    return generator, Discriminator(config.network, config.group, config.patch_stem), generator.map, paint


class _WithoutClasses(nn.Module):
    """The official discriminator takes pictures and class labels."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> Tensor:
        return self.network(picture, None)


def _official(folder: Path, config: AdversarialConfig) -> Networks:
    shape = config.network
    generator = official_generator(folder, shape)
    discriminator = official_networks(folder).Discriminator(
        0,
        shape.size,
        shape.image_channels,
        channel_base=shape.channel_base,
        channel_max=shape.channel_max,
        epilogue_kwargs={"mbstd_group_size": config.group},
    )
    return (
        generator,
        _WithoutClasses(discriminator),
        lambda z: generator.mapping(z, None),
        lambda w: generator.synthesis(w, noise_mode="random"),
    )
