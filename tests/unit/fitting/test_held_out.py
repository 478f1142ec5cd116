"""Pictures left out in turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gannotate.decoders.ensemble import EnsembleConfig, EnsembleDecoder
from gannotate.decoders.linear import LinearConfig
from gannotate.errors import GannotateError
from gannotate.fitting.config import FitConfig, scheduled
from gannotate.fitting.held_out import HeldOut, folds_of, hold_out, judge, look_at, read_held_out
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.generators.base import DrawOptions, draw
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.metrics.calibration import negative_log_likelihood

TINY = StyleGAN2Config(size=16, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16)


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    torch.manual_seed(1)
    return StyleGAN2(TINY).eval().requires_grad_(False)


def shots_of(generator: StyleGAN2, count: int) -> list[Shot]:
    """Class 1 where an activation is positive."""
    drawn = draw(generator, range(count), taps=["b16.conv1"])
    return [Shot(seed, (drawing.taps["b16.conv1"][0, 0] > 0).byte().numpy()) for seed, drawing in drawn]


def look(sharpness: float, right: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """1,000 pixels of two classes of which a part is labelled rightly, with logits of a given size."""
    random = np.random.default_rng(seed)
    labels = torch.from_numpy(random.integers(0, 2, 1000))
    told = torch.where(torch.from_numpy(random.random(1000) < right), labels, 1 - labels)
    return torch.nn.functional.one_hot(told, 2) * sharpness, labels


def test_chooses_the_step_whose_labels_are_most_likely_whatever_their_sharpness():
    folds = [{10: look(1.0, 0.7, k), 20: look(9.0, 0.9, k), 30: look(3.0, 0.8, k)} for k in range(3)]
    found = judge(folds, 30, pictures=3)
    assert found.steps == 20
    # 90 % right asks for a probability of .9: log(.9 / .1) = 2.2 instead of 9
    assert found.temperature == pytest.approx(9 / np.log(9), rel=0.05)
    assert found.points[1]["miou"] == max(point["miou"] for point in found.points)
    assert found.points[1]["nll"] > found.points[1]["nll_at_best"]
    # two pictures are too few to choose the steps
    assert judge(folds[:2], 30, pictures=2).steps == 30


def noisy_ensemble(generator: StyleGAN2, noise: float, sharpness: float) -> EnsembleDecoder:
    """Members that know what `shots_of` labels, each but for directions of its own in which it is wrong."""
    decoder = EnsembleDecoder.of_generator(generator, 2, EnsembleConfig(taps=("b16.conv1",), hidden=(2,))).eval()
    (block,) = decoder.first.blocks.parameters()
    directions = noise * torch.randn(10, block.shape[1], generator=torch.Generator().manual_seed(0))
    directions[:, 0] += 1
    with torch.no_grad():
        block.copy_(torch.stack([-directions, directions], dim=1).flatten(0, 1))
        decoder.weights[0].copy_(sharpness * torch.eye(2).expand(10, 2, 2))
    return decoder


@pytest.mark.parametrize(("noise", "sharpness"), [(0.3, 3.0), (0.6, 10.0), (1.0, 10.0), (1.0, 100.0)])
def test_the_temperature_is_applied_as_it_was_fitted(generator: StyleGAN2, noise: float, sharpness: float):
    """Divided into each noisy member's logits it gains little, and in the last case less than none does."""
    decoder, shots = noisy_ensemble(generator, noise, sharpness), shots_of(generator, 3)
    found = judge([{1: look_at(decoder, generator, [shot], DrawOptions())} for shot in shots], 1, len(shots))
    labels = torch.cat([torch.from_numpy(shot.label_map.ravel()).long() for shot in shots])
    taps = draw_taps(generator, [shot.seed for shot in shots], decoder.tap_names, DrawOptions())

    def applied(temperature: float) -> float:
        decoder.temperature = temperature
        probabilities = decoder.probabilities(taps).movedim(1, -1).flatten(0, 2)
        return negative_log_likelihood(probabilities.detach().log(), labels)

    assert abs(found.temperature - 1) > 0.05
    assert applied(found.temperature) == pytest.approx(found.points[0]["nll_at_best"], abs=1e-4)
    assert applied(found.temperature) < applied(1.0) == pytest.approx(found.points[0]["nll"], abs=1e-4)


def test_every_labelled_picture_is_left_out_once(generator: StyleGAN2):
    shots = shots_of(generator, 7)
    folds = folds_of(shots)
    assert sorted(shot.seed for _, left_out in folds for shot in left_out) == list(range(7))
    assert all(not {s.seed for s in rest} & {s.seed for s in left_out} for rest, left_out in folds)
    assert [len(rest) for rest, _ in folds] == [4, 5, 5]
    shots[1].label_map[:] = 255
    assert all(shots[1] in rest for rest, _ in folds_of(shots[:3]))
    assert folds_of(shots[:2]) == []


