"""First phase of SemanticGAN: a generator of pairs against two discriminators (Li et al. 2021, section 3.2).

D_r sees pictures, real (labelled or not) and drawn, and teaches all that draws the picture, as any StyleGAN2. D_m sees
labelled pairs and drawn ones, and teaches the label branch. As in the authors' code the drawn picture that D_m sees is
a constant: no gradient reaches the generator through it. What D_m says of the labels does go on into the layers that
the label branch reads, unless `reach` is "branch".

Ours, as five labelled pictures are soon known by heart: D_m sees real and drawn pairs moved in the same random ways
(the authors move labelled ones only). Pixels that are not labelled are hidden in both.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.data.augment import augment
from gannotate.data.labelled import LabelledSet
from gannotate.generators.adversarial.discriminator import load_discriminator
from gannotate.generators.adversarial.losses import generator_loss, r1_penalty
from gannotate.generators.adversarial.trainer import AdversarialTrainer, Fakes, lazy_adam
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import IGNORE
from gannotate.segmenters.semantic_gan.config import SemanticGANConfig
from gannotate.segmenters.semantic_gan.discriminators import (
    Activations,
    PairDiscriminator,
    deceit_loss,
    hinge_loss,
    matching_loss,
    patch_logits,
)
from gannotate.segmenters.semantic_gan.generator import JointGenerator, Pair, codes_of, joint_generator
from gannotate.segmenters.sources import Batch, Stored
from gannotate.training.descent import Compute, whole_means
from gannotate.training.loop import REMEDY
from gannotate.training.shares import Share, own_place, passes

PAIRS, ENCODER = "pairs", "encoder"
"""The phases, as checkpoints name them."""


class PairTrainer(AdversarialTrainer):
    """Teaches a joint generator; `average` is the one to keep.

    Args:
        labelled, unlabelled: pictures of the config's size (see `run.check_pictures`); unlabelled uint8 (n, h, w, c).
        start: generator whose picture part is taken over, with the discriminator kept beside it, if there is one.
        about: what is trained on what; a state is only taken back by a trainer with the same.
    """

    remedy = REMEDY  # unlike a generator's, this training has a flag for its rate

    def __init__(
        self,
        labelled: LabelledSet,
        unlabelled: np.ndarray,
        settings: SemanticGANConfig,
        start: StyleGAN2 | None,
        about: dict[str, Any],
        device: str = "cpu",
        compute: Compute | None = None,
    ) -> None:
        pictures = np.concatenate([unlabelled, labelled.pictures])
        super().__init__(pictures, settings.adversarial(start and start.config), settings.seed, device, compute)
        self.settings, self.about, self.done = settings, about, 0
        self.labelled = Stored(labelled, "hard")
        self.warmup = settings.warmup_steps if start is not None else 0
        self.joint = joint_generator(self.config.network, settings.classes, start).to(self.device)
        self.generator, self.average = self.joint, copy.deepcopy(self.joint).eval().requires_grad_(False)
        kept = load_discriminator(settings.generator, self.device) if start is not None else None
        if kept is not None:
            self.discriminator = kept.train().requires_grad_(True)
        self.pair_discriminator = PairDiscriminator(
            settings.image_channels + settings.classes, settings.size, settings.pair_width, settings.pair_scales
        ).to(self.device)
        rate, path_interval = self.config.learning_rate, self.config.path_interval if self.config.path_weight else None
        self.g_optimizer = lazy_adam(self.joint.parameters(), rate, path_interval)
        self.d_optimizer = lazy_adam(self.discriminator.parameters(), rate, self.config.r1_interval)
        r1_interval = self.config.r1_interval if settings.pair_r1_gamma else None  # without it nothing to make up for
        self.pair_optimizer = lazy_adam(self.pair_discriminator.parameters(), rate, r1_interval)

    def _step(self, index: int) -> dict[str, float]:
        config, resting = self.config, index < self.warmup
        (own,) = passes(config.batch)
        with own:
            real = self._real_batch(index)
        labelled = self.labelled.batch(config.batch, self.device, own.place.slice)
        with own:
            codes = codes_of(labelled.label_maps, self.settings.classes)
            seen = self._seen(labelled.pictures, codes, labelled.label_maps)
        apart = resting or self.settings.reach == "branch"
        fakes = Fakes(self, own, lambda count: self._draw_pair(count, apart))
        metrics = self._discriminator_step(real, lambda share: fakes(share, graph=False).pictures)
        metrics |= self._pair_discriminator_step(seen, fakes, labelled)
        if index % config.r1_interval == 0:
            metrics |= self._r1_step(real) | self._pair_r1_step(seen)
        metrics |= self._joint_step(seen, fakes, labelled, resting)
        if config.path_weight and index % config.path_interval == 0 and not resting:
            metrics |= self._path_step()
        self._update_average(index)
        if config.augment == "ada":
            self.ada.update(index, config.batch)
        self.done = index + 1
        return metrics | self.descent.metrics(config.batch)

    def state(self) -> dict[str, Any]:
        """Weights, optimisers, and what is trained on what."""
        return super().state() | {
            "phase": PAIRS,
            "about": self.about,
            "done": self.done,
            "pair_discriminator": self.pair_discriminator.state_dict(),
            "pair_optimizer": self.pair_optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        super().load_state(state)
        self.pair_discriminator.load_state_dict(state["pair_discriminator"])
        self.pair_optimizer.load_state_dict(state["pair_optimizer"])
        self.done = state["done"]

    def _draw_pair(self, count: int, apart: bool) -> Pair:
        styles = self._styles(count, follow=False)
        with self.compute.autocast(self.device):
            drawn = self.joint.pair(styles, self._noise(count), apart)
        return Pair(drawn.pictures.float(), drawn.codes.float())

    def _judged(self, seen: Float[Tensor, "n j s s"]) -> list[Activations]:
        """What D_m makes of pairs."""
        with self.compute.autocast(self.device):
            found = self.pair_discriminator(seen)
        return [[each.float() for each in scale] for scale in found]

    def _seen(
        self, pictures: Float[Tensor, "n c s s"], codes: Float[Tensor, "n k s s"], label_maps: Int[Tensor, "n s s"]
    ) -> Float[Tensor, "n j s s"]:
        """What D_m is shown: picture and codes, moved at random together; codes are 0 where nothing is labelled."""
        pictures, label_maps, moved = augment(pictures, label_maps, codes, self.settings.augmentation)
        assert moved is not None
        return torch.cat([pictures, moved * (label_maps != IGNORE).unsqueeze(1)], dim=1)

    def _seen_fake(self, fake: Pair, labelled: Batch) -> Float[Tensor, "n j s s"]:
        # hidden where the real ones are, or D_m would know pairs by that
        return self._seen(fake.pictures.detach(), fake.codes, labelled.label_maps)

    def _pair_discriminator_step(self, seen: Tensor, fakes: Fakes[Pair], labelled: Batch) -> dict[str, float]:
        own, found = own_place(self.config.batch), list[tuple[dict[str, Tensor], int]]()

        def loss_of(share: Share) -> tuple[Tensor, int]:
            part = share.place.within(own)
            with torch.no_grad():
                drawn = self._seen_fake(fakes(share, graph=False), labelled.part(part))
            real, deceived = self._judged(seen[part]), self._judged(drawn)
            means = {name: patch_logits(each).mean() for name, each in (("pair_real", real), ("pair_fake", deceived))}
            found.append(({name: each.detach() for name, each in means.items()}, len(share.place)))
            return hinge_loss(real, deceived), len(share.place)

        loss = self._descend(self.pair_optimizer, self.config.batch, loss_of, begin=found.clear)
        return {"pair_d_loss": loss, **whole_means(found, self.config.batch)}

    def _pair_r1_step(self, seen: Tensor) -> dict[str, float]:
        if not self.settings.pair_r1_gamma:
            return {}
        own = own_place(self.config.batch)

        def loss_of(share: Share) -> tuple[Tensor, int]:
            shown = seen[share.place.within(own)].detach().requires_grad_(True)
            return r1_penalty(shown, patch_logits(self.pair_discriminator(shown))), len(share.place)

        weight = self.settings.pair_r1_gamma / 2 * self.config.r1_interval
        return {"pair_r1": self._descend(self.pair_optimizer, self.config.batch, loss_of, weight)}

    def _joint_step(self, seen: Tensor, fakes: Fakes[Pair], labelled: Batch, resting: bool) -> dict[str, float]:
        """The generator's step: pictures against D_r (not while they rest), labels against D_m."""
        own, found = own_place(self.config.batch), list[tuple[dict[str, Tensor], int]]()

        def loss_of(share: Share) -> tuple[Tensor, int]:
            part, fake = share.place.within(own), fakes(share, graph=True)
            with torch.no_grad():
                real = self._judged(seen[part])
            drawn = self._judged(self._seen_fake(fake, labelled.part(part)))
            parts = {"label_loss": deceit_loss(drawn), "matching": matching_loss(real, drawn)}
            loss = parts["label_loss"] + self.settings.matching_weight * parts["matching"]
            if not resting:
                shown = self._augment(fake.pictures)
                with self.compute.autocast(self.device):
                    logits = self.discriminator(shown)
                parts["g_loss"] = generator_loss(logits.float())
                loss = loss + parts["g_loss"]
            found.append(({name: each.detach() for name, each in parts.items()}, len(share.place)))
            return loss, len(share.place)

        discriminators = (self.discriminator, self.pair_discriminator)
        for discriminator in discriminators:
            discriminator.requires_grad_(False)
        try:
            self._descend(self.g_optimizer, self.config.batch, loss_of, begin=found.clear)
        finally:
            for discriminator in discriminators:
                discriminator.requires_grad_(True)
        return whole_means(found, self.config.batch)


def generator_of(state: dict[str, Any], generator: JointGenerator) -> JointGenerator:
    """`generator` with the averaged weights of a state of either phase, frozen."""
    generator.load_state_dict(state["average" if state["phase"] == PAIRS else "generator"])
    return generator.eval().requires_grad_(False)
