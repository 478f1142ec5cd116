"""Training of generators: losses, augmentation, controller, one step's effects, resume."""

import json
import math

import numpy as np
import pytest
import torch

from gannotate.errors import GannotateError, UsageError
from gannotate.generators.adversarial.augment import MILD, AdaController, AugmentConfig, augment
from gannotate.generators.adversarial.discriminator import Discriminator, minibatch_std
from gannotate.generators.adversarial.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty
from gannotate.generators.adversarial.presets import NAMES, AdversarialConfig, preset
from gannotate.generators.adversarial.run import GeneratorRun, train_generator
from gannotate.generators.adversarial.trainer import AdversarialTrainer
from gannotate.generators.build import load_generator
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.training.checkpoint import load_checkpoint
from gannotate.training.descent import Compute
from gannotate.training.loop import Diverged

TINY = StyleGAN2Config(size=16, image_channels=1, z_dim=8, w_dim=8, mapping_layers=1, channel_base=64, channel_max=8)


def config(**choices):
    return AdversarialConfig(**{"network": TINY, "batch": 4, "r1_interval": 2, "path_interval": 2, **choices})


def pictures(count=60, size=16, channels=1):
    return np.random.default_rng(0).integers(0, 255, (count, size, size, channels), dtype=np.uint8)


def test_losses_at_known_logits():
    zero = torch.zeros(3)
    assert float(discriminator_loss(zero, zero)) == pytest.approx(2 * math.log(2))
    assert float(generator_loss(torch.tensor([100.0]))) == pytest.approx(0.0)
    assert float(generator_loss(torch.tensor([-100.0]))) == pytest.approx(100.0)


def test_r1_of_a_linear_discriminator_is_its_weights_norm():
    x = torch.randn(5, 1, 2, 2, requires_grad=True)
    weight = torch.arange(4.0).view(1, 1, 2, 2)
    assert float(r1_penalty(x, (x * weight).sum(dim=(1, 2, 3)))) == pytest.approx(14.0)


def test_path_length_of_a_linear_generator():
    w = torch.randn(3, 1, 4, requires_grad=True)
    picture = (w[:, 0] * 2).view(3, 1, 2, 2)
    direction = torch.ones(3, 1, 2, 2)
    assert torch.allclose(path_lengths(picture, w, direction), torch.full((3,), 2.0))  # |2 * y / 2| over 4 values


def test_minibatch_std_sees_lack_of_variety_and_parts_do_not_mix():
    same = torch.ones(4, 2, 4, 4)
    different = torch.randn(4, 2, 4, 4)
    both = minibatch_std(torch.cat([same, different]), group=4, parts=2)[:, -1]
    assert float(both[:4].max()) < 1e-3
    assert torch.allclose(both[4:], minibatch_std(different, group=4)[:, -1])


@pytest.mark.parametrize("patch_stem", [False, True])
def test_discriminator_halves_do_not_know_each_other(patch_stem):
    torch.manual_seed(0)
    network = Discriminator(TINY, group=4, patch_stem=patch_stem)
    a, b = torch.randn(4, 1, 16, 16), torch.randn(4, 1, 16, 16)
    together = network(torch.cat([a, b]), parts=2)
    assert together.shape == (8,)
    assert torch.allclose(together, torch.cat([network(a), network(b)]), atol=1e-5)


def test_augment_with_p_zero_is_the_picture_itself():
    x = torch.randn(4, 3, 16, 16)
    assert augment(x, 0.0, AugmentConfig()) is x


@pytest.mark.parametrize("channels", [1, 3])
def test_augment_shifts_by_whole_pixels_exactly(channels):
    """Shifts alone, always on: every result is some integer shift of its picture, up to an eighth of the side."""
    only_shift = AugmentConfig(
        translate=0.125, scale_std=0, rotate=False, fraction_std=0, brightness_std=0, contrast_std=0,
        saturation_std=0, hue=False,
    )  # fmt: skip
    torch.manual_seed(0)
    x = torch.randn(6, channels, 16, 16)
    moved = augment(x, 1.0, only_shift)
    for before, after in zip(x, moved, strict=True):
        fits = [
            torch.allclose(after[:, 4:-4, 4:-4], before[:, 4 - dy : 12 - dy, 4 - dx : 12 - dx], atol=1e-4)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
        ]
        assert sum(fits) == 1


