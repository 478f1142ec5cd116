"""The linear decoder in closed form: one look at each annotated picture, then one linear system."""

from __future__ import annotations

import time
from collections.abc import Generator as Steps
from collections.abc import Sequence

import torch

from gannotate.decoders.build import make_decoder
from gannotate.decoders.linear import LinearConfig, LinearDecoder
from gannotate.fitting.closed_form import LinearHead, Moments, discriminant, moments, shrinkage_of
from gannotate.fitting.config import FitConfig
from gannotate.fitting.pixels import annotated_pixels
from gannotate.fitting.shot import Shot, check_shots
from gannotate.generators.base import DrawOptions, Generator
from gannotate.training.loop import Progress

NEVER = -30.0
"""Bias below all others of a class that no annotation shows: a float file holds no infinity worth reading."""


def closed_form(
    generator: Generator, shots: Sequence[Shot], classes: int, config: FitConfig, options: DrawOptions
) -> Steps[Progress, None, LinearDecoder]:
    """Solves the linear decoder for annotated pictures (see closed_form.py); yields progress after each picture.

    Raises:
        UsageError: the annotations cannot be used, or show fewer than two classes.
    """
    check_shots(shots, classes, generator.size)
    assert isinstance(config.decoder, LinearConfig)
    shape = make_decoder("linear", generator, classes, config.decoder)
    begin, summed = time.monotonic(), None
    most = config.pool or generator.size**2
    interpolation = config.decoder.interpolation
    seen = annotated_pixels(generator, shots, shape.taps, options, interpolation, most, config.seed)
    for done, pixels in enumerate(seen, start=1):
        found = moments(pixels.features, pixels.labels, classes, pixels.stands_for)
        summed = found if summed is None else summed + found
        seconds = time.monotonic() - begin
        yield Progress(done, len(shots), seconds, seconds / done * (len(shots) - done), {})
    assert isinstance(summed, Moments)
    head = finite(discriminant(summed, shrinkage_of(len(shots))))
    decoder = LinearDecoder.from_weights(shape.taps, generator.size, head.weight, head.bias, interpolation)
    return decoder.to(next(generator.parameters()).device).eval()


def finite(head: LinearHead) -> LinearHead:
    """The head with a bias that is low instead of -inf for a class that was never seen."""
    seen = torch.isfinite(head.bias)
    return LinearHead(head.weight, torch.where(seen, head.bias, head.bias[seen].min() + NEVER))
