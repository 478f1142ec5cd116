"""LayerMatch: its losses are the paper's, only the encoder learns, and a stopped run ends as one that was not."""

from __future__ import annotations

import itertools
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file

from gannotate.decoders.build import make_decoder
from gannotate.errors import UsageError
from gannotate.generators.base import Generator
from gannotate.pretraining.folder import load_encoder, start_encoder
from gannotate.pretraining.heads import TapScale, draw_activations
from gannotate.pretraining.layermatch import (
    PRETRAIN_FIRST_SEED,
    SCALE_SEEDS,
    LayerMatchConfig,
    LayerMatchTrainer,
    match_loss,
    matched_taps,
    pretrain,
    reconstruction_loss,
)
from gannotate.segmenters.build import SegmenterConfig, build_network, load_segmenter, save_segmenter
from gannotate.training.descent import Compute

from .conftest import SIZE, make_generator

TAPS = ("b4.conv1", "b8.conv0", "b8.conv1")


def run(trainer: LayerMatchTrainer, folder: Path, generator: str = "", decoder: str = "") -> None:
    for _ in pretrain(trainer, folder, generator=generator, decoder=decoder):
        pass


def run_and_stop(trainer: LayerMatchTrainer, folder: Path, after: int) -> None:
    """Ctrl-C comes after step `after`; one more step is finished."""
    for progress in pretrain(trainer, folder):
        if progress.done == after:
            os.kill(os.getpid(), signal.SIGINT)


def scale_of(generator: Generator, config: LayerMatchConfig) -> TapScale:
    seeds = range(config.first_seed - SCALE_SEEDS, config.first_seed)
    return TapScale.measured(generator, TAPS, seeds, config.options)


@pytest.mark.parametrize("compute", [Compute(precision="bf16"), Compute(compile=True)])
def test_what_changes_nothing_is_refused(
    generator: Generator, tiny: SegmenterConfig, quick: LayerMatchConfig, compute: Compute
) -> None:
    with pytest.raises(UsageError, match=r"LayerMatch was given (precision|compile)=.*, which changes nothing in it"):
        LayerMatchTrainer(generator, tiny, quick, compute=compute)


def test_match_loss_is_equation_2(generator: Generator, quick: LayerMatchConfig) -> None:
    """Summed number by number; with a scale, in each channel's deviations."""
    drawn = draw_activations(generator, range(3), quick.options, TAPS).taps
    predicted = {name: values + torch.randn_like(values) for name, values in drawn.items()}
    scale = scale_of(generator, quick)
    for chosen in (None, scale):
        total = 0.0
        for name in TAPS:
            n, channels, height, width = drawn[name].shape
            squares = 0.0
            for place in itertools.product(range(n), range(channels), range(height), range(width)):
                unit = 1.0 if chosen is None else float(chosen.deviation(name)[0, place[1], 0, 0])
                squares += (float(drawn[name][place] - predicted[name][place]) / unit) ** 2
            total += squares / (n * channels * height * width)
        assert float(match_loss(chosen, drawn, predicted)) == pytest.approx(total / len(TAPS), rel=1e-4)


def test_reconstruction_loss_is_equations_3_and_4(generator: Generator, quick: LayerMatchConfig) -> None:
    """Drawn layer by layer by hand from the exchanged activation on, with noise that is each picture's own."""
    config = replace(quick, noise="seeded")
    drawn = draw_activations(generator, range(3), config.options, ())
    start, middle, last = (cast(Any, generator).get_submodule(f"synthesis.b{side}") for side in (4, 8, SIZE))
    assert not isinstance(drawn.noise, str)
    prediction = torch.randn(3, 16, 8, 8)
    x = start.const[None].repeat(3, 1, 1, 1)
    x = start.conv1(x, drawn.w[:, 0], drawn.noise[0])
    picture = start.picture(x, drawn.w[:, 1], None)
    x = middle.conv1(prediction, drawn.w[:, 2], drawn.noise[2])  # the prediction stands for b8.conv0
    picture = middle.picture(x, drawn.w[:, 3], picture)
    x = last.conv0(x, drawn.w[:, 3], drawn.noise[3])
    x = last.conv1(x, drawn.w[:, 4], drawn.noise[4])
    picture = last.picture(x, drawn.w[:, 5], picture)
    expected = float(sum((a - b) ** 2 for a, b in zip(picture.flatten(), drawn.picture.flatten(), strict=True)))
    found = float(reconstruction_loss(generator, drawn, "b8.conv0", prediction))
    assert found == pytest.approx(expected / picture.numel(), rel=1e-4)
    assert found > 1e-3


