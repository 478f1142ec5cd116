"""One step of a GAN's training (StyleGAN2 with adaptive augmentation), for the common training loop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import UsageError
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
from gannotate.training import distributed
from gannotate.training.descent import Compute, Descent, LossOf, random_state, set_random_state
from gannotate.training.shares import Share, in_parts, mean_of_all, own_place, passes

PATH_DECAY = 0.01
W_AVERAGE_BETA = 0.995

D = TypeVar("D")


class AdversarialTrainer:
    """Generator, discriminator and the averaged generator, with their optimisers.

    pictures: uint8 (n, size, size, channels), kept in memory and read in shuffled epochs. `compute` says how it is
    computed; its compilation is refused, since torch compiles no second derivatives, which both penalties take.

    Raises:
        UsageError: compilation was asked for.
    """

    remedy = "Try a higher --gamma"  # the presets have the learning rates

    def __init__(
        self,
        pictures: np.ndarray,
        config: AdversarialConfig,
        seed: int,
        device: str = "cpu",
        compute: Compute | None = None,
    ) -> None:
        self.compute = compute or Compute()
        if self.compute.compile:
            raise UsageError(
                "torch compiles no second derivatives, which a generator's training takes; leave --compile out"
            )
        self.descent = Descent(self.compute)
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
        (own,) = passes(config.batch)
        with own:
            real = self._real_batch(index)
        # the pictures that the discriminator sees serve the generator's step too: one drawing less a step
        fakes = Fakes(self, own, self._draw)
        metrics |= self._discriminator_step(real, lambda share: fakes(share, graph=False))
        if index % config.r1_interval == 0:
            metrics |= self._r1_step(real)
        metrics |= self._generator_step(fakes)
        if config.path_weight and index % config.path_interval == 0:
            metrics |= self._path_step()
        self._update_average(index)
        if config.augment == "ada":
            self.ada.update(index, config.batch)
        return metrics | {"augment_p": self._p(), **self.descent.metrics(config.batch)}

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
        places = range(index * batch, (index + 1) * batch)[own_place(batch).slice]
        order = {
            epoch: numpy_stream(self.seed, "epoch", epoch).permutation(count)
            for epoch in {place // count for place in places}
        }
        chosen = self.pictures[[order[place // count][place % count] for place in places]]
        real = from_uint8(chosen).to(self.device, memory_format=torch.channels_last)
        return _own_symmetry(real, self.config.mirror, self.config.turn90)

    def _styles(self, count: int, follow: bool) -> Float[Tensor, "n styles w"]:
        """w+ of random latents; `mixing` of them change to a second latent at a random layer.

        `follow`: the running mean of w follows them, which it does once, however often they are drawn.
        """
        generator = self.generator
        with in_parts(2):
            z = torch.randn(2 * count, generator.z_dim, device=self.device)
        w = generator.mapping(z)
        if follow:
            with torch.no_grad():
                generator.mapping.w_avg.lerp_(mean_of_all(w[:count].float()), 1 - W_AVERAGE_BETA)
        first, second = w[:count, None], w[count:, None]
        change = torch.randint(1, generator.style_count, (count, 1))
        change = torch.where(torch.rand(count, 1) < self.config.mixing, change, generator.style_count)
        keep = (torch.arange(generator.style_count)[None] < change).to(self.device)
        return torch.where(keep[:, :, None], first, second)

    def _noise(self, count: int) -> list[Float[Tensor, "n 1 _ _"]]:
        """New noise maps for so many pictures."""
        return [torch.randn(count, 1, h, w, device=self.device) for h, w in self.generator.noise_shapes]

    def _draw(self, count: int) -> Float[Tensor, "n c h w"]:
        """So many pictures; w, which says all of a picture and costs next to nothing, is in float32 always."""
        styles = self._styles(count, follow=False)
        with self.compute.autocast(self.device):
            return self.generator.synthesize(styles, self._noise(count)).picture.float()

    def _discriminator_step(self, real: Tensor, fakes: Callable[[Share], Tensor]) -> dict[str, float]:
        own, signs = own_place(self.config.batch), list[Tensor]()

        def loss_of(share: Share) -> tuple[Tensor, int]:
            both = torch.cat([real[share.place.within(own)], fakes(share).detach()])
            # one pass for both halves, augmented alike
            with in_parts(2):
                both = self._augment(both)
            with self.compute.autocast(self.device):
                logits = self.discriminator(both, parts=2).float()
            real_logits, fake_logits = logits.chunk(2)
            signs.append(torch.stack([part.detach().sign().sum() for part in (real_logits, fake_logits)]))
            return discriminator_loss(real_logits, fake_logits), len(share.place)

        loss = self._descend(self.d_optimizer, self.config.batch, loss_of, begin=signs.clear)
        summed = distributed.total(torch.stack(signs).sum(0))
        self.ada.note_signs(float(summed[0]), self.config.batch)
        real_sign, fake_sign = (summed / self.config.batch).tolist()
        return {"d_loss": loss, "d_real_sign": real_sign, "d_fake_sign": fake_sign}

    def _r1_step(self, real: Tensor) -> dict[str, float]:
        own = own_place(self.config.batch)

        def loss_of(share: Share) -> tuple[Tensor, int]:
            # the gradient is taken at the augmented pictures: what the discriminator sees is what must be smooth, and
            # no second derivative has to go through the warp
            seen = self._augment(real[share.place.within(own)]).detach().requires_grad_(True)
            return r1_penalty(seen, self.discriminator(seen)), len(share.place)

        weight = self.config.r1_gamma / 2 * self.config.r1_interval
        return {"r1": self._descend(self.d_optimizer, self.config.batch, loss_of, weight)}

    def _generator_step(self, fakes: Fakes[Tensor]) -> dict[str, float]:
        def loss_of(share: Share) -> tuple[Tensor, int]:
            seen = self._augment(fakes(share, graph=True))
            with self.compute.autocast(self.device):
                logits = self.discriminator(seen)
            return generator_loss(logits.float()), len(share.place)

        self.discriminator.requires_grad_(False)
        try:
            return {"g_loss": self._descend(self.g_optimizer, self.config.batch, loss_of)}
        finally:
            self.discriminator.requires_grad_(True)

    def _path_step(self) -> dict[str, float]:
        """Path length regularisation (StyleGAN2, section 3.2): pulls |J_w^T y| towards its running mean.

        The mean is over all processes; of several passes each moves it by its part.
        """
        count = max(1, self.config.batch // self.config.path_shrink)
        means, mean_before = list[float](), self.path_mean
        self._follow_styles(count)

        def begin() -> None:
            means.clear()
            self.path_mean = mean_before

        def loss_of(share: Share) -> tuple[Tensor, int]:
            mine = len(share.place)
            w = self._styles(mine, follow=False)
            picture = self.generator.synthesize(w, self._noise(mine)).picture
            lengths = path_lengths(picture, w, torch.randn_like(picture))
            means.append(float(mean_of_all(lengths.detach())))
            self.path_mean += PATH_DECAY * sum(share.counts) / count * (means[-1] - self.path_mean)
            return (lengths - self.path_mean).square().mean(), mine

        weight = self.config.path_weight * self.config.path_interval
        penalty = self._descend(self.g_optimizer, count, loss_of, weight, begin)
        return {"path_penalty": penalty, "path_length": sum(means) / len(means)}

    @torch.no_grad()
    def _follow_styles(self, count: int) -> None:
        """Lets the running mean of w follow the next `count` styles, all at once; they are then still to be drawn."""
        before = random_state()
        (own,) = passes(count)
        with own:
            self._styles(len(own.place), follow=True)
        set_random_state(before)

    def _descend(
        self,
        optimizer: torch.optim.Optimizer,
        samples: int,
        loss_of: LossOf,
        weight: float = 1.0,
        begin: Callable[[], None] | None = None,
    ) -> float:
        moved = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        loss = self.descent(moved, samples, loss_of, weight, begin)
        step_down(optimizer)
        return loss

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


class Fakes(Generic[D]):
    """What is drawn in one step: once where it fits in memory, else pass by pass, each time anew.

    It is drawn when a pass asks for it, where memory may run out; its random numbers are used up at once. These are
    those of the trainer's `_styles` and `_noise`: `draw` takes no others, and lets no mean follow the styles again.
    """

    def __init__(self, trainer: AdversarialTrainer, own: Share, draw: Callable[[int], D]) -> None:
        self.draw, self.own, self.before = draw, own, random_state()
        self.kept: D | None = None
        with own, torch.no_grad():
            trainer._styles(len(own.place), follow=True)
            trainer._noise(len(own.place))

    def __call__(self, share: Share, graph: bool) -> D:
        """That of a pass; with `graph` gradients flow to the generator."""
        all_own = share.place == self.own.place
        if all_own and self.kept is not None:
            return self.kept
        self.kept = None  # did not fit together with what comes after it
        now = random_state()
        set_random_state(self.before)
        # the generator's step will ask for them too
        with torch.set_grad_enabled(graph or all_own):
            drawn = self.draw(len(share.place))
        set_random_state(now)
        if all_own:
            self.kept = drawn
        return drawn


def step_down(optimizer: torch.optim.Optimizer) -> None:
    """One step down the gradients that are there."""
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
