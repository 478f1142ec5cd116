"""Schedules: ours, the papers', and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gannotate.decoders.base import DecoderConfig
from gannotate.decoders.build import DECODERS, decoder_config
from gannotate.decoders.cnn import CNNConfig
from gannotate.decoders.ensemble import EnsembleConfig
from gannotate.decoders.fpn import FPNConfig
from gannotate.decoders.light import LightConfig
from gannotate.decoders.linear import LinearConfig
from gannotate.decoders.mlp import MLPConfig
from gannotate.errors import UsageError
from gannotate.fitting.config import OURS, FitConfig, scheduled


def test_every_decoder_has_a_schedule_of_ours():
    assert set(OURS) == set(DECODERS)
    for kind in DECODERS.values():
        assert scheduled(kind.config_class(), "ours", 5, 64).kind == kind.architecture


@pytest.mark.parametrize(
    ("config", "shots", "expected"),
    [
        (CNNConfig(), 10, {"steps": 10_000, "batch": 1, "weight_decay": 1e-3, "rate": "drops", "drop_every": 500}),
        (MLPConfig(paper="repurposegan"), 1, {"steps": 1000, "drop_every": 50, "pixels": 0}),
        (MLPConfig(), 16, {"steps": 100 * 1024, "pixels": 64, "patience": 50, "patience_from": 4096, "pool": 0}),
        (EnsembleConfig(), 1, {"steps": 6400, "pixels": 64, "patience_from": 256}),
        (LinearConfig(), 4, {"steps": 50, "batch": 4, "noise_augment": True, "solver": "gradient"}),
        (LightConfig(), 1, {"steps": 120, "batch": 1}),
        (LightConfig(), 20, {"steps": 480, "rate": "constant", "ema": 0.0}),
    ],
)
def test_the_papers_schedules(config: DecoderConfig, shots: int, expected: dict[str, Any]):
    found = scheduled(config, "paper", shots, 64)
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.learning_rate == 1e-3


def test_choices_go_before_the_schedule():
    found = scheduled(CNNConfig(), "ours", 3, 64, steps=7, learning_rate=None, balance=0.2)
    assert (found.steps, found.learning_rate, found.balance) == (7, OURS["cnn"]["learning_rate"], 0.2)


def test_the_dilated_cnn_sees_one_large_picture_a_step():
    batches = [scheduled(decoder_config("cnn", {}), "ours", 10, size).batch for size in (64, 128, 256, 512)]
    assert batches == [2, 2, 1, 1]


def test_gradient_steps_for_the_linear_decoder_when_asked_for():
    assert scheduled(LinearConfig(), "ours", 3, 64).solver == "closed"
    for choice in ({"solver": "gradient"}, {"noise_augment": True}, {"learning_rate": 0.01}):
        found = scheduled(LinearConfig(), "ours", 3, 64, **choice)
        assert (found.solver, found.pixels) == ("gradient", 1024)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"pixels": -5}, "-5 pixels a step were asked for"),
        ({"pixels": 100}, "decoder light learns from whole pictures"),
        ({"solver": "closed"}, "light has no closed form"),
        ({"decoder": LinearConfig(), "solver": "closed", "noise_augment": True}, "looks at the pictures once"),
        ({"balance": 2.0}, "balance is 2.0"),
        ({"rate": "drops"}, "give drop_every"),
        ({"rate": "linear"}, "rate 'linear' is not known"),
        ({"pool": -1}, "pool is -1"),
        ({"weight_decay": -1}, "the weight decay is -1"),
        ({"weight_decay": math.nan}, "the weight decay is nan"),
        ({"weight_decay": math.inf}, "the weight decay is inf"),
        ({"learning_rate": math.inf}, "the learning rate is inf"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, Any], part: str):
    with pytest.raises(UsageError, match=part):
        FitConfig(**settings)


def test_the_closed_form_takes_no_steps():
    with pytest.raises(UsageError, match="steps means nothing to it"):
        scheduled(LinearConfig(), "ours", 3, 64, solver="closed", steps=5)
    with pytest.raises(UsageError, match="or schedule ours"):
        scheduled(LinearConfig(), "paper", 3, 64, solver="closed")


def test_what_no_paper_does_is_told():
    with pytest.raises(UsageError, match="gradient matching"):
        scheduled(FPNConfig(), "paper", 5, 64)
    with pytest.raises(UsageError, match="'theirs' is not known"):
        scheduled(LightConfig(), "theirs", 5, 64)  # pyright: ignore[reportArgumentType]