@pytest.mark.parametrize("noise", ["const", "seeded"])
def test_true_activations_lose_nothing(generator: Generator, quick: LayerMatchConfig, noise: str) -> None:
    config = replace(quick, noise=noise)
    drawn = draw_activations(generator, range(4), config.options, TAPS)
    assert float(match_loss(scale_of(generator, config), drawn.taps, drawn.taps)) == 0
    for name in TAPS:
        assert float(reconstruction_loss(generator, drawn, name, drawn.taps[name])) == pytest.approx(0, abs=1e-10)


def test_the_scale_makes_every_channel_alike(generator: Generator, quick: LayerMatchConfig) -> None:
    """Predicting each channel's mean loses 1, whatever the taps."""
    scale = scale_of(generator, quick)
    seeds = range(quick.first_seed - SCALE_SEEDS, quick.first_seed)
    drawn = draw_activations(generator, seeds, quick.options, TAPS).taps
    for name, values in drawn.items():
        torch.testing.assert_close(scale.mean(name), values.mean((0, 2, 3), keepdim=True), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            scale.deviation(name), values.var((0, 2, 3), correction=0, keepdim=True).sqrt(), atol=1e-4, rtol=1e-3
        )
    means = {name: scale.mean(name).expand_as(values) for name, values in drawn.items()}
    assert float(match_loss(scale, drawn, means)) == pytest.approx(1, rel=1e-3)


def test_gradients_reach_encoder_and_heads_only(
    generator: Generator, tiny: SegmenterConfig, quick: LayerMatchConfig
) -> None:
    trainer = LayerMatchTrainer(generator, tiny, quick)
    torch.manual_seed(0)
    losses = trainer.losses(trainer.draw(0))
    assert set(losses) == {"match", "rec"}
    for loss in losses.values():
        trainer.optimizer.zero_grad(set_to_none=True)
        loss.backward(retain_graph=True)
        assert all(weight.grad is None for weight in generator.parameters())
        reached = [weight.grad is not None for weight in trainer.encoder.parameters()]
        assert all(reached)
    held = {id(weight) for group in trainer.optimizer.param_groups for weight in group["params"]}
    assert held == {id(weight) for part in (trainer.encoder, trainer.heads) for weight in part.parameters()}
    assert held.isdisjoint(id(weight) for weight in generator.parameters())


