"""Fitting: a label that follows from the picture is learnt; ignored pixels teach nothing; resume equals no stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gannotate.decoders.build import load_decoder, read_decoder_config
from gannotate.errors import GannotateError, UsageError
from gannotate.fitting.config import FitConfig
from gannotate.fitting.fit import fit
from gannotate.fitting.lessons import PictureLessons
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.fitting.supervised import FitTrainer
from gannotate.generators.base import DrawOptions, draw
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.training.loop import LoopConfig, train

TINY = StyleGAN2Config(size=16, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16)
OPTIONS = DrawOptions()
QUICK = FitConfig(steps=80, learning_rate=0.01)


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    torch.manual_seed(1)
    return StyleGAN2(TINY).eval().requires_grad_(False)


def brightness_shots(generator: StyleGAN2, seeds: range) -> list[Shot]:
    """Class 1 where the drawn picture is brighter than its own median."""
    shots = []
    for seed, drawing in draw(generator, seeds):
        grey = drawing.picture[0].mean(dim=0)
        shots.append(Shot(seed, (grey > grey.median()).byte().numpy()))
    return shots


def activation_shots(generator: StyleGAN2, seeds: range) -> list[Shot]:
    """Class 1 where one activation at 8 px, enlarged, is positive: a label that the taps hold in every picture."""
    shots = []
    for seed, drawing in draw(generator, seeds, taps=["b8.conv1"]):
        enlarged = torch.nn.functional.interpolate(drawing.taps["b8.conv1"][:, :1], (16, 16), mode="bilinear")
        shots.append(Shot(seed, (enlarged[0, 0] > 0).byte().numpy()))
    return shots


def run(generator: StyleGAN2, shots: list[Shot], classes: int, config: FitConfig, folder: Path) -> None:
    for _ in fit(generator, shots, classes, config, OPTIONS, folder):
        pass


def agreement(generator: StyleGAN2, folder: Path, shots: list[Shot]) -> float:
    decoder = load_decoder(folder)
    taps = draw_taps(generator, [shot.seed for shot in shots], decoder.tap_names, OPTIONS)
    predicted = decoder(taps).argmax(dim=1).numpy()
    return float(np.mean(predicted == np.stack([shot.label_map for shot in shots])))


def test_learns_a_label_that_follows_from_the_picture(generator: StyleGAN2, tmp_path: Path) -> None:
    shots = brightness_shots(generator, range(4))
    run(generator, shots, 2, QUICK, tmp_path)
    assert agreement(generator, tmp_path, shots) > 0.93


def test_what_was_learnt_holds_in_other_pictures(generator: StyleGAN2, tmp_path: Path) -> None:
    unseen = activation_shots(generator, range(100, 132))
    positive = float(np.mean([shot.label_map for shot in unseen]))
    run(generator, activation_shots(generator, range(12)), 2, QUICK, tmp_path)
    assert agreement(generator, tmp_path, unseen) > max(positive, 1 - positive) + 0.15


def test_one_shot_and_a_class_that_it_does_not_show(generator: StyleGAN2, tmp_path: Path) -> None:
    shots = brightness_shots(generator, range(1))
    run(generator, shots, 5, QUICK, tmp_path)
    assert load_decoder(tmp_path).classes == 5
    assert agreement(generator, tmp_path, shots) > 0.9


def test_ignored_pixels_teach_nothing(generator: StyleGAN2, tmp_path: Path) -> None:
    # half labelled pictures, one not labelled at all: the truth is still learnt everywhere
    shots = brightness_shots(generator, range(5))
    for shot in shots:
        shot.label_map[:, ::2] = 255
    shots[4].label_map[:] = 255
    run(generator, shots, 2, QUICK, tmp_path)
    assert agreement(generator, tmp_path, brightness_shots(generator, range(4))) > 0.88


def test_taps_equal_those_of_draw(generator: StyleGAN2) -> None:
    for noise in ("const", "seeded", "none"):
        options = DrawOptions(psi=0.7, noise=noise)
        few = draw_taps(generator, [3, 40], ["b8.conv1"], options)["b8.conv1"]
        drawn = torch.cat([drawing.taps["b8.conv1"] for _, drawing in draw(generator, [3, 40], options, ["b8.conv1"])])
        torch.testing.assert_close(few, drawn)


def test_fresh_noise_is_another_in_each_step(generator: StyleGAN2) -> None:
    noisy = StyleGAN2(TINY).eval().requires_grad_(False)
    noisy.load_state_dict({k: v + (0.5 if "noise_strength" in k else 0) for k, v in generator.state_dict().items()})
    config = FitConfig(steps=2, noise_augment=True)
    trainer = FitTrainer(noisy, brightness_shots(noisy, range(1)), 2, config, OPTIONS)
    torch.manual_seed(0)
    assert isinstance(trainer.lessons, PictureLessons)
    first, second = trainer.lessons.taps([0]), trainer.lessons.taps([0])
    assert (first["b16.conv1"] - second["b16.conv1"]).abs().max() > 0.01
    with pytest.raises(UsageError, match="noise none"):
        FitTrainer(noisy, brightness_shots(noisy, range(1)), 2, config, DrawOptions(noise="none"))


def test_the_average_is_the_mean_of_what_the_steps_left(generator: StyleGAN2) -> None:
    shots = brightness_shots(generator, range(1))
    trainer = FitTrainer(generator, shots, 2, FitConfig(steps=3), OPTIONS)
    name = "last.weight"
    expected = trainer.decoder.state_dict()[name].clone()
    for index in range(3):
        trainer.step(index)
        decay = (1 + index) / (10 + index)
        expected = decay * expected + (1 - decay) * trainer.decoder.state_dict()[name]
    kept = trainer.finish()
    torch.testing.assert_close(kept.state_dict()[name], expected)
    assert not torch.equal(kept.state_dict()[name], trainer.decoder.state_dict()[name])
    assert not any(module.training for module in kept.modules())


def test_without_an_average_the_last_weights_are_kept(generator: StyleGAN2) -> None:
    trainer = FitTrainer(generator, brightness_shots(generator, range(1)), 2, FitConfig(steps=2, ema=0.0), OPTIONS)
    trainer.step(0)
    trainer.step(1)
    last = trainer.decoder.state_dict()
    assert all(torch.equal(value, last[name]) for name, value in trainer.finish().state_dict().items())


def test_unusable_settings_are_one_sentence() -> None:
    wrong: tuple[dict[str, Any], ...] = ({"steps": 0}, {"batch": 0}, {"learning_rate": 0.0}, {"ema": 1.0})
    for settings in wrong:
        with pytest.raises(UsageError, match="use "):
            FitConfig(**settings)


def test_stopped_and_resumed_equals_undisturbed(generator: StyleGAN2, tmp_path: Path) -> None:
    config = FitConfig(steps=12)
    shots = brightness_shots(generator, range(3))
    run(generator, shots, 2, config, tmp_path / "whole")

    trainer = FitTrainer(generator, shots, 2, config, OPTIONS)
    stopping = train(trainer, tmp_path / "parts", LoopConfig(steps=12, checkpoint_s=0.0))
    for progress in stopping:
        if progress.done == 5:
            break
    stopping.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert not (tmp_path / "parts" / "model.safetensors").exists()
    run(generator, shots, 2, config, tmp_path / "parts")
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_resuming_with_other_annotations_is_refused(generator: StyleGAN2, tmp_path: Path) -> None:
    config = FitConfig(steps=2)
    run(generator, brightness_shots(generator, range(2)), 2, config, tmp_path)
    with pytest.raises(UsageError, match="other annotations"):
        run(generator, brightness_shots(generator, range(3)), 2, config, tmp_path)
    with pytest.raises(UsageError, match="other settings"):
        run(generator, brightness_shots(generator, range(2)), 2, FitConfig(steps=3), tmp_path)


def test_the_folder_says_what_was_fitted(generator: StyleGAN2, tmp_path: Path) -> None:
    shots = brightness_shots(generator, range(7, 9))
    shots[0].label_map[0] = 255
    run(generator, shots, 2, FitConfig(steps=1), tmp_path)
    about = read_decoder_config(tmp_path)["about"]
    assert about["annotations"]["seeds"] == [7, 8]
    assert about["annotations"]["ignored_px"] == 16
    assert sum(about["annotations"]["labelled_px"]) == 2 * 16 * 16 - 16
    assert about["settings"]["steps"] == 1


def test_unusable_annotations_are_one_sentence(generator: StyleGAN2) -> None:
    good = np.zeros((16, 16), np.uint8)
    cases = [
        ([], 2, "annotate at least one"),
        ([Shot(1, np.full((16, 16), 255, np.uint8))], 2, "nothing is labelled"),
        ([Shot(1, good), Shot(1, good)], 2, "seed 1: given 2 times"),
        ([Shot(1, good[:8])], 2, "it is 16x8 px, the generator's pictures are 16x16"),
        ([Shot(3, good + 9)], 2, "seed 3: unknown class id 9"),
        ([Shot(3, good)], 1, "at least 2"),
    ]
    for shots, classes, sentence in cases:
        with pytest.raises(GannotateError, match=sentence):
            FitTrainer(generator, shots, classes, FitConfig(), OPTIONS)
