"""Path length: closed forms of linear generators, and what is left out of the mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.metrics.feature_spaces import Embedding, make_feature_space
from gannotate.metrics.path_length import PathLengthConfig, path_lengths, slerp, summarise

Z = 64
PIXELS = make_feature_space("pixels-32px", 1)


class Linear:
    """A generator without a mapping whose pictures are 32 x 32 products with a matrix; remembers its latents."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix, self.seen = matrix, []

    def to_styles(self, z: Tensor) -> Tensor:
        self.seen.append(z)
        return z

    def to_pictures(self, styles: Tensor) -> Tensor:
        return (styles.double() @ self.matrix.T).reshape(-1, 1, 32, 32)


def lengths(generator: Linear, config: PathLengthConfig, embedding: Embedding = PIXELS, **more) -> np.ndarray:
    drawn = path_lengths(generator.to_styles, generator.to_pictures, embedding, Z, config, **more)
    return np.concatenate(list(drawn))


def random_matrix(seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.1, (1024, Z)))


class Double:
    """Pixels in float64, so that closed forms hold to many digits."""

    name = "double"

    def embed(self, pictures: Tensor) -> Tensor:
        return pictures.flatten(1)


@pytest.mark.parametrize("sampling", ["end", "full"])
def test_straight_paths_of_a_linear_generator(sampling) -> None:
    """d(t, t + e) / e^2 = |A (b - a)|^2, wherever on the path; styles are rounded to float32, hence 1e-3."""
    generator = Linear(random_matrix())
    found = lengths(generator, PathLengthConfig(pairs=50, sampling=sampling), Double())
    pairs = torch.stack(generator.seen).double()
    expected = ((pairs[:, 1] - pairs[:, 0]) @ generator.matrix.T).square().sum(dim=1)
    np.testing.assert_allclose(found, expected.numpy(), rtol=5e-3)


def test_the_mean_in_pixel_space_is_twice_the_squared_norm_of_the_matrix() -> None:
    """E |A (b - a)|^2 = 2 tr(A^T A) for independent standard normal a and b."""
    generator, config = Linear(random_matrix()), PathLengthConfig(pairs=400)
    found = summarise([lengths(generator, config, batch=100)], PIXELS, config)
    assert found.value == pytest.approx(2 * float(generator.matrix.square().sum()), abs=4 * found.standard_error)
    assert found.standard_error < 0.02 * found.value
    assert (found.distance, found.space, found.sampling, found.pairs) == ("pixels-32px", "w", "end", 400)


@pytest.mark.parametrize("sampling", ["end", "full"])
def test_paths_on_the_sphere_of_an_isometry(sampling) -> None:
    """A step of e turns by e theta on a sphere of radius sqrt(Z): Z E[theta^2], and E[theta^2] is pi^2 / 4 + 1 / Z."""
    isometry = torch.linalg.qr(random_matrix()).Q
    config = PathLengthConfig(pairs=300, space="z", sampling=sampling)
    found = summarise([lengths(Linear(isometry), config, Double(), batch=100)], Double(), config)
    assert found.value == pytest.approx(Z * (np.pi**2 / 4 + 1 / Z), abs=4 * found.standard_error)


def test_uint8_pictures_would_drown_the_step() -> None:
    """Why embeddings take float pictures: one grey level is thousands of steps wide."""

    class Rounded(Linear):
        def to_pictures(self, styles: Tensor) -> Tensor:
            return (super().to_pictures(styles) * 127.5).round() / 127.5

    config = PathLengthConfig(pairs=50)
    exact, rounded = (lengths(kind(random_matrix()), config).mean() for kind in (Linear, Rounded))
    assert rounded > 10 * exact


def test_a_step_does_not_depend_on_the_batch_or_on_how_many_there_are() -> None:
    one = lengths(Linear(random_matrix()), PathLengthConfig(pairs=50), batch=50)
    other = lengths(Linear(random_matrix()), PathLengthConfig(pairs=60), batch=7)[:50]
    np.testing.assert_allclose(one, other, rtol=1e-4)
    assert not np.allclose(one, lengths(Linear(random_matrix()), PathLengthConfig(pairs=50), seed=1), rtol=0.01)


def test_the_lowest_and_highest_hundredth_are_left_out() -> None:
    values = np.arange(1000.0)
    values[:9], values[-9:] = -1e9, 1e9
    found = summarise([values[:300], values[300:]], PIXELS, PathLengthConfig())
    assert found.value == 499.5
    assert found.standard_error == pytest.approx(np.arange(9, 991).std(ddof=1) / 982**0.5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_slerp_goes_at_even_speed_along_the_great_circle(seed: int, t: float) -> None:
    a, b = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 1, 16)))
    start, middle, end = (slerp(a, b, part) for part in (0.0, t, 1.0))
    torch.testing.assert_close(start, a / a.norm() * 4)
    torch.testing.assert_close(end, b / b.norm() * 4)

    def angle(x: Tensor, y: Tensor) -> float:
        return float(torch.acos(((x * y).sum() / 16).clamp(-1, 1)))

    assert float(middle.norm()) == pytest.approx(4)
    assert angle(start, middle) == pytest.approx(t * angle(start, end), abs=1e-6)


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"pairs": 3}, "3 pairs are too few for a path length; give at least 50"),
        ({"space": "x"}, "path space 'x' is not known; use w or z"),
        ({"sampling": "middle"}, "sampling 'middle' is not known; use end or full"),
        ({"epsilon": 0.0}, "epsilon is 0.0"),
    ],
)
def test_wrong_settings_are_one_sentence(wrong, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        PathLengthConfig(**wrong)
