"""Every kind of decoder, from annotations to a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gannotate.decoders.base import DecoderConfig
from gannotate.decoders.build import load_decoder, read_decoder_config
from gannotate.decoders.cnn import CNNConfig
from gannotate.decoders.ensemble import EnsembleConfig, EnsembleDecoder
from gannotate.decoders.fpn import FPNConfig
from gannotate.decoders.light import LightConfig
from gannotate.decoders.linear import LinearConfig
from gannotate.decoders.mlp import MLPConfig
from gannotate.errors import UsageError
from gannotate.fitting.config import FitConfig, scheduled
from gannotate.fitting.fit import fit
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.fitting.supervised import FitTrainer, rate_factor
from gannotate.generators.base import DrawOptions
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.training.descent import Compute

Shots = Callable[[int], list[Shot]]

KINDS = [
    (LightConfig(), {"learning_rate": 0.01, "steps": 80}),
    (CNNConfig(), {"steps": 100, "learning_rate": 0.01}),
    (FPNConfig(), {"steps": 40, "learning_rate": 0.005}),
    (MLPConfig(hidden=(16, 8)), {"steps": 120, "pixels": 256, "learning_rate": 0.02}),
    (MLPConfig(paper="repurposegan", hidden=(16, 8)), {"steps": 150, "pixels": 0, "learning_rate": 0.01}),
    (EnsembleConfig(members=3, hidden=(16, 8)), {"steps": 100, "pixels": 256, "learning_rate": 0.02}),
    (LinearConfig(), {}),
    (LinearConfig(bias=True), {"solver": "gradient", "steps": 150, "learning_rate": 0.05}),
]


def run(generator: StyleGAN2, shots: list[Shot], config: FitConfig, folder: Path, classes: int = 2) -> None:
    for _ in fit(generator, shots, classes, config, DrawOptions(), folder):
        pass


def agreement(generator: StyleGAN2, folder: Path, shots: list[Shot]) -> float:
    decoder = load_decoder(folder)
    taps = draw_taps(generator, [shot.seed for shot in shots], decoder.tap_names, DrawOptions())
    predicted = decoder(taps).argmax(dim=1).numpy()
    return float(np.mean(predicted == np.stack([shot.label_map for shot in shots])))


@pytest.mark.parametrize(("config", "choices"), KINDS)
def test_learns_what_the_taps_hold_and_says_it_of_other_pictures(
    tiny: StyleGAN2, positive: Shots, tmp_path: Path, config: DecoderConfig, choices: dict[str, float]
):
    shots = positive(6)
    # all taps: the label lies in the last block, which some kinds leave out by themselves
    names = tuple(tap.name for tap in tiny.taps)
    chosen = scheduled(type(config)(**{**vars(config), "taps": names}), "ours", 4, 16, **choices)
    run(tiny, shots[:4], chosen, tmp_path)
    # the dilated convolutions see more than a 16 px picture: they learn four of them by heart
    tested = shots[:4] if isinstance(config, CNNConfig) else shots[4:]
    everything = np.stack([shot.label_map for shot in tested])
    floor = max(everything.mean(), 1 - everything.mean())
    assert agreement(tiny, tmp_path, tested) > floor + 0.3 * (1 - floor)


@pytest.mark.parametrize("kind", ["mlp", "ensemble", "cnn"])
def test_a_stopped_fit_ends_as_one_that_was_not(tiny: StyleGAN2, positive: Shots, tmp_path: Path, kind: str):
    config = scheduled(
        {"mlp": MLPConfig(), "ensemble": EnsembleConfig(members=2), "cnn": CNNConfig()}[kind], "ours", 3, 16, steps=6
    )
    run(tiny, positive(3), config, tmp_path / "whole")
    running = fit(tiny, positive(3), 2, config, DrawOptions(), tmp_path / "stopped", minutes=1e-9)
    assert len(list(running)) == 1
    run(tiny, positive(3), config, tmp_path / "stopped")
    whole, stopped = (load_decoder(tmp_path / name).state_dict() for name in ("whole", "stopped"))
    assert all(torch.equal(value, stopped[name]) for name, value in whole.items())


@pytest.mark.parametrize("compute", [Compute(precision="bf16"), Compute(compile=True)])
def test_what_changes_nothing_is_refused(tiny: StyleGAN2, positive: Shots, tmp_path: Path, compute: Compute):
    with pytest.raises(UsageError, match=r"a decoder's fit was given (precision='bf16'|compile=True), which changes"):
        next(fit(tiny, positive(2), 2, FitConfig(steps=2), DrawOptions(), tmp_path, compute=compute))
    assert list(tmp_path.iterdir()) == []


def test_members_of_an_ensemble_are_shown_pixels_of_their_own(tiny: StyleGAN2, positive: Shots):
    config = scheduled(EnsembleConfig(members=3), "ours", 2, 16, pixels=64)
    trainer = FitTrainer(tiny, positive(2), 2, config, DrawOptions())
    assert isinstance(trainer.decoder, EnsembleDecoder)
    logits, labels = trainer.lessons(trainer.decoder)
    assert logits.shape == (3 * 64, 2)
    assert len({tuple(row) for row in labels.view(3, 64).tolist()}) == 3


def test_the_closed_form_leaves_an_unseen_class_out(tiny: StyleGAN2, positive: Shots, tmp_path: Path):
    run(tiny, positive(2), scheduled(LinearConfig(), "ours", 2, 16), tmp_path, classes=4)
    decoder = load_decoder(tmp_path)
    taps = draw_taps(tiny, [7], decoder.tap_names, DrawOptions())
    probabilities = decoder.member_probabilities(taps)[0, 0]
    assert torch.isfinite(probabilities).all()
    assert probabilities[2:].max() < 1e-6


def test_held_out_pictures_set_steps_and_temperature(tiny: StyleGAN2, positive: Shots, tmp_path: Path):
    shots = positive(4)
    random = np.random.default_rng(0)
    for shot in shots:  # a fifth of the labels is wrong: nobody may be surer than four fifths
        wrong = random.random(shot.label_map.shape) < 0.2
        shot.label_map[wrong] = 1 - shot.label_map[wrong]
    config = FitConfig(decoder=LightConfig(dropout=0.0), steps=120, learning_rate=0.02, hold_out=True)
    run(tiny, shots, config, tmp_path)
    about = read_decoder_config(tmp_path)["about"]
    decoder = load_decoder(tmp_path)
    assert decoder.temperature == about["held_out"]["temperature"] > 1.2
    assert about["held_out"]["steps"] in {point["step"] for point in about["held_out"]["points"]}
    taps = draw_taps(tiny, [9], decoder.tap_names, DrawOptions())
    expected = (decoder(taps) / decoder.temperature).softmax(dim=1)
    torch.testing.assert_close(decoder.member_probabilities(taps)[:, 0], expected)


def test_patience_ends_a_fit_that_learns_no_more(tiny: StyleGAN2, positive: Shots, tmp_path: Path):
    config = FitConfig(steps=500, learning_rate=1e-9, rate="constant", patience=5, patience_from=10)
    steps = [step.done for step in fit(tiny, positive(1), 2, config, DrawOptions(), tmp_path)]
    assert 10 <= steps[-1] < 100


def test_step_sizes():
    cosine = FitConfig(steps=100)
    assert rate_factor(cosine, 0) == 1
    assert rate_factor(cosine, 50) == pytest.approx(0.5)
    drops = FitConfig(steps=100, rate="drops", drop_every=40)
    assert [rate_factor(drops, index) for index in (0, 39, 40, 80)] == pytest.approx([1, 1, 0.1, 0.01])
    assert rate_factor(FitConfig(rate="constant"), 150) == 1


def test_fresh_noise_needs_noise(tiny: StyleGAN2, positive: Shots):
    config = scheduled(MLPConfig(), "ours", 1, 16, noise_augment=True)
    with pytest.raises(UsageError, match="noise none"):
        FitTrainer(tiny, positive(1), 2, config, DrawOptions(noise="none"))
    trainer = FitTrainer(tiny, positive(1), 2, config, DrawOptions())
    assert np.isfinite(trainer.step(0)["loss"])