def test_the_replaced_tap_is_uniform_over_the_chosen(
    generator: Generator, tiny: SegmenterConfig, quick: LayerMatchConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = LayerMatchTrainer(generator, tiny, replace(quick, taps=TAPS, batch=2))
    drawn, asked = trainer.draw(0), []

    def note(generator: Generator, drawn: object, name: str, prediction: torch.Tensor) -> torch.Tensor:
        asked.append(name)
        return prediction.sum()

    monkeypatch.setattr("gannotate.pretraining.layermatch.reconstruction_loss", note)
    torch.manual_seed(0)
    for _ in range(150):
        trainer.losses(drawn)
    counts = [asked.count(name) for name in TAPS]
    assert sum(counts) == 150
    assert min(counts) > 30  # 50 expected each, deviation 6


def test_every_picture_is_drawn_once(generator: Generator, tiny: SegmenterConfig, quick: LayerMatchConfig) -> None:
    trainer = LayerMatchTrainer(generator, tiny, quick)
    expected = generator.map(generator.latents(range(PRETRAIN_FIRST_SEED + 8, PRETRAIN_FIRST_SEED + 12)))
    torch.testing.assert_close(trainer.draw(2).w, expected)


@pytest.mark.parametrize("settings", [{}, {"joined": "nearest", "head_width": 8}, {"standardise": False}])
def test_it_learns(generator: Generator, tiny: SegmenterConfig, tmp_path: Path, settings: dict) -> None:
    config = LayerMatchConfig(steps=25, batch=8, learning_rate=2e-3, **settings)
    trainer = LayerMatchTrainer(generator, tiny, config)
    first = trainer.losses(trainer.draw(10**6))["match"].detach()
    run(trainer, tmp_path)
    last = trainer.losses(trainer.draw(10**6))["match"].detach()
    assert float(last) < 0.9 * float(first)


def test_a_stopped_run_ends_as_one_that_was_not(
    generator: Generator, tiny: SegmenterConfig, quick: LayerMatchConfig, tmp_path: Path
) -> None:
    run(LayerMatchTrainer(generator, tiny, quick), tmp_path / "whole", generator="g")
    with pytest.raises(KeyboardInterrupt):
        run_and_stop(LayerMatchTrainer(generator, tiny, quick), tmp_path / "parts", after=3)
    assert not (tmp_path / "parts" / "model.safetensors").exists()
    run(LayerMatchTrainer(generator, tiny, quick), tmp_path / "parts", generator="g")
    torch.testing.assert_close(
        load_file(tmp_path / "parts" / "model.safetensors"),
        load_file(tmp_path / "whole" / "model.safetensors"),
        rtol=0,
        atol=0,
    )


def test_other_settings_do_not_go_on(
    generator: Generator, tiny: SegmenterConfig, quick: LayerMatchConfig, tmp_path: Path
) -> None:
    run(LayerMatchTrainer(generator, tiny, quick), tmp_path)
    other = LayerMatchTrainer(generator, tiny, replace(quick, reconstruction=0.5))
    with pytest.raises(UsageError, match="the pre-training to resume had other settings"):
        run(other, tmp_path)


def test_the_saved_encoder_starts_a_network(
    generator: Generator, tiny: SegmenterConfig, quick: LayerMatchConfig, tmp_path: Path
) -> None:
    """Its tensors are named as in a network; classes and decoder may be others."""
    trainer = LayerMatchTrainer(generator, tiny, quick)
    run(trainer, tmp_path, generator="g")
    other = replace(tiny, classes=5, decoder_width=32, weights=str(tmp_path))
    found, taught = build_network(other).state_dict(), trainer.network.state_dict()
    for name in taught:
        if name.startswith("encoder."):
            torch.testing.assert_close(found[name], taught[name], rtol=0, atol=0)
    assert {name.split(".")[0] for name in load_file(tmp_path / "model.safetensors")} == {"encoder"}
    encoder, config = load_encoder(tmp_path)
    assert (config.encoder, config.depth, config.size) == (tiny.encoder, tiny.depth, tiny.size)
    picture = torch.randn(1, 1, SIZE, SIZE)
    torch.testing.assert_close(encoder(picture)[-1], trainer.encoder.eval()(picture)[-1])
    about = json.loads((tmp_path / "config.json").read_text())["about"]
    assert about["taps"] == ["b4.conv1", "b8.conv1"]
    assert set(about["losses"]) == {"match", "rec"}
    assert "g" in (tmp_path / "card.md").read_text()


def test_the_start_is_known_again(generator: Generator, tiny: SegmenterConfig, quick: LayerMatchConfig) -> None:
    trainer = LayerMatchTrainer(generator, tiny, quick)
    torch.testing.assert_close(start_encoder(tiny, quick.seed).state_dict(), trainer.encoder.state_dict())


def test_with_a_decoder_the_whole_network_learns(generator: Generator, tiny: SegmenterConfig, tmp_path: Path) -> None:
    torch.manual_seed(1)
    decoder = make_decoder("light", generator, 3)
    network = replace(tiny, classes=3)
    config = LayerMatchConfig(steps=30, batch=8, learning_rate=5e-3)
    trainer = LayerMatchTrainer(generator, network, config, decoder)
    before = {name: float(loss.detach()) for name, loss in trainer.losses(trainer.draw(10**6)).items()}
    assert set(before) == {"match", "rec", "labels"}
    run(trainer, tmp_path, generator="g", decoder="d")
    segmenter, read = load_segmenter(tmp_path)
    assert read.classes == 3
    torch.testing.assert_close(segmenter.state_dict(), trainer.network.state_dict())
    after = {name: float(loss.detach()) for name, loss in trainer.losses(trainer.draw(10**6)).items()}
    assert after["labels"] < 0.95 * before["labels"]
    assert after["match"] < 0.85 * before["match"]
    assert load_encoder(tmp_path)[1].encoder == tiny.encoder


def test_labels_are_the_decoders_own(generator: Generator, tiny: SegmenterConfig, quick: LayerMatchConfig) -> None:
    """The labels' loss is the cross-entropy to the mean of the decoder's members, summed pixel by pixel."""
    torch.manual_seed(1)
    decoder = make_decoder("light", generator, 2)
    trainer = LayerMatchTrainer(generator, tiny, quick, decoder)
    drawn = trainer.draw(0)
    found = trainer.losses(drawn)["labels"]
    logits = trainer.network(drawn.picture.clamp(-1, 1))
    soft = decoder.member_probabilities(drawn.taps).mean(1)
    expected = -(soft * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_default_taps_leave_the_largest_out(generator: Generator) -> None:
    assert [tap.name for tap in matched_taps(generator, ())] == ["b4.conv1", "b8.conv1"]
    assert [tap.name for tap in matched_taps(generator, ("b8.conv0", "b4.conv1"))] == ["b4.conv1", "b8.conv0"]


def test_wrong_requests(generator: Generator, tiny: SegmenterConfig, quick: LayerMatchConfig, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no tap 'b8.conv2'.*did you mean 'b8.conv"):
        LayerMatchTrainer(generator, tiny, replace(quick, taps=("b8.conv2",)))
    with pytest.raises(UsageError, match="draws 3 classes by their label"):
        LayerMatchTrainer(make_generator(label_dim=3), tiny, quick)
    with pytest.raises(UsageError, match=r"draws 16 px with 1 channel\(s\), the encoder takes 16 px with 3"):
        LayerMatchTrainer(generator, replace(tiny, image_channels=3), quick)
    with pytest.raises(UsageError, match="tells 4 classes apart, the network 2"):
        LayerMatchTrainer(generator, tiny, quick, make_decoder("light", generator, 4))
    classic = SegmenterConfig(classes=2, image_channels=1, size=SIZE, architecture="unet-classic", decoder_width=8)
    with pytest.raises(UsageError, match="unet-classic has no encoder apart from the rest"):
        LayerMatchTrainer(generator, classic, quick)
    with pytest.raises(UsageError, match="1 pictures were asked for"):
        replace(quick, batch=1)
    with pytest.raises(UsageError, match="leave the range of seeds"):
        replace(quick, first_seed=5)
    with pytest.raises(UsageError, match="give 0 or more"):
        replace(quick, reconstruction=-1.0)
    with pytest.raises(UsageError, match="not a segmenter"):
        load_encoder(tmp_path)


def test_a_segmenters_folder_is_an_encoders_too(tiny: SegmenterConfig, tmp_path: Path) -> None:
    network = build_network(tiny)
    save_segmenter(tmp_path, network, tiny)
    torch.testing.assert_close(load_encoder(tmp_path)[0].state_dict(), network.get_submodule("encoder").state_dict())