def test_augment_flips_and_turns_are_exact():
    turns = AugmentConfig(
        turn90=True, translate=0, scale_std=0, rotate=False, fraction_std=0, brightness_std=0, contrast_std=0,
        saturation_std=0, hue=False,
    )  # fmt: skip
    torch.manual_seed(0)
    x = torch.randn(8, 1, 16, 16)
    seen = set()
    for before, after in zip(x, augment(x, 1.0, turns), strict=True):
        seen |= {k for k in range(4) if torch.allclose(after, torch.rot90(before, k, (1, 2)), atol=1e-3)}
    assert len(seen) > 1


def test_grey_stays_grey_under_hue_and_saturation():
    torch.manual_seed(0)
    grey = torch.randn(4, 1, 8, 8).repeat(1, 3, 1, 1)
    changed = augment(grey, 1.0, AugmentConfig(translate=0, scale_std=0, rotate=False, fraction_std=0))
    assert torch.allclose(changed, changed.mean(dim=1, keepdim=True).expand_as(changed), atol=1e-4)


def test_augment_lets_gradients_through():
    x = torch.randn(4, 3, 16, 16, requires_grad=True)
    augment(x, 1.0, MILD).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert float(x.grad.abs().sum()) > 0


def test_ada_moves_p_towards_its_target():
    ada = AdaController(target=0.6, interval=4, kimg=1.0)
    for index in range(8):
        ada.note(torch.ones(10))
        ada.update(index, batch=10)
    assert ada.p == pytest.approx(2 * 10 * 4 / 1000)
    for index in range(40):
        ada.note(-torch.ones(10))
        ada.update(index, batch=10)
    assert ada.p == 0.0


def test_presets_have_the_public_numbers():
    auto = preset("auto", 256, 3)
    assert (auto.batch, auto.network.mapping_layers, auto.network.channel_base) == (16, 2, 16384)
    assert auto.r1_gamma == pytest.approx(0.0002 * 256**2 / 16)
    paper = preset("paper256", 256, 3)
    assert (paper.batch, paper.group, paper.learning_rate, paper.r1_gamma, paper.ema_kimg) == (64, 8, 0.0025, 1, 20)
    tiny = StyleGAN2(preset("tiny", 64, 3).network)
    assert sum(p.numel() for p in tiny.parameters()) >= 700_000


def test_unknown_preset_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'paper256'"):
        preset("paper265", 64, 3)
    assert len(NAMES) == 5


def test_a_step_trains_both_networks_and_moves_the_average():
    trainer = AdversarialTrainer(pictures(), config(augment="ada"), seed=0)
    before = {k: v.clone() for k, v in trainer.state()["generator"].items()}
    judge = {k: v.clone() for k, v in trainer.state()["discriminator"].items()}
    average = {k: v.clone() for k, v in trainer.state()["average"].items()}
    metrics = trainer.step(0)
    assert {"d_loss", "g_loss", "r1", "path_penalty", "augment_p"} <= metrics.keys()
    for was, now in ((before, trainer.generator), (judge, trainer.discriminator), (average, trainer.average)):
        weights = dict(now.named_parameters())
        assert any(not torch.equal(was[name], value) for name, value in weights.items())
    assert "r1" not in trainer.step(1)


def run(folder, steps, **choices):
    settings = GeneratorRun(preset="tiny", kimg=10, batch=4, snapshot_kimg=0.012, gauge_pictures=50, **choices)
    return list(train_generator(pictures(size=16), folder, settings, max_steps=steps))


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize("aug", ["fixed", "ada"])
def test_killed_and_resumed_equals_uninterrupted(tmp_path, aug):
    run(tmp_path / "whole", 6, aug=aug)
    run(tmp_path / "parts", 3, aug=aug)
    resumed = run(tmp_path / "parts", 6, aug=aug)
    assert [progress.done for progress in resumed] == [4, 5, 6]
    whole, parts = (load_checkpoint(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "parts"))
    assert same(whole["trainer"], parts["trainer"])


def test_a_run_leaves_a_generator_with_card_grids_and_logs(tmp_path):
    last = run(tmp_path, 3)[-1]
    assert {"kid", "precision", "recall", "fid"} <= last.metrics.keys()
    assert load_generator(tmp_path).size == 16
    assert "KID" in (tmp_path / "card.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.png", "card.md", "checkpoint.safetensors", "config.json", "discriminator.safetensors", "log.csv",
        "log.jsonl", "model.safetensors", "snapshots", "training.json",
    ]  # fmt: skip


