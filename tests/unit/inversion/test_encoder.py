"""The encoder: it learns, its training can be stopped, and its start is better than the average latent."""

from __future__ import annotations

import copy
import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from gannotate.errors import GannotateError, UsageError
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.inversion.encoder import load_encoder, load_encoder_of, make_encoder, save_encoder, tap_distance
from gannotate.inversion.encoder_training import EncoderTrainer, EncoderTraining, train_encoder
from gannotate.inversion.latents import latent_statistics
from gannotate.inversion.losses import OfflineLoss, distances
from gannotate.training.loop import Diverged, LoopConfig, read_log, train

SHORT = EncoderTraining(steps=6, batch=4, width=8, tap_weight=0.1)


def test_a_new_encoder_gives_one_style_for_all_layers(tiny: StyleGAN2, drawn: torch.Tensor):
    torch.manual_seed(0)
    w = make_encoder(tiny, latent_statistics(tiny), width=8)(drawn)
    assert w.shape == (6, tiny.style_count, tiny.w_dim)
    assert torch.allclose(w, w[:, :1].expand_as(w))


def test_a_pictures_latents_are_its_own(tiny: StyleGAN2, drawn: torch.Tensor):
    torch.manual_seed(0)
    encoder = make_encoder(tiny, latent_statistics(tiny), width=8)
    assert torch.allclose(encoder(drawn)[2:3], encoder(drawn[2:3]), atol=1e-5)


def test_it_learns_and_its_start_beats_the_average(tiny: StyleGAN2, tmp_path: Path):
    config = EncoderTraining(steps=50, batch=4, width=8, learning_rate=0.01)
    losses = [progress.metrics["loss"] for progress in train_encoder(tiny, tmp_path, config)]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    new = tiny.synthesize(tiny.map(tiny.latents(range(100, 108)))).picture
    loss, statistics = OfflineLoss(), latent_statistics(tiny)

    def distance(w: torch.Tensor) -> float:
        return float(distances(loss.features(tiny.synthesize(w).picture), loss.features(new)).mean())

    average = statistics.average.expand(8, tiny.style_count, -1)
    assert distance(load_encoder(tmp_path)(new)) < 0.7 * distance(average)


def test_killed_and_resumed_equals_uninterrupted(tiny: StyleGAN2, tmp_path: Path):
    list(train_encoder(tiny, tmp_path / "whole", SHORT))
    trainer = EncoderTrainer(tiny, SHORT, OfflineLoss(), latent_statistics(tiny))
    list(train(trainer, tmp_path / "stopped", LoopConfig(steps=3)))  # leaves a checkpoint, as a kill does
    list(train_encoder(tiny, tmp_path / "stopped", SHORT))
    whole, stopped = load_encoder(tmp_path / "whole"), load_encoder(tmp_path / "stopped")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), stopped.parameters(), strict=True))
    assert not (tmp_path / "whole" / "checkpoint.safetensors").exists()


def test_resuming_with_other_settings_is_refused(tiny: StyleGAN2, tmp_path: Path):
    trainer = EncoderTrainer(tiny, SHORT, OfflineLoss(), latent_statistics(tiny))
    list(train(trainer, tmp_path, LoopConfig(steps=2)))
    with pytest.raises(UsageError, match="other settings"):
        next(train_encoder(tiny, tmp_path, EncoderTraining(steps=6, batch=2, width=8)))


def test_every_part_of_the_loss_is_logged_and_counts(tiny: StyleGAN2):
    parts = []
    for weights in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
        names = ("w_weight", "picture_weight", "tap_weight")
        config = EncoderTraining(steps=6, batch=4, width=8, **dict(zip(names, weights, strict=True)))
        torch.manual_seed(0)
        metrics = EncoderTrainer(tiny, config, OfflineLoss(), latent_statistics(tiny)).step(0)
        parts.append(metrics["loss"] == metrics[("w", "picture", "taps")[weights.index(1.0)]])
    assert parts == [True, True, True]


