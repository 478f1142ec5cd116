"""Pictures drawn while training: those of a dataset, reproducible, filtered, mixed in exact shares, resumable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from gannotate.data.augment import STILL, Augmentation, Warp, augment
from gannotate.data.labelled import LabelledSet
from gannotate.decoders.light import LightDecoder
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import CHUNK, DrawOptions
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.online import Online, OnlineConfig, most_certain
from gannotate.segmenters.sources import ALL, Batch, Mixed, Source, Stored, join
from gannotate.segmenters.supervised import SegmenterTraining, train_segmenter
from gannotate.synthesis import annotate_seeds
from gannotate.training.loop import LoopConfig

Squares = Callable[..., LabelledSet]
CPU = torch.device("cpu")
CLASSES, SIZE = 3, 16
TINY = StyleGAN2Config(
    size=SIZE, image_channels=1, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16
)


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    torch.manual_seed(2)
    return StyleGAN2(TINY).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def decoder(generator: StyleGAN2) -> LightDecoder:
    torch.manual_seed(3)
    made = LightDecoder.of_generator(generator, CLASSES).eval().requires_grad_(False)
    made.temperature = 0.5
    return made


@pytest.fixture
def online(generator: StyleGAN2, decoder: LightDecoder) -> Callable[..., Online]:
    """An online source; settings of OnlineConfig, and `options`, `labels`."""

    def make(options: DrawOptions | None = None, labels: Any = "soft", **config: Any) -> Online:
        return Online(generator, decoder, options, OnlineConfig(**config), labels)

    return make


def batches(source: Source, steps: range, count: int = 6) -> list[Batch]:
    """Batches as the training loop asks for them: the global generator is seeded before each step."""
    found = []
    for step in steps:
        torch.manual_seed(step)
        found.append(source.batch(count, CPU))
    return found


def same(first: Batch, second: Batch) -> bool:
    assert first.soft is not None
    assert second.soft is not None
    pairs = ((first.pictures, second.pictures), (first.label_maps, second.label_maps), (first.soft, second.soft))
    return all(torch.equal(one, other) for one, other in pairs)


def test_pictures_are_those_of_a_dataset(online: Callable[..., Online]) -> None:
    """The same seeds, options and temperature give the same pictures and labels as synthesis."""
    source = online(DrawOptions(psi=0.7), buffer=2 * CHUNK)
    (batch,) = batches(source, range(1), 8)
    first = CHUNK * source._first
    drawn = list(
        annotate_seeds(source.generator, source.decoder, range(first, first + 2 * CHUNK), DrawOptions(psi=0.7))
    )
    assert batch.soft is not None
    for picture, label_map, soft in zip(batch.pictures, batch.label_maps, batch.soft, strict=True):
        grey = ((picture + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        (place,) = [index for index, one in enumerate(drawn) if np.array_equal(one.picture, grey)]
        assert np.array_equal(drawn[place].label_map, label_map.numpy())
        assert np.array_equal(drawn[place].soft, soft.half().numpy())
    assert online(labels="hard", buffer=0).batch(2, CPU).soft is None


def test_batches_are_a_function_of_seed_and_step(online: Callable[..., Online]) -> None:
    first, again = (batches(online(buffer=32), range(5)) for _ in range(2))
    assert all(map(same, first, again))
    other = batches(online(buffer=32, seed=1), range(1))[0]
    assert not torch.equal(first[0].pictures, other.pictures)


@pytest.mark.parametrize("config", [{"buffer": 48, "refresh": 0.5, "keep": 0.7}, {"buffer": 0, "refresh": 1.0}])
def test_a_resumed_source_goes_on_as_if_nothing_had_happened(
    online: Callable[..., Online], config: dict[str, Any]
) -> None:
    source = online(**config)
    batches(source, range(9))
    other = online(**config)
    other.load_state(source.state())
    assert source.drawn == other.drawn  # also when all is done and no batch comes any more
    assert all(map(same, batches(source, range(9, 14)), batches(other, range(9, 14))))
    assert source.drawn == other.drawn


def test_without_a_buffer_every_picture_is_new(online: Callable[..., Online]) -> None:
    source = online(buffer=0, refresh=1.0)
    pictures = torch.cat([batch.pictures for batch in batches(source, range(4), CHUNK)])
    assert len(pictures.flatten(1).unique(dim=0)) == 4 * CHUNK == source.drawn


def test_refresh_says_how_many_pictures_are_drawn(online: Callable[..., Online]) -> None:
    source = online(buffer=64, refresh=0.25)
    batches(source, range(33), CHUNK)  # the 33rd batch comes after 32 of 16 pictures were given
    assert source.drawn == 64 + 32 * CHUNK // 4


def test_the_filter_keeps_the_most_certain_of_the_buffer(online: Callable[..., Online]) -> None:
    source = online(buffer=32, keep=0.5)
    seen = torch.cat([batch.pictures for batch in batches(source, range(1), 16)])
    first = CHUNK * source._first
    drawn = list(annotate_seeds(source.generator, source.decoder, range(first, first + 32)))
    certain = sorted(drawn, key=lambda one: one.uncertainty)[:16]
    expected = {one.picture.tobytes() for one in certain}
    assert {((one + 1) * 127.5).round().byte().numpy().tobytes() for one in seen} == expected


def test_most_certain() -> None:
    uncertainty = torch.tensor([0.5, 0.1, 0.9, 0.2])
    assert most_certain(uncertainty, 0.5).tolist() == [1, 3]
    assert most_certain(uncertainty, 1.0).tolist() == [0, 1, 2, 3]
    assert most_certain(uncertainty, 0.1).tolist() == [1]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.lists(st.integers(1, 20), min_size=1, max_size=8))
def test_shares_are_honoured_exactly(weights: list[int], counts: list[int]) -> None:
    """After every batch, whatever the batches' sizes, each source has given its share to within one picture."""
    shares = [weight / sum(weights) for weight in weights]
    mixed = Mixed([(Constant(index), share) for index, share in enumerate(shares)])
    for count in counts:
        batch = mixed.batch(count, CPU)
        assert len(batch.pictures) == count
        total = sum(mixed.given)
        for share, given_pictures in zip(shares, mixed.given, strict=True):
            assert abs(given_pictures - share * total) < 1
    assert sum(mixed.given) == sum(counts)


