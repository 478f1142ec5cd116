"""The encoder: shapes, where it starts, and labels that come back from drawn pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError
from gannotate.inversion.losses import OfflineLoss
from gannotate.segmenters.evaluate import evaluate
from gannotate.segmenters.semantic_gan.build import SemanticGAN
from gannotate.segmenters.semantic_gan.config import InferenceConfig, SemanticGANConfig
from gannotate.segmenters.semantic_gan.encoder import EncoderTrainer, PyramidEncoder, split_styles
from gannotate.segmenters.semantic_gan.generator import JointGenerator
from gannotate.segmenters.semantic_gan.inference import InvertingSegmenter

Drawn = Callable[..., LabelledSet]
Settings = Callable[..., SemanticGANConfig]


@pytest.mark.parametrize(("size", "styles"), [(8, 4), (16, 6), (32, 8), (64, 10)])
def test_shapes_and_the_start_at_the_average(size: int, styles: int) -> None:
    encoder = PyramidEncoder(size, 1, styles, 5, 8)
    encoder.average.copy_(torch.arange(5.0))
    found = encoder(torch.randn(2, 1, size, size))
    assert found.shape == (2, styles, 5)
    torch.testing.assert_close(found, torch.arange(5.0).expand(2, styles, 5))


@given(st.integers(2, 20), st.integers(1, 3))
def test_every_style_has_one_level(styles: int, levels: int) -> None:
    counts = split_styles(styles, levels)
    assert sum(counts) == styles
    assert len(counts) == levels


def test_styles_are_split_as_published() -> None:
    assert split_styles(14, 3) == [3, 4, 7]
    assert split_styles(10, 3) == [3, 4, 3]


def test_pictures_do_not_know_of_each_other() -> None:
    torch.manual_seed(0)
    encoder = PyramidEncoder(16, 1, 6, 5, 8)
    for head in encoder.heads:
        torch.nn.init.normal_(head.linear.weight)  # pyright: ignore
    pictures = torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(encoder(pictures)[:1], encoder(pictures[:1]), atol=1e-4, rtol=1e-4)


def encoder_trainer(toy: JointGenerator, drawn: Drawn, settings: SemanticGANConfig, first: int = 0) -> EncoderTrainer:
    return EncoderTrainer(toy, drawn(4, 1000), drawn(60).pictures, settings, OfflineLoss(), {}, first)


def segmenter(trainer: EncoderTrainer, steps: int) -> InvertingSegmenter:
    settings = trainer.settings
    model = SemanticGAN(
        trainer.generator, trainer.average, settings.answers, settings.encoder_width, InferenceConfig(steps=steps)
    )
    return InvertingSegmenter(model)


def test_labels_come_back_from_drawn_pictures(toy: JointGenerator, drawn: Drawn, settings: Settings) -> None:
    one = encoder_trainer(toy, drawn, settings(encoder_steps=50, batch=6, encoder_learning_rate=0.003))
    test = drawn(12, 5000)
    chance = evaluate(segmenter(one, 0), test)["miou"]  # the average picture's labels for all
    losses = []
    for index in range(50):
        torch.manual_seed(index)
        losses.append(one.step(index)["encoder_drawn"])
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])
    encoded = evaluate(segmenter(one, 0), test)["miou"]
    optimised = evaluate(segmenter(one, 40), test)["miou"]
    assert encoded > chance + 0.05
    assert optimised > encoded
    assert optimised > 0.75


def test_the_generator_stays_as_it_is_and_the_step_size_goes_to_zero(
    toy: JointGenerator, drawn: Drawn, settings: Settings
) -> None:
    before = {name: tensor.clone() for name, tensor in toy.state_dict().items()}
    one = encoder_trainer(toy, drawn, settings(encoder_steps=4), first=10)
    rates = []
    for index in range(10, 14):
        one.step(index)
        rates.append(one.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-3 * factor for factor in (1.0, 0.853553, 0.5, 0.146447)], rel=1e-4)
    for name, tensor in toy.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_drawn_pairs_are_only_drawn_where_they_count(toy: JointGenerator, drawn: Drawn, settings: Settings) -> None:
    with_drawn = encoder_trainer(toy, drawn, settings()).step(0)
    without = encoder_trainer(toy, drawn, settings(drawn_weight=0.0)).step(0)
    assert set(with_drawn) - set(without) == {"encoder_drawn", "encoder_drawn_w", "encoder_drawn_labels"}


def test_a_pictures_labels_do_not_depend_on_its_batch(toy: JointGenerator, drawn: Drawn, settings: Settings) -> None:
    one = segmenter(encoder_trainer(toy, drawn, settings()), 3)
    pictures = drawn(3, 5000).pictures
    _, together = one.predict(pictures, probabilities=True)
    _, alone = one.predict(pictures[1:2], probabilities=True)
    np.testing.assert_allclose(together[1], alone[0], atol=1e-3)


def test_pictures_of_other_sizes_and_scales(toy: JointGenerator, drawn: Drawn, settings: Settings) -> None:
    one = segmenter(encoder_trainer(toy, drawn, settings()), 1)
    (label_map,) = one.predict([np.zeros((20, 31, 3), np.uint8)])
    assert label_map.shape == (20, 31)
    with pytest.raises(UsageError, match="draws pictures of 16 px only"):
        list(one.answers(drawn(1).pictures, 2.0))


def test_what_keeps_latents_near_the_encoders_answers(toy: JointGenerator, drawn: Drawn, settings: Settings) -> None:
    trainer = encoder_trainer(toy, drawn, settings())
    pictures = torch.from_numpy(drawn(2, 5000).pictures).permute(0, 3, 1, 2) / 127.5 - 1
    start = trainer.average(pictures)
    moved = []
    for weights in ({}, {"start_weight": 1e4}, {"consistency_weight": 1e4}):
        one = segmenter(trainer, 10)
        one.inference = replace(one.inference, **weights)
        moved.append(float((one._embed(pictures)[0] - start).abs().mean()))
    # this encoder says the average latent of every picture, so both weights hold latents where they began
    assert moved[1] < 0.5 * moved[0]
    assert moved[2] < 0.5 * moved[0]