def test_real_pictures_are_learned_from(tiny: StyleGAN2, tmp_path: Path):
    """Pictures that the generator never draws, so that nothing but they teaches their start."""
    real = np.broadcast_to(np.linspace(0, 255, 16).astype(np.uint8)[None, :, None, None], (4, 16, 16, 1))
    config = EncoderTraining(steps=40, batch=4, width=8, learning_rate=0.01)
    list(train_encoder(tiny, tmp_path, config, real=real))
    rows = [row for row in read_log(tmp_path / "log.jsonl") if "real" in row]
    assert {"loss", "w", "picture", "real"} <= rows[-1].keys()
    trainer = EncoderTrainer(tiny, config, OfflineLoss(), latent_statistics(tiny), real)
    torch.manual_seed(0)
    before = trainer.step(0)["real"]
    trainer.encoder.load_state_dict(load_encoder(tmp_path).state_dict())
    torch.manual_seed(0)
    assert trainer.step(0)["real"] < 0.8 * before
    with pytest.raises(UsageError, match="this generator draws"):
        EncoderTrainer(tiny, config, OfflineLoss(), latent_statistics(tiny), real[:, :8])


def test_tap_distance_is_relative():
    a, b = torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 5.0)
    assert float(tap_distance([a, a], [b, b * 100])) == pytest.approx(1)
    assert float(tap_distance([b], [b])) == 0


def test_an_encoder_comes_back(tiny: StyleGAN2, drawn: torch.Tensor, tmp_path: Path):
    torch.manual_seed(0)
    saved = make_encoder(tiny, latent_statistics(tiny), width=8).eval()
    save_encoder(tmp_path, saved, steps=3)
    loaded = load_encoder(tmp_path)
    assert torch.equal(loaded(drawn), saved(drawn))
    loaded.check_fits(tiny)
    other = StyleGAN2(StyleGAN2Config(size=16, image_channels=1, z_dim=8, w_dim=16, channel_base=64))
    with pytest.raises(UsageError, match="w_dim 8, this one has 16"):
        loaded.check_fits(other)


def test_an_encoder_of_another_generator_of_the_same_shape_is_refused(tiny: StyleGAN2, tmp_path: Path):
    list(train_encoder(tiny, tmp_path, SHORT))
    assert load_encoder_of(tmp_path, tiny).config.size == 16
    other = copy.deepcopy(tiny)
    next(other.parameters()).data.add_(1)
    with pytest.raises(UsageError, match="another generator of the same shape"):
        load_encoder_of(tmp_path, other)


def test_wrong_folders_and_settings(tiny: StyleGAN2, tmp_path: Path):
    with pytest.raises(UsageError, match="is not a latent-encoder"):
        load_encoder(tmp_path)
    torch.manual_seed(0)
    save_encoder(tmp_path, make_encoder(tiny, latent_statistics(tiny), width=8))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(GannotateError, match="damaged"):
        load_encoder(tmp_path)
    with pytest.raises(UsageError, match="multiple of 8"):
        make_encoder(tiny, latent_statistics(tiny), width=12)
    for change in ({"steps": 0}, {"batch": 0}, {"mixing": 2}, {"w_weight": -1}, {"w_weight": 0, "picture_weight": 0}):
        with pytest.raises(UsageError):
            EncoderTraining(**change)


def test_divergence_leads_to_flags_that_there_are(tiny: StyleGAN2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(EncoderTrainer, "step", lambda self, index: {"loss": math.nan})
    with pytest.raises(Diverged, match=r"Try another --seed, or leave --encoder out$"):
        list(train_encoder(tiny, tmp_path, SHORT))


def test_training_stops_where_it_is_told(tiny: StyleGAN2, tmp_path: Path):
    first = list(islice(train_encoder(tiny, tmp_path, SHORT), 2))
    assert [progress.done for progress in first] == [1, 2]
    assert {"loss", "w", "picture", "taps"} == first[0].metrics.keys()
