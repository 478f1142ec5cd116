"""The pairs' training: where D_m's gradient goes, what rests, what is hidden, and that the branch learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gannotate.data.augment import Warp
from gannotate.data.labelled import LabelledSet
from gannotate.generators.adversarial.discriminator import Discriminator, save_discriminator
from gannotate.generators.build import save_generator
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import IGNORE
from gannotate.segmenters.semantic_gan.config import SemanticGANConfig
from gannotate.segmenters.semantic_gan.discriminators import deceit_loss
from gannotate.segmenters.semantic_gan.generator import codes_of
from gannotate.segmenters.semantic_gan.trainer import PairTrainer

Drawn = Callable[..., LabelledSet]
Settings = Callable[..., SemanticGANConfig]


def trainer(drawn: Drawn, settings: SemanticGANConfig, start: StyleGAN2 | None, labels: int = 4) -> PairTrainer:
    return PairTrainer(drawn(labels, 1000), drawn(60).pictures, settings, start, {})


@pytest.mark.parametrize("reach", ["trunk", "branch"])
def test_where_the_pair_discriminators_gradient_goes(
    drawn: Drawn, settings: Settings, start: StyleGAN2, reach: str
) -> None:
    one = trainer(drawn, settings(reach=reach), start)
    labelled = one.labelled.batch(2, one.device)
    fake = one._draw_pair(2, apart=reach == "branch")
    loss = deceit_loss(one.pair_discriminator(one._seen_fake(fake, labelled)))
    trunk: Any = one.joint.synthesis["b8"]
    first: Any = one.joint.mapping.fc0
    branch: Any = one.joint.label_branch.to_labels["b8"]
    wanted = [fake.pictures, fake.codes, branch.conv.weight, trunk.conv1.conv.weight, first.weight]
    found = torch.autograd.grad(loss, wanted, allow_unused=True)  # pyright: ignore[reportArgumentType]
    beyond = reach == "trunk"
    # never through the picture, as in the authors' code; beyond the branch through the activations that it reads
    assert [gradient is not None for gradient in found] == [False, True, True, beyond, beyond]


@pytest.mark.parametrize(("reach", "warmup", "moves"), [("trunk", 0, True), ("branch", 0, True), ("trunk", 9, False)])
def test_a_step_moves_what_it_should(
    drawn: Drawn, settings: Settings, start: StyleGAN2, reach: str, warmup: int, moves: bool
) -> None:
    one = trainer(drawn, settings(reach=reach, warmup_steps=warmup), start)
    before = {name: tensor.clone() for name, tensor in one.joint.state_dict().items()}
    metrics = one.step(1)
    assert {"d_loss", "pair_d_loss", "label_loss", "matching"} <= set(metrics)
    assert ("g_loss" in metrics) == moves
    changed = {name for name, tensor in one.joint.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {f"label_branch.to_labels.b{r}.conv.weight" for r in (4, 8, 16)} <= changed
    # the running average of w is counted in any case
    others = {name for name in changed if not name.startswith("label_branch")} - {"mapping.w_avg"}
    assert bool(others) == moves


def test_without_a_start_nothing_rests(drawn: Drawn, settings: Settings) -> None:
    one = trainer(drawn, settings(warmup_steps=9), None)
    assert one.warmup == 0
    assert one.config.network.size == 16
    assert "g_loss" in one.step(1)


def test_penalties_come_at_their_steps(drawn: Drawn, settings: Settings, start: StyleGAN2) -> None:
    one = trainer(drawn, settings(), start)
    assert {"r1", "pair_r1", "path_penalty"} <= set(one.step(0))
    assert not {"r1", "pair_r1", "path_penalty"} & set(one.step(1))
    assert "pair_r1" not in trainer(drawn, settings(pair_r1_gamma=0.0), start).step(0)


@pytest.mark.parametrize("gamma", [1.0, 0.0])
def test_rates_make_up_for_penalties_that_there_are(
    drawn: Drawn, settings: Settings, start: StyleGAN2, gamma: float
) -> None:
    one = trainer(drawn, settings(pair_r1_gamma=gamma, learning_rate=0.002), start)
    part = one.config.r1_interval / (one.config.r1_interval + 1) if gamma else 1.0
    (group,) = one.pair_optimizer.param_groups
    assert group["lr"] == pytest.approx(0.002 * part)
    assert group["betas"] == pytest.approx((0.0, 0.99**part))


def test_hidden_pixels_are_hidden_in_both(drawn: Drawn, settings: Settings, start: StyleGAN2) -> None:
    data = drawn(4, 1000)
    hidden = np.random.default_rng(0).random((16, 16)) < 0.3
    data = replace(data, label_maps=np.where(hidden, IGNORE, data.label_maps).astype(np.uint8))
    one = PairTrainer(data, drawn(60).pictures, settings(), start, {})
    labelled = one.labelled.batch(2, one.device)
    real = one._seen(labelled.pictures, codes_of(labelled.label_maps, 2), labelled.label_maps)
    fake = one._seen_fake(one._draw_pair(2, apart=False), labelled)
    assert real.shape == fake.shape == (2, 3, 16, 16)
    for seen in (real, fake):
        for pair in seen:
            np.testing.assert_array_equal((pair[1:] == 0).all(dim=0).detach().numpy(), hidden)


def test_pictures_and_codes_move_together(drawn: Drawn, settings: Settings, start: StyleGAN2) -> None:
    far = Warp(scale_low=1.0, scale_high=1.0, rotation_deg=0.0, translation=0.25)
    one = trainer(drawn, settings(warp=far, batch=8), start)
    pictures = torch.randn(8, 1, 16, 16)
    codes = torch.cat([-pictures, pictures], dim=1)
    torch.manual_seed(0)
    seen = one._seen(pictures, codes, torch.zeros(8, 16, 16, dtype=torch.long))
    shown = (seen[:, 1:] != 0).any(dim=1)
    assert 0 < float((~shown).float().mean()) < 0.5  # what comes from outside is hidden
    assert torch.equal(seen[:, 2][shown], seen[:, 0][shown])
    assert torch.equal(seen[:, 1][shown], -seen[:, 0][shown])


def test_the_discriminator_kept_beside_the_start_is_taken_over(
    tmp_path: Any, drawn: Drawn, settings: Settings, start: StyleGAN2
) -> None:
    save_generator(tmp_path, start)
    kept = Discriminator(start.config, group=2, patch_stem=False)
    save_discriminator(tmp_path, kept)
    one = trainer(drawn, settings(generator=str(tmp_path)), start)
    for name, tensor in kept.state_dict().items():
        torch.testing.assert_close(one.discriminator.state_dict()[name], tensor.half().float(), atol=0, rtol=0)
    one.step(1)
    assert not torch.equal(one.discriminator.out.weight, kept.out.weight.half().float())


def test_the_branch_learns_what_the_labelled_pictures_show(drawn: Drawn, settings: Settings, start: StyleGAN2) -> None:
    one = trainer(drawn, settings(batch=8, warmup_steps=1000, learning_rate=0.01, pair_width=8), start, labels=8)
    w = one.joint.map(one.joint.latents(range(2000, 2040)))

    def agreement() -> float:
        with torch.no_grad():
            pair = one.joint.pair(w)
        return float((pair.codes.argmax(1) == (pair.pictures[:, 0] > 0)).float().mean())

    before = agreement()
    torch.manual_seed(0)
    for index in range(30):
        one.step(index)
    assert before < 0.6
    assert agreement() > 0.68
