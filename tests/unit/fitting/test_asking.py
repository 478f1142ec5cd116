"""Asking a decoder of annotated pictures: which pictures, which truth, which answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gannotate.decoders.build import make_decoder
from gannotate.errors import GannotateError
from gannotate.fitting.asking import ask_decoder
from gannotate.generators.base import DrawOptions, draw, to_uint8
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.metrics.uncertainty import entropy_levels
from gannotate.synthesis import annotate_seeds

from .conftest import Shots


def test_the_answers_are_those_of_the_same_pictures_in_a_dataset(tiny: StyleGAN2, positive: Shots):
    torch.manual_seed(0)
    decoder = make_decoder("light", tiny, 3)
    shots = [positive(5)[seed] for seed in (4, 1)]
    pool, answers = ask_decoder(tiny, decoder, shots, DrawOptions())
    assert pool.names == ("seed 4", "seed 1")
    written = list(annotate_seeds(tiny, decoder, [4, 1], DrawOptions()))
    for place, (shot, one) in enumerate(zip(shots, written, strict=True)):
        ((_, drawing),) = draw(tiny, [shot.seed], DrawOptions())
        np.testing.assert_array_equal(pool.pictures[place], to_uint8(drawing.picture)[0])
        np.testing.assert_array_equal(pool.label_maps[place], shot.label_map)
        np.testing.assert_array_equal(answers.predictions[place], one.label_map)
        np.testing.assert_array_equal(answers.uncertainty[place], entropy_levels(one.soft))
    reliability = answers.reliability
    assert reliability.count.sum() == 2 * 16 * 16
    right = np.nansum(reliability.accuracy * reliability.count)
    assert right == pytest.approx((answers.predictions == pool.label_maps).sum())


def test_a_decoder_of_another_generator_is_refused(tiny: StyleGAN2, positive: Shots):
    other = StyleGAN2(StyleGAN2Config(size=8, z_dim=8, w_dim=8, mapping_layers=1, channel_base=64, channel_max=8))
    with pytest.raises(GannotateError, match="was fitted on another generator"):
        ask_decoder(tiny, make_decoder("light", other, 2), positive(1), DrawOptions())
