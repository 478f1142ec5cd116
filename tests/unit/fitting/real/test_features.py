"""Features of other networks: a decoder learns from them and answers through them, as it does from a generator's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gannotate.decoders.build import SOURCE, load_decoder, make_decoder, reads_source, save_decoder
from gannotate.decoders.light import LightConfig
from gannotate.errors import GannotateError, UsageError
from gannotate.features.source import FeatureSource
from gannotate.fitting.features import FeatureLessons, FeatureReader, FeaturesConfig
from gannotate.fitting.real import fit_real
from gannotate.fitting.real_task import RealTask
from gannotate.generators.base import from_uint8
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import make_classes
from gannotate.pretraining.sources import EncoderFeatures, VAEFeatures, load_source
from gannotate.pretraining.vae import VAE, VAEConfig
from gannotate.segmenters.build import SegmenterConfig, build_network
from gannotate.synthesis import annotate_seeds

from .tasks import CLASSES, bright_task


def vae_source() -> VAEFeatures:
    torch.manual_seed(2)
    return VAEFeatures(VAE(VAEConfig(size=16, image_channels=3, latents=8, channel_base=128, channel_max=16)))


def encoder_source() -> EncoderFeatures:
    torch.manual_seed(2)
    config = SegmenterConfig(classes=2, image_channels=3, size=16, depth=3, decoder_width=16)
    return EncoderFeatures(build_network(config), config)


def task_of(generator: StyleGAN2, source: FeatureSource, count: int = 4) -> RealTask:
    return replace(bright_task(generator, count), source=source)


@pytest.mark.parametrize("make", [vae_source, encoder_source], ids=["vae", "encoder"])
def test_a_decoder_learns_to_read_labels_off_the_features(tiny: StyleGAN2, tmp_path: Path, make) -> None:
    task = task_of(tiny, make(), 3)
    config = FeaturesConfig(decoder=LightConfig(dropout=0.0), steps=40, learning_rate=0.01, ema=0.8)
    losses = [one.metrics["loss"] for one in fit_real(task, config, tmp_path)]
    assert losses[-1] < 0.7 * losses[0]
    assert reads_source(tmp_path)
    reader = FeatureReader(load_source(tmp_path / SOURCE), load_decoder(tmp_path), CLASSES)
    found = reader.predict(task.labelled.pictures)
    assert (found == task.labelled.label_maps).mean() > 0.75  # half of the pixels are bright


def test_a_decoder_of_features_reads_no_generator_though_its_taps_are_alike(tiny: StyleGAN2, tmp_path: Path) -> None:
    source = vae_source()
    wanted = tuple(tap.name for tap in source.taps if tap in tiny.taps)[:1]
    assert wanted  # as in a generator: without the mark nothing would tell them apart
    config = FeaturesConfig(decoder=LightConfig(taps=wanted), steps=1)
    list(fit_real(task_of(tiny, source, 2), config, tmp_path / "decoder"))
    decoder = load_decoder(tmp_path / "decoder")
    save_decoder(tmp_path / "copy", decoder)  # by itself, without the source beside it
    kept = json.loads((tmp_path / "decoder" / "config.json").read_text())
    del kept["decoder"]["of_features"]  # as an older version wrote it
    (tmp_path / "decoder" / "config.json").write_text(json.dumps(kept))
    for folder in (tmp_path / "decoder", tmp_path / "copy"):
        again = load_decoder(folder)
        again.check_fits(source)
        with pytest.raises(UsageError, match="reads another network's features, not the generator's activations"):
            next(annotate_seeds(tiny, again, [0]))


def test_lessons_are_what_the_source_reads(tiny: StyleGAN2) -> None:
    source = encoder_source()
    task = task_of(tiny, source, 3)
    decoder = make_decoder("linear", source, 2).eval()
    lessons = FeatureLessons(source, task, 2, decoder.tap_names)
    torch.manual_seed(0)
    logits, labels = lessons(decoder)
    torch.manual_seed(0)
    picked = torch.randperm(3)[:2]
    taps = source.read(from_uint8(task.labelled.pictures[picked.numpy()]), decoder.tap_names)
    torch.testing.assert_close(logits, decoder(taps), atol=0.02, rtol=0.02)  # half precision
    assert np.array_equal(labels.numpy(), task.labelled.label_maps[picked.numpy()])
    logits.sum().backward()


def test_answers_do_not_depend_on_size_or_company(tiny: StyleGAN2) -> None:
    source = vae_source()
    reader = FeatureReader(source, make_decoder("linear", source, 2), CLASSES)
    pictures = bright_task(tiny, 3).labelled.pictures
    together, probabilities = reader.predict(pictures, probabilities=True)
    assert (together.shape, probabilities.shape) == ((3, 16, 16), (3, 2, 16, 16))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    alone = [next(iter(reader.iterate([picture]))) for picture in pictures]
    np.testing.assert_allclose(np.stack(alone), probabilities, atol=1e-5)
    (large,) = reader.predict([pictures[0].repeat(3, axis=0).repeat(3, axis=1)])
    assert large.shape == (48, 48)
    grey = pictures[:1].mean(axis=3, keepdims=True).astype(np.uint8)
    assert reader.predict(grey).shape == (1, 16, 16)


def test_other_features_are_another_fit(tiny: StyleGAN2, tmp_path: Path) -> None:
    config = FeaturesConfig(steps=2)
    list(fit_real(task_of(tiny, vae_source()), config, tmp_path))
    other = VAE(VAEConfig(size=16, image_channels=3, latents=8, channel_base=128, channel_max=16))
    with pytest.raises(UsageError, match="the fit to resume had other features"):
        list(fit_real(task_of(tiny, VAEFeatures(other)), config, tmp_path))


def test_what_does_not_fit_together(tiny: StyleGAN2, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name it with --features"):
        list(fit_real(bright_task(tiny, 2), FeaturesConfig(steps=1), tmp_path))
    source = vae_source()
    with pytest.raises(GannotateError, match="was fitted on another generator"):
        FeatureReader(source, make_decoder("linear", encoder_source(), 2), CLASSES)
    with pytest.raises(UsageError, match="tells 2 classes apart, the project has 3"):
        FeatureReader(source, make_decoder("linear", source, 2), make_classes(["a", "b", "c"]))
    with pytest.raises(UsageError, match="batch is 0"):
        FeaturesConfig(batch=0)
    reader = FeatureReader(source, make_decoder("linear", source, 2), CLASSES)
    with pytest.raises(UsageError, match="leave the scales out"):
        next(reader.answers(np.zeros((1, 16, 16, 3), np.uint8), 0.5))


class Elsewhere(FeatureSource):
    """A source that is not kept beside decoders."""

    taps, size, image_channels = vae_source().taps, 16, 3

    def read(self, pictures: torch.Tensor, names: Sequence[str]) -> dict[str, torch.Tensor]:
        return {}

    def about(self) -> dict[str, str]:
        return {"kind": "elsewhere"}


def test_a_source_that_cannot_be_kept_is_refused_before_the_fit(tiny: StyleGAN2, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Elsewhere is not kept beside a decoder"):
        next(iter(fit_real(task_of(tiny, Elsewhere()), FeaturesConfig(steps=1), tmp_path)))
