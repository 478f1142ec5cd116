"""Trainings on unlabelled pictures: they learn, and go on where they were stopped; SimCLR's loss in closed form."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from gannotate.errors import UsageError
from gannotate.pretraining.contrastive import ContrastiveConfig, ContrastiveTrainer, Views, contrast
from gannotate.pretraining.folder import load_encoder
from gannotate.pretraining.unlabelled import UnlabelledTrainer, pretrain_unlabelled
from gannotate.pretraining.vae import load_vae
from gannotate.pretraining.vae_training import VAETrainer, VAETraining
from gannotate.segmenters.build import SegmenterConfig
from gannotate.training.descent import Compute


@pytest.fixture
def pictures() -> np.ndarray:
    """Grey pictures of 16 px: a bright square somewhere."""
    rng, made = np.random.default_rng(0), np.full((24, 16, 16, 1), 40, np.uint8)
    for picture in made:
        row, column = rng.integers(0, 9, 2)
        picture[row : row + 7, column : column + 7] = 220
    return made


def trainer_of(method: str, pictures: np.ndarray, steps: int = 6, **settings: float) -> UnlabelledTrainer:
    if method == "vae":
        return VAETrainer(pictures, VAETraining(steps=steps, batch=8, latents=4, **settings))  # pyright: ignore[reportArgumentType]
    network = SegmenterConfig(classes=2, image_channels=1, size=16, depth=3, decoder_width=16)
    config = ContrastiveConfig(steps=steps, batch=8, projection=8, mirror=True, **settings)  # pyright: ignore[reportArgumentType]
    return ContrastiveTrainer(pictures, network, config)


def test_a_vae_learns_what_the_pictures_look_like(pictures: np.ndarray) -> None:
    trainer = trainer_of("vae", pictures, steps=15, learning_rate=0.006)
    found = []
    for index in range(15):
        torch.manual_seed(index)
        found.append(trainer.step(index))
    assert np.mean([one["nll"] for one in found[-3:]]) < np.mean([one["nll"] for one in found[:3]]) - 0.15
    assert found[-1]["deviation"] < 0.8 * found[0]["deviation"]


@pytest.mark.parametrize("compute", [Compute(precision="bf16"), Compute(compile=True)])
def test_what_changes_nothing_is_refused(pictures: np.ndarray, compute: Compute) -> None:
    network = SegmenterConfig(classes=2, image_channels=1, size=16, depth=3, decoder_width=16)
    with pytest.raises(UsageError, match=r"method vae was given (precision|compile)=.*, which changes nothing in it"):
        VAETrainer(pictures, VAETraining(steps=6, batch=8, latents=4), compute=compute)
    with pytest.raises(UsageError, match="method simclr was given"):
        ContrastiveTrainer(pictures, network, ContrastiveConfig(steps=6, batch=8, projection=8), compute=compute)


def test_contrast_of_known_vectors() -> None:
    first = F.one_hot(torch.arange(3), 4).float()
    loss, found = contrast([Views.of(first, first)], 1.0)
    # each view: its other one at similarity 1, four at 0
    assert float(loss) == pytest.approx(math.log(math.e + 4) - 1, abs=1e-5)
    assert float(found) == 1
    apart, _ = contrast([Views.of(first, first)], 0.1)
    assert float(apart) < float(loss)
    same = torch.ones(3, 4) / 2
    assert float(contrast([Views.of(same, same)], 0.5)[0]) == pytest.approx(math.log(5), abs=1e-5)


def test_the_contrast_does_not_care_for_the_order() -> None:
    torch.manual_seed(0)
    first, second = (F.normalize(torch.randn(5, 6), dim=1) for _ in range(2))
    order = torch.randperm(5)
    one, other = Views.of(first, second), Views.of(second[order], first[order])
    torch.testing.assert_close(contrast([one], 0.2)[0], contrast([other], 0.2)[0])


def test_only_the_encoder_and_its_head_learn(pictures: np.ndarray) -> None:
    trainer = trainer_of("simclr", pictures)
    before = {name: value.clone() for name, value in trainer.network.named_parameters()}
    torch.manual_seed(0)
    assert set(trainer.step(0)) == {"loss", "found"}
    changed = {name for name, value in trainer.network.named_parameters() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(("network.encoder.", "head.")) for name in changed)
    assert any(name.startswith("network.encoder.") for name in changed)


def test_views_differ_and_stay_in_range() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
    network = SegmenterConfig(classes=2, image_channels=3, size=16, depth=3, decoder_width=16)
    trainer = ContrastiveTrainer(colours, network, ContrastiveConfig(steps=1, batch=2))
    torch.manual_seed(0)
    given = torch.rand(64, 3, 16, 16) * 2 - 1
    one, other = trainer.view(given), trainer.view(given)
    assert float(one.abs().max()) <= 1
    assert float((one - other).abs().mean()) > 0.05
    grey = (one - one.mean(dim=1, keepdim=True)).abs().amax(dim=(1, 2, 3)) < 1e-6
    assert 0.05 < float(grey.float().mean()) < 0.5


def run_and_stop(trainer: UnlabelledTrainer, folder: Path, after: int) -> None:
    """Ctrl-C comes after step `after`; one more step is finished."""
    for progress in pretrain_unlabelled(trainer, folder):
        if progress.done == after:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("method", ["vae", "simclr"])
def test_a_stopped_training_ends_as_one_that_was_not(method: str, pictures: np.ndarray, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert [one.done for one in pretrain_unlabelled(trainer_of(method, pictures), whole)] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(KeyboardInterrupt):
        run_and_stop(trainer_of(method, pictures), parts, after=3)
    assert not (parts / "model.safetensors").exists()
    list(pretrain_unlabelled(trainer_of(method, pictures), parts))
    torch.testing.assert_close(
        load_file(parts / "model.safetensors"), load_file(whole / "model.safetensors"), rtol=0, atol=0
    )


def test_the_folders_tell_what_they_are(pictures: np.ndarray, tmp_path: Path) -> None:
    for method in ("vae", "simclr"):
        list(pretrain_unlabelled(trainer_of(method, pictures, steps=2), tmp_path / method, pictures="squares.zip"))
        card = (tmp_path / method / "card.md").read_text()
        assert "24 unlabelled pictures of squares.zip" in card
        assert "- 2 steps of 8 pictures" in card
    assert load_vae(tmp_path / "vae").config.latents == 4
    assert load_encoder(tmp_path / "simclr")[1].depth == 3


def test_what_cannot_be_learned_from(pictures: np.ndarray) -> None:
    with pytest.raises(UsageError, match="1 unlabelled pictures were given"):
        trainer_of("vae", pictures[:1])
    network = SegmenterConfig(classes=2, image_channels=3, size=16, depth=3, decoder_width=16)
    with pytest.raises(UsageError, match=r"the network takes \(16, 16, 3\)"):
        ContrastiveTrainer(pictures, network, ContrastiveConfig())
    plain = SegmenterConfig(classes=2, image_channels=1, size=16, architecture="unet-classic")
    with pytest.raises(UsageError, match="no encoder apart from the rest"):
        ContrastiveTrainer(pictures, plain, ContrastiveConfig())
    state = trainer_of("vae", pictures).state()
    with pytest.raises(UsageError, match="the pre-training to resume had other settings"):
        trainer_of("vae", pictures, beta=2.0).load_state(state)


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        (VAETraining, {"steps": 0}, "at least 1 step"),
        (VAETraining, {"batch": 1}, "2 pictures"),
        (VAETraining, {"learning_rate": 0.0}, "one above 0"),
        (VAETraining, {"beta": -1.0}, "beta is -1"),
        (ContrastiveConfig, {"temperature": 0.0}, "temperature is 0"),
        (ContrastiveConfig, {"projection": 0}, "projection is 0"),
    ],
)
def test_wrong_settings(kind: type, settings: dict, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        kind(**settings)
