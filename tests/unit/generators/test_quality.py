"""Measuring a generator: the split of the real pictures, the floor, and path length through the generator."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gannotate.errors import UsageError
from gannotate.generators.base import DrawOptions, Generator, draw, to_uint8
from gannotate.generators.build import build_generator
from gannotate.generators.quality import QualityConfig, QualityRun, generator_path_lengths, split
from gannotate.metrics.feature_spaces import make_feature_space
from gannotate.metrics.image_quality import Gauge
from gannotate.metrics.path_length import PathLengthConfig

PIXELS = make_feature_space("pixels-32px", 1)


def tiny(**more: int) -> Generator:
    torch.manual_seed(0)
    shape = {"size": 16, "z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 128, "channel_max": 16}
    config = {"architecture": "stylegan2", "image_channels": 1, **shape, **more}
    return build_generator(config).eval().requires_grad_(False)


def drawn(generator: Generator, first: int, count: int) -> np.ndarray:
    return np.concatenate([to_uint8(drawing.picture) for _, drawing in draw(generator, range(first, first + count))])


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    """'Real' pictures: 160 of the generator itself, so that every figure has a truth."""
    return drawn(tiny(), 0, 160)


def test_a_generator_measured_against_its_own_pictures_is_as_good_as_they_are(real):
    config = QualityConfig(paths=PathLengthConfig(pairs=50))
    run = QualityRun(tiny(), real, PIXELS, config, PIXELS)
    steps = list(run)
    assert [step.done for step in steps][-1] == steps[0].steps == 80 + 100
    assert (run.pictures, run.against, run.generated.pictures) == (80, 80, 80)
    for found in (run.generated, run.floor):
        assert found is not None
        assert abs(found.kid) < 4 * found.kid_standard_error
        assert min(found.precision, found.recall, found.coverage) > 0.6
        assert found.density == pytest.approx(1, abs=0.4)
    assert run.path_length is not None
    assert (run.path_length.distance, run.path_length.pairs) == ("pixels-32px", 50)
    assert run.path_length.value > 0


def test_it_equals_the_gauge_on_drawn_pictures(real):
    run = QualityRun(tiny(), real, PIXELS, QualityConfig(pictures=60, floor=False, first_seed=500, seed=4))
    list(run)
    assert run.generated == Gauge(real, PIXELS, seed=4).measure(drawn(tiny(), 500, 60))
    assert (run.floor, run.path_length, run.against) == (None, None, 160)


def test_held_back_pictures_are_others_and_at_most_half():
    real = np.arange(240, dtype=np.uint8).reshape(-1, 1, 1, 1)
    reference, held_back = split(real, most=70, seed=1)
    assert (len(reference), len(held_back)) == (170, 70)
    assert sorted([*reference.ravel(), *held_back.ravel()]) == list(range(240))
    assert not np.array_equal(split(real, most=70, seed=2)[1], held_back)
    assert [len(part) for part in split(real, most=500, seed=1)] == [120, 120]
    assert [len(part) for part in split(real[:99], most=500, seed=1)] == [99, 0]  # 49 would say nothing


def test_paths_follow_truncation_class_and_noise():
    def mean(generator: Generator, label: int | None = None, **options) -> float:
        config = QualityConfig(options=DrawOptions(**options), label=label)
        paths = PathLengthConfig(pairs=50)
        return float(np.concatenate(list(generator_path_lengths(generator, PIXELS, paths, config))).mean())

    generator = tiny()
    assert mean(generator, psi=0.0) == 0
    assert 0 < mean(generator, psi=0.5) < mean(generator)
    classes = tiny(label_dim=2)
    assert mean(classes, label=0) != mean(classes, label=1)
    for name, parameter in generator.named_parameters():
        if "noise_strength" in name:
            parameter.fill_(0.5)
    # noise moves the pictures by grey levels: were it not the same at both ends, the path would be far longer
    const, seeded = mean(generator), mean(generator, noise="seeded")
    assert const != seeded
    assert seeded == pytest.approx(const, rel=0.5)


@pytest.mark.parametrize("pictures", [0, 49])
def test_too_few_pictures(pictures: int):
    with pytest.raises(UsageError, match=f"{pictures} drawn pictures say nothing; ask for at least 50"):
        QualityConfig(pictures=pictures)


def test_too_few_real_pictures(real):
    with pytest.raises(UsageError, match=r"49 real pictures were given .* at least 50"):
        list(QualityRun(tiny(), real[:49], PIXELS))
