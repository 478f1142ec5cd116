"""From what a user says of taps (names, groups, auto) to the names of the activations to read."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gannotate.decoders.base import DecoderConfig
from gannotate.decoders.build import decoder_class
from gannotate.errors import UsageError
from gannotate.features.source import Tapped
from gannotate.fitting.pixels import annotated_pixels
from gannotate.fitting.shot import Shot, check_shots
from gannotate.fitting.tap_choice import TapChoice, choose_taps, tap_group
from gannotate.generators.base import DrawOptions, Generator, Tap

AUTO = "auto"
GROUPS = ("coarse", "middle", "fine")

MOST_PIXELS = 1024
"""Pixels of each picture that `auto` looks at: taps are compared in seconds."""


def is_auto(asked: str | None) -> bool:
    """Whether the taps are to be chosen by leave-one-out."""
    return asked is not None and asked.strip() == AUTO


def named(asked: str | None, generator: Tapped) -> tuple[str, ...]:
    """The taps behind a list of names and groups, in drawing order; none when nothing is asked for, or `auto`.

    Raises:
        UsageError: no such tap, or a group that this generator does not have.
    """
    if asked is None or is_auto(asked):
        return ()
    wanted: set[str] = set()
    for word in (part.strip() for part in asked.split(",")):
        if word in GROUPS:
            group = {tap.name for tap in generator.taps if tap_group(tap) == word}
            if not group:
                raise UsageError(f"this generator has no {word} taps; it has {_groups(generator.taps)}")
            wanted |= group
        else:
            wanted.add(generator.tap(word).name)
    return tuple(tap.name for tap in generator.taps if tap.name in wanted)


def choose(
    generator: Generator,
    shots: Sequence[Shot],
    classes: int,
    options: DrawOptions,
    kind: str,
    config: DecoderConfig,
    seed: int = 0,
) -> TapChoice | None:
    """The run of resolutions, among the taps that this kind of decoder reads, that carries over to other pictures best.

    None with fewer than two labelled pictures.
    """
    check_shots(shots, classes, generator.size)
    taps = decoder_class(kind).default_taps(generator.taps, config)
    with torch.inference_mode():
        seen = list(annotated_pixels(generator, shots, taps, options, most=MOST_PIXELS, seed=seed))
    features, labels = [one.by_tap(taps) for one in seen], [one.labels for one in seen]
    return choose_taps(taps, features, labels, classes, [one.stands_for for one in seen])


def _groups(taps: Sequence[Tap]) -> str:
    return ", ".join(group for group in GROUPS if any(tap_group(tap) == group for tap in taps))