def test_resuming_with_other_settings_is_refused(tmp_path):
    run(tmp_path, 2)
    with pytest.raises(UsageError, match="changed since"):
        run(tmp_path, 4, gamma=7)


def test_a_run_of_a_version_that_lacked_a_setting_goes_on(tmp_path):
    run(tmp_path, 2)
    path = tmp_path / "training.json"
    about = json.loads(path.read_text())
    del about["config"]["network"]["conv_clamp"]
    path.write_text(json.dumps(about))
    assert [progress.done for progress in run(tmp_path, 3)] == [3]


def test_collapse_stops_with_a_sentence(tmp_path, monkeypatch):
    import gannotate.generators.adversarial.snapshots as snapshots

    monkeypatch.setattr(snapshots, "COLLAPSE", 1e9)
    monkeypatch.setattr(snapshots, "COLLAPSE_AFTER_KIMG", 0.0)
    with pytest.raises(Diverged, match="collapsed"):
        run(tmp_path, 6)


def test_divergence_leads_to_a_flag_that_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(AdversarialTrainer, "step", lambda self, index: {"d_loss": math.nan})
    with pytest.raises(Diverged, match=r"Try a higher --gamma$"):
        run(tmp_path, 1)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"kimg": 0}, "kimg is 0; give a number"),
        ({"kimg": math.nan}, "kimg is nan; give a number"),
        ({"kimg": math.inf}, "kimg is inf; give a number"),
        ({"snapshot_kimg": 0}, "snapshot_kimg is 0; give a number"),
        ({"snapshot_kimg": -5}, "snapshot_kimg is -5; give a number"),
        ({"snapshot_kimg": math.nan}, "snapshot_kimg is nan; give a number"),
        ({"minutes": math.nan}, "nan minutes were asked for; give more than 0"),
        ({"batch": 0}, "batch is 0; give 1 or more"),
        ({"gamma": -1}, "gamma is -1; give 0 or more"),
        ({"gamma": math.nan}, "gamma is nan; give 0 or more"),
        ({"gauge_pictures": 0}, "gauge_pictures is 0; fewer than 50 say nothing"),
        ({"gauge_pictures": 49}, "gauge_pictures is 49; fewer than 50 say nothing"),
    ],
)
def test_a_run_of_nothing_is_refused(choices, words):
    with pytest.raises(UsageError, match=words):
        GeneratorRun(**choices)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"batch": 0}, "batch is 0; use 1 or more"),
        ({"r1_interval": 0}, "r1_interval is 0; use 1 or more"),
        ({"learning_rate": math.nan}, "learning_rate is nan; use a number above 0"),
        ({"r1_gamma": math.inf}, "r1_gamma is inf; use a number from 0 on"),
        ({"ema_ramp": -1}, "ema_ramp is -1; use a number from 0 on"),
        ({"mixing": 1.5}, "mixing is 1.5; use 0 to 1"),
        ({"ada_target": math.nan}, "ada_target is nan; use -1 to 1"),
        ({"augment": "some"}, "augment 'some' is not known; use ada, fixed, none"),
    ],
)
def test_settings_that_cannot_be_are_refused(choices, words):
    with pytest.raises(UsageError, match=words):
        config(**choices)
    assert config(r1_gamma=0, ema_ramp=None).r1_gamma == 0


@pytest.mark.parametrize(
    "wrong",
    [{"run": GeneratorRun(gauge_space="pixel")}, {"run": GeneratorRun(), "compute": Compute(compile=True)}],
)
def test_what_is_refused_leaves_nothing(tmp_path, wrong):
    with pytest.raises(UsageError, match=r"did you mean 'pixels'|leave --compile out"):
        next(train_generator(pictures(), tmp_path / "new", **wrong))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"pictures": {}, "run": [1], "config": {}}', '{"pictures": 1, "run": {}, "config": 1}']
)
def test_damaged_settings_of_a_begun_run(tmp_path, text):
    run(tmp_path, 1)
    (tmp_path / "training.json").write_text(text)
    with pytest.raises(GannotateError, match=r"training\.json is damaged .* give another --out, or --no-resume"):
        run(tmp_path, 2)


def test_begun_with_other_pictures(tmp_path):
    run(tmp_path, 1)
    path = tmp_path / "training.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pictures": None}))
    with pytest.raises(UsageError, match="the pictures have changed since"):
        run(tmp_path, 2)


def test_too_few_pictures(tmp_path):
    with pytest.raises(UsageError, match="at least 50"):
        list(train_generator(pictures(count=10), tmp_path, GeneratorRun()))
