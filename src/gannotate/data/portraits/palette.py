"""Colours and light of one portrait: skin, hair and cloth share ranges with the background, so colour tells little."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np

from gannotate.data.portraits.canvas import Colour, colour, mix
from gannotate.seeding import numpy_stream

STYLES = ("natural", "flat")

SKINS = ((0.97, 0.83, 0.74), (0.91, 0.72, 0.60), (0.80, 0.59, 0.45), (0.62, 0.43, 0.31), (0.43, 0.28, 0.20))
HAIRS = (
    (0.09, 0.08, 0.09),
    (0.21, 0.14, 0.10),
    (0.38, 0.24, 0.14),
    (0.58, 0.40, 0.22),
    (0.84, 0.69, 0.42),
    (0.60, 0.25, 0.11),
    (0.70, 0.69, 0.68),
)
IRISES = ((0.30, 0.19, 0.10), (0.20, 0.38, 0.55), (0.25, 0.42, 0.28), (0.42, 0.30, 0.14), (0.16, 0.12, 0.10))
FLAT_SKINS = (
    (1.0, 0.80, 0.35),
    (0.98, 0.66, 0.66),
    (0.62, 0.80, 0.62),
    (0.66, 0.72, 0.95),
    (0.70, 0.45, 0.30),
)
FLAT_HAIRS = (
    (0.55, 0.15, 0.50),
    (0.10, 0.35, 0.45),
    (0.95, 0.45, 0.15),
    (0.15, 0.15, 0.35),
    (0.95, 0.85, 0.30),
)


@dataclass(frozen=True)
class Looks:
    """Colours (float32 planes, about 0 to 1) and light of one portrait in one style."""

    style: str
    skin: Colour
    shadow: Colour
    """Skin in shade."""
    lip: Colour
    hair: Colour
    shine: Colour
    """Hair where the light catches it."""
    brow: Colour
    lash: Colour
    iris: Colour
    white: Colour
    """White of the eye, and teeth."""
    cloth: Colour
    trim: Colour
    """The cloth's second colour: stripes, checks, collar."""
    frame: Colour
    lens: Colour
    stubble: float
    light: tuple[float, float, float]
    """Unit vector towards the light: right, down, towards the viewer."""
    ambient: float

    @property
    def shaded(self) -> bool:
        """Whether light, shadow and texture are drawn (not in the flat style)."""
        return self.style == "natural"


def draw_looks(seed: int, style: str) -> Looks:
    """The colours and the light of `seed` in a style of `STYLES`."""
    rng = numpy_stream("portraits", seed, "looks", style)
    flat = style == "flat"
    skin = _pick(rng, FLAT_SKINS) if flat else _between(rng, SKINS)
    hair = _pick(rng, FLAT_HAIRS) if flat else _hair_colour(rng)
    cloth = cloth_colour(rng)
    shadow = skin * (0.8 if flat else colour(0.62, 0.52, 0.50))
    return Looks(
        style=style,
        skin=skin,
        shadow=shadow,
        lip=mix(skin, colour(0.72, 0.20, 0.25), rng.uniform(0.4, 0.7)) * rng.uniform(0.8, 0.95),
        hair=hair,
        shine=mix(hair, colour(1.0, 0.9, 0.75), rng.uniform(0.2, 0.4)),
        brow=_brow_colour(hair, skin),
        lash=mix(hair, colour(0.05, 0.03, 0.04), 0.8),
        iris=_pick(rng, IRISES),
        white=colour(0.93, 0.92, 0.90),
        cloth=cloth,
        trim=cloth_colour(rng) if rng.random() < 0.6 else mix(cloth, colour(1, 1, 1), 0.6),
        frame=cloth_colour(rng) * 0.5 if rng.random() < 0.4 else colour(0.08, 0.07, 0.08),
        lens=colour(0.12, 0.13, 0.16) if rng.random() < 0.5 else mix(cloth_colour(rng), colour(0.9, 0.95, 1), 0.5),
        stubble=rng.uniform(0.15, 0.5) if rng.random() < 0.2 and not flat else 0.0,
        light=_light(rng),
        ambient=rng.uniform(0.45, 0.68),
    )


def cloth_colour(rng: np.random.Generator) -> Colour:
    """Any hue, more often muted than bright."""
    return colour(*colorsys.hsv_to_rgb(rng.random(), rng.random() ** 1.5 * 0.85, rng.uniform(0.2, 0.95)))


def body_like_colour(rng: np.random.Generator) -> Colour:
    """A colour that a skin, a head of hair or a cloth could have, for backgrounds."""
    kind = rng.integers(4)
    if kind == 0:
        return _between(rng, SKINS) * rng.uniform(0.7, 1.05)
    return _hair_colour(rng) if kind == 1 else cloth_colour(rng)


def _between(rng: np.random.Generator, anchors: tuple[tuple[float, float, float], ...]) -> Colour:
    """A colour on the line through the anchors, jittered."""
    place = rng.uniform(0, len(anchors) - 1)
    low = min(int(place), len(anchors) - 2)
    base = mix(colour(*anchors[low]), colour(*anchors[low + 1]), place - low)
    return base * colour(*rng.uniform(0.94, 1.06, 3))


def _pick(rng: np.random.Generator, choices: tuple[tuple[float, float, float], ...]) -> Colour:
    return colour(*choices[int(rng.integers(len(choices)))]) * colour(*rng.uniform(0.9, 1.1, 3))


def _hair_colour(rng: np.random.Generator) -> Colour:
    return cloth_colour(rng) * 0.9 if rng.random() < 0.06 else _pick(rng, HAIRS)


def _brow_colour(hair: Colour, skin: Colour) -> Colour:
    """The hair's colour, darker, and never so near to the skin that the brow vanishes."""
    brow = mix(hair, colour(0.14, 0.09, 0.07), 0.45)
    if float(skin.mean() - brow.mean()) < 0.2:
        brow = skin * 0.4
    return brow


def _light(rng: np.random.Generator) -> tuple[float, float, float]:
    right, down, near = rng.uniform(-0.9, 0.9), rng.uniform(-0.7, 0.0), rng.uniform(0.6, 1.0)
    length = math.sqrt(right * right + down * down + near * near)
    return right / length, down / length, near / length
