"""One step of a GAN's training (StyleGAN2 with adaptive augmentation), for the common training loop."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.generators.adversarial.augment import MILD, AdaController, AugmentConfig, augment
from gannotate.generators.adversarial.discriminator import Discriminator
from gannotate.generators.adversarial.losses import (
    discriminator_loss,
    generator_loss,
    path_lengths,
    r1_penalty,
)
from gannotate.generators.adversarial.presets import AdversarialConfig
from gannotate.generators.base import from_uint8
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.seeding import numpy_stream

PATH_DECAY = 0.01
W_AVERAGE_BETA = 0.995


class AdversarialTrainer:
    """Generator, discriminator and the averaged generator, with their optimisers.

    pictures: uint8 (n, size, size, channels), kept in memory and read in shuffled epochs.
    """

    def __init__(self, pictures: np.ndarray, config: AdversarialConfig, seed: int, device: str = "cpu") -> None:
        self.pictures, self.config, self.seed, self.device = pictures, config, seed, torch.device(device)
        torch.manual_seed(seed)
        self.generator = StyleGAN2(config.network).to(self.device)
        self.discriminator = Discriminator(config.network, config.group, config.patch_stem).to(self.device)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        path_interval = config.path_interval if config.path_weight else None
        self.g_optimizer = lazy_adam(self.generator.parameters(), config.learning_rate, path_interval)
        self.d_optimizer = lazy_adam(self.discriminator.parameters(), config.learning_rate, config.r1_interval)
        self.ada = AdaController(target=config.ada_target, kimg=config.ada_kimg)
        self.changes = AugmentConfig() if config.augment == "ada" else MILD
        self.path_mean = 0.0
        self.best_kid: float | None = None

    def step(self, index: int) -> dict[str, float]:
        """One step on `batch` pictures: discriminator, its penalty, generator, its penalty, average."""
        # on a CPU, tiny gradients in denormal floats are a hundred times slower; the caller's floats stay as they are
        torch.set_flush_denormal(True)
        try:
            return self._step(index)
        finally:
            torch.set_flush_denormal(False)

    def _step(self, index: int) -> dict[str, float]:
        config, metrics = self.config, {}
        real = self._real_batch(index)
        fake = self._draw(config.batch)
        metrics |= self._discriminator_step(real, fake.detach())
        if index % config.r1_interval == 0:
            metrics |= self._r1_step(real)
        # the pictures that the discriminator just saw serve the generator's step too: one drawing less a step
        metrics |= self._generator_step(fake)
        if config.path_weight and index % config.path_interval == 0:
            metrics |= self._path_step()
        self._update_average(index)
        if config.augment == "ada":
            self.ada.update(index, config.batch)
        return metrics | {"augment_p": self._p()}

    def state(self) -> dict[str, Any]:
        """Weights, optimisers, controller."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "g_optimizer": self.g_optimizer.state_dict(),
            "d_optimizer": self.d_optimizer.state_dict(),
            "ada": vars(self.ada),
            "path_mean": self.path_mean,
            "best_kid": self.best_kid,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        for name in ("generator", "discriminator", "average"):
            module: nn.Module = getattr(self, name)
            module.load_state_dict(state[name])
        self.g_optimizer.load_state_dict(state["g_optimizer"])
        self.d_optimizer.load_state_dict(state["d_optimizer"])
        self.ada = AdaController(**state["ada"])
        self.path_mean, self.best_kid = state["path_mean"], state["best_kid"]

    def _p(self) -> float:
        return {"ada": self.ada.p, "fixed": self.config.augment_p, "none": 0.0}[self.config.augment]

    def _augment(self, picture: Tensor) -> Tensor:
        return augment(picture, self._p(), self.changes)

    def _real_batch(self, index: int) -> Float[Tensor, "n c h w"]:
        count, batch = len(self.pictures), self.config.batch
        places = range(index * batch, (index + 1) * batch)
        order = {
            epoch: numpy_stream(self.seed, "epoch", epoch).permutation(count)
            for epoch in {place // count for place in places}
        }
        chosen = self.pictures[[order[place // count][place % count] for place in places]]
        real = from_uint8(chosen).to(self.device, memory_format=torch.channels_last)
        return _own_symmetry(real, self.config.mirror, self.config.turn90)

    def _styles(self, count: int) -> Float[Tensor, "n styles w"]:
        """w+ of random latents; `mixing` of them change to a second latent at a random layer."""
        generator = self.generator
        z = torch.randn(2 * count, generator.z_dim, device=self.device)
        w = generator.mapping(z)
        with torch.no_grad():
            generator.mapping.w_avg.lerp_(w[:count].mean(dim=0), 1 - W_AVERAGE_BETA)
        first, second = w[:count, None], w[count:, None]
        change = torch.randint(1, generator.style_count, (count, 1))
        change = torch.where(torch.rand(count, 1) < self.config.mixing, change, generator.style_count)
        keep = (torch.arange(generator.style_count)[None] < change).to(self.device)
        return torch.where(keep[:, :, None], first, second)

    def _noise(self, count: int) -> list[Tensor]:
        return [torch.randn(count, 1, h, w, device=self.device) for h, w in self.generator.noise_shapes]

    def _draw(self, count: int) -> Float[Tensor, "n c h w"]:
        return self.generator.synthesize(self._styles(count), self._noise(count)).picture

    def _discriminator_step(self, real: Tensor, fake: Tensor) -> dict[str, float]:
        # one pass for both halves, augmented alike
        logits = self.discriminator(self._augment(torch.cat([real, fake])), parts=2)
        real_logits, fake_logits = logits.chunk(2)
        self.ada.note(real_logits.detach())
        loss = discriminator_loss(real_logits, fake_logits)
        descend(self.d_optimizer, loss)
        return {
            "d_loss": float(loss.detach()),
            "d_real_sign": float(real_logits.detach().sign().mean()),
            "d_fake_sign": float(fake_logits.detach().sign().mean()),
        }

    def _r1_step(self, real: Tensor) -> dict[str, float]:
        # the gradient is taken at the augmented pictures: what the discriminator sees is what must be smooth, and no
        # second derivative has to go through the warp
        seen = self._augment(real).detach().requires_grad_(True)
        penalty = r1_penalty(seen, self.discriminator(seen))
        descend(self.d_optimizer, penalty * (self.config.r1_gamma / 2 * self.config.r1_interval))
        return {"r1": float(penalty.detach())}

    def _generator_step(self, fake: Tensor) -> dict[str, float]:
        self.discriminator.requires_grad_(False)
        loss = generator_loss(self.discriminator(self._augment(fake)))
        descend(self.g_optimizer, loss)
        self.discriminator.requires_grad_(True)
        return {"g_loss": float(loss.detach())}

    def _path_step(self) -> dict[str, float]:
        """Path length regularisation (StyleGAN2, section 3.2): pulls |J_w^T y| towards its running mean."""
        count = max(1, self.config.batch // self.config.path_shrink)
        w = self._styles(count)
        picture = self.generator.synthesize(w, self._noise(count)).picture
        lengths = path_lengths(picture, w, torch.randn_like(picture))
        self.path_mean += PATH_DECAY * (float(lengths.detach().mean()) - self.path_mean)
        penalty = (lengths - self.path_mean).square().mean()
        descend(self.g_optimizer, penalty * (self.config.path_weight * self.config.path_interval))
        return {"path_penalty": float(penalty.detach()), "path_length": float(lengths.detach().mean())}

    @torch.no_grad()
    def _update_average(self, index: int) -> None:
        seen_kimg = (index + 1) * self.config.batch / 1000
        half_life = self.config.ema_kimg
        if self.config.ema_ramp is not None:
            half_life = min(half_life, seen_kimg * self.config.ema_ramp)
        beta = 0.5 ** (self.config.batch / 1000 / max(half_life, 1e-8))
        pairs = zip(self.average.parameters(), self.generator.parameters(), strict=True)
        for kept, new in pairs:
            kept.lerp_(new, 1 - beta)
        self.average.mapping.w_avg.copy_(self.generator.mapping.w_avg)


def lazy_adam(parameters: Iterable[nn.Parameter], rate: float, interval: int | None) -> torch.optim.Adam:
    """Adam whose settings make up for one extra regularisation step every `interval` (StyleGAN2, appendix B)."""
    part = 1.0 if interval is None else interval / (interval + 1)
    return torch.optim.Adam(parameters, lr=rate * part, betas=(0.0, 0.99**part), eps=1e-8)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                # one wild picture must not end a day's training (the loss itself is still checked)
                torch.nan_to_num(parameter.grad, nan=0.0, posinf=1e5, neginf=-1e5, out=parameter.grad)
    optimizer.step()


def _own_symmetry(real: Tensor, mirror: bool, turn90: bool) -> Tensor:
    """Random flips and quarter turns that belong to the data itself, not to the augmentation."""
    if mirror:
        real = torch.where((torch.rand(len(real)) < 0.5).to(real.device).view(-1, 1, 1, 1), real.flip(3), real)
    if turn90:
        turns = torch.randint(0, 4, (len(real),))
        turned = [torch.rot90(one, int(turn), (1, 2)) for one, turn in zip(real, turns, strict=True)]
        real = torch.stack(turned).contiguous(memory_format=torch.channels_last)
    return real
