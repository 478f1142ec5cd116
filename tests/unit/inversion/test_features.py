"""A generator as a source of features: the taps that draw a picture again."""

from __future__ import annotations

import torch
from torch import Tensor

from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.inversion.features import GeneratorFeatures
from gannotate.inversion.inverter import Inverter
from gannotate.inversion.latents import latent_statistics
from gannotate.inversion.losses import OfflineLoss
from gannotate.inversion.projector import InversionConfig


def test_the_taps_of_a_generator_are_those_of_the_inverted_picture(tiny: StyleGAN2, drawn: Tensor) -> None:
    inverter = Inverter(tiny, InversionConfig(steps=4), OfflineLoss(), latent_statistics(tiny))
    source = GeneratorFeatures(inverter)
    assert (source.taps, source.size, source.image_channels) == (tiny.taps, 16, 1)
    names = ["b8.conv1", "b16.conv1"]
    read = source.read(drawn[:2], names)
    again = inverter.invert(drawn[:2]).taps(tiny, names)
    assert list(read) == names
    torch.testing.assert_close(read, again)
    assert source.about()["kind"] == "generator"
    other = Inverter(tiny, InversionConfig(steps=5), OfflineLoss(), latent_statistics(tiny))
    assert GeneratorFeatures(other).about() != source.about()