class Constant:
    """A source whose pictures are all one number."""

    def __init__(self, value: int) -> None:
        self.value = value

    def check(self, config: SegmenterConfig) -> None: ...

    def about(self, classes: int) -> dict[str, Any]:
        return {"value": self.value, "soft_labels": False}

    def batch(self, count: int, device: torch.device, kept: slice = ALL) -> Batch:
        pictures = torch.full((count, 1, 2, 2), float(self.value))
        return Batch(pictures, torch.zeros((count, 2, 2), dtype=torch.long), None).part(kept)

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None: ...


def test_a_quarter_of_sixteen_is_four(online: Callable[..., Online], squares: Squares) -> None:
    mixed = Mixed([(online(buffer=16), 0.75), (Stored(squares(3)), 0.25)])
    for batch in batches(mixed, range(3), 16):
        assert batch.soft is not None
        told = (batch.soft.amax(1) == 1) | (batch.label_maps == 255)
        certain = told.flatten(1).all(1)  # one class, or none: the real pictures'
        assert int(certain.sum()) == 4
        assert (batch.label_maps[certain] == 255).sum() == 4  # their first pixel is not labelled
    assert mixed.given == [36, 12]


def test_joined_labels_mean_what_they_meant(squares: Squares) -> None:
    hard, soft = Stored(squares(2)).batch(2, CPU), Stored(squares(2, soft=True)).batch(2, CPU)
    joined = join([hard, soft])
    assert joined.soft is not None
    known = hard.label_maps != 255
    assert torch.equal(joined.soft[:2].argmax(1)[known], hard.label_maps[known])
    assert torch.equal(joined.soft[2:], soft.soft if soft.soft is not None else torch.empty(0))
    assert join([hard, hard]).soft is None