@pytest.mark.parametrize("kind", ["light", "closed"])
def test_a_killed_run_ends_as_one_that_was_not(generator: StyleGAN2, tmp_path: Path, kind: str):
    shots = shots_of(generator, 3)
    config = FitConfig(steps=8) if kind == "light" else scheduled(LinearConfig(), "ours", 3, 16)
    for _ in hold_out(generator, shots, 2, config, DrawOptions(), tmp_path / "whole"):
        pass
    running: Any = hold_out(generator, shots, 2, config, DrawOptions(), tmp_path / "killed")
    for _ in range(4):  # in the middle of the first or the second fold
        next(running)
    running.close()
    for _ in hold_out(generator, shots, 2, config, DrawOptions(), tmp_path / "killed"):
        pass
    whole, killed = (json.loads((tmp_path / name / "held-out.json").read_text()) for name in ("whole", "killed"))
    assert whole == killed
    found = read_held_out(tmp_path / "whole")
    assert found is not None
    assert found.folds == 3
    assert 0.3 < found.points[-1]["miou"] <= 1
    assert "leaving pictures out (3 fits)" in found.as_text()


def test_one_picture_leaves_nothing(generator: StyleGAN2, tmp_path: Path):
    assert list(hold_out(generator, shots_of(generator, 1), 2, FitConfig(), DrawOptions(), tmp_path)) == []
    assert read_held_out(tmp_path) is None


def test_folds_of_other_labels_are_fitted_again(generator: StyleGAN2, tmp_path: Path):
    shots = shots_of(generator, 3)
    config = FitConfig(steps=8)
    for _ in hold_out(generator, shots, 2, config, DrawOptions(), tmp_path):
        pass
    before = (tmp_path / "fold-0.npz").read_bytes()
    assert list(hold_out(generator, shots, 2, config, DrawOptions(), tmp_path)) == []
    shots[1].label_map[:8] = 1
    assert list(hold_out(generator, shots, 2, config, DrawOptions(), tmp_path))
    assert (tmp_path / "fold-0.npz").read_bytes() != before


@pytest.mark.parametrize("length", [0, 100, -10])
def test_a_fold_that_is_cut_off_is_fitted_again(generator: StyleGAN2, tmp_path: Path, length: int):
    shots, config = shots_of(generator, 2), FitConfig(steps=4)
    for _ in hold_out(generator, shots, 2, config, DrawOptions(), tmp_path):
        pass
    fold, before = tmp_path / "fold-0.npz", read_held_out(tmp_path)
    fold.write_bytes(fold.read_bytes()[:length])
    assert list(hold_out(generator, shots, 2, config, DrawOptions(), tmp_path))
    assert read_held_out(tmp_path) == before


LOOK = '{"step": 4, "miou": 0.5, "nll": 1, "nll_at_best": 1, "temperature": 1}'


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"steps": 4, "temperature": 1.5, "folds": 2, "points": []}',
        f'{{"steps": "x", "temperature": 1.5, "folds": 2, "points": [{LOOK}]}}',
        f'{{"steps": 4, "temperature": NaN, "folds": 2, "points": [{LOOK}]}}',
        '{"steps": 4, "temperature": 1.5, "folds": 2, "points": [{"step": 4}]}',
    ],
)
def test_damaged_figures(tmp_path: Path, text: str):
    (tmp_path / "held-out.json").write_text(text)
    with pytest.raises(GannotateError, match=r"held-out\.json is damaged .*; delete it and run the same command again"):
        read_held_out(tmp_path)
    (tmp_path / "held-out.json").write_text(f'{{"steps": 4, "temperature": 1.5, "folds": 2, "points": [{LOOK}]}}')
    assert read_held_out(tmp_path) == HeldOut(4, 1.5, 2, (json.loads(LOOK),))


@pytest.mark.parametrize("text", ["{", "[]"])
def test_folds_of_nobody_knows_what_are_fitted_again(generator: StyleGAN2, tmp_path: Path, text: str):
    shots, config = shots_of(generator, 2), FitConfig(steps=2)
    assert list(hold_out(generator, shots, 2, config, DrawOptions(), tmp_path))
    assert not list(hold_out(generator, shots, 2, config, DrawOptions(), tmp_path))
    (tmp_path / "about.json").write_text(text)
    assert list(hold_out(generator, shots, 2, config, DrawOptions(), tmp_path))
    assert read_held_out(tmp_path)


def test_patience_and_minutes_end_a_fold_too(generator: StyleGAN2, tmp_path: Path):
    config = FitConfig(steps=500, learning_rate=1e-9, rate="constant", patience=3, patience_from=5)
    steps = list(hold_out(generator, shots_of(generator, 2), 2, config, DrawOptions(), tmp_path / "patience"))
    assert len(steps) < 200
    found = read_held_out(tmp_path / "patience")
    assert found is not None
    assert found.steps == 500
    config = FitConfig(steps=500)
    assert len(list(hold_out(generator, shots_of(generator, 2), 2, config, DrawOptions(), tmp_path / "m", 1e-9))) == 2