def test_what_is_not_labelled_does_not_bleed_into_labels_that_are() -> None:
    label_maps = torch.full((1, 16, 16), 255)
    label_maps[:, :, 8:] = 2
    partly, soft = Batch(torch.zeros(1, 1, 16, 16), label_maps, None), torch.full((1, 3, 16, 16), 1 / 3)
    joined = join([partly, Batch(torch.zeros(1, 1, 16, 16), torch.zeros(1, 16, 16, dtype=torch.long), soft)])
    torch.manual_seed(0)
    _, moved, probabilities = augment(*joined, Augmentation(warp=Warp(scale_low=1.3, scale_high=1.3)))
    assert probabilities is not None
    assert (moved[0] == 2).any()
    assert float(probabilities[0, :2].abs().max()) == 0  # no trace of any class but 2, at the border either
    assert float(probabilities[0, 2].max()) > 0.99


@pytest.mark.parametrize("mixed", [False, True])
def test_killed_and_resumed_equals_uninterrupted(
    tmp_path: Path, tiny: SegmenterConfig, online: Callable[..., Online], squares: Squares, mixed: bool
) -> None:
    def source() -> Source:
        drawing = online(buffer=32, refresh=1.0, keep=0.8)
        return Mixed([(drawing, 0.7), (Stored(squares(3)), 0.3)]) if mixed else drawing

    training = SegmenterTraining(steps=6, batch=4, warp=STILL)
    for _ in train_segmenter(source(), tiny, training, tmp_path / "whole"):
        pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gannotate.segmenters.supervised.LoopConfig", lambda **how: LoopConfig(**how, checkpoint_s=0.0))
        for progress in train_segmenter(source(), tiny, training, tmp_path / "cut"):
            if progress.done == 3:
                break
    for _ in train_segmenter(source(), tiny, training, tmp_path / "cut"):
        pass
    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(tensor, cut[name]) for name, tensor in whole.items())


def test_another_decoder_is_other_data(online: Callable[..., Online], generator: StyleGAN2) -> None:
    torch.manual_seed(4)
    other = Online(generator, LightDecoder.of_generator(generator, CLASSES))
    assert online().about(CLASSES)["decoder_hash"] != other.about(CLASSES)["decoder_hash"]
    assert online().about(CLASSES)["generator_hash"] == other.about(CLASSES)["generator_hash"]


def test_wrong_settings_are_named(
    tiny: SegmenterConfig, online: Callable[..., Online], generator: StyleGAN2, squares: Squares
) -> None:
    with pytest.raises(UsageError, match="refresh is 0; give the part of a batch that is new"):
        OnlineConfig(refresh=0)
    with pytest.raises(UsageError, match=r"keep is 0.05; use 0.1 to 1"):
        OnlineConfig(keep=0.05)
    with pytest.raises(UsageError, match="buffer of -1 pictures"):
        OnlineConfig(buffer=-1)
    with pytest.raises(UsageError, match=r"shares of a mix are \[1.0, 0.25\]; give each source a share above 0"):
        Mixed([(online(), 1.0), (Stored(squares(1)), 0.25)])
    online().check(tiny)
    with pytest.raises(UsageError, match=r"draw 16 px pictures of 1 channel\(s\) and 3 classes"):
        online().check(SegmenterConfig(classes=3, image_channels=1, size=32))
    wide = StyleGAN2(StyleGAN2Config(size=32, image_channels=1, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128))
    with pytest.raises(GannotateError, match="another generator"):
        Online(wide, LightDecoder.of_generator(generator, CLASSES))
