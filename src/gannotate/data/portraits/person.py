"""Who stands before the camera: every shape parameter of one portrait, drawn from its seed before any pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gannotate.seeding import numpy_stream

HAIR_STYLES = ("bald", "buzz", "short", "medium", "bob", "long", "bun", "curly")
HAIR_SHARES = (0.06, 0.10, 0.20, 0.16, 0.13, 0.18, 0.08, 0.09)
FRINGES = ("high", "straight", "swept", "parted", "wavy")
NECKLINES = ("crew", "vee", "wide", "collar")
GLASSES_SHARE = 0.08


@dataclass(frozen=True)
class Pose:
    """Where the head is and how it is turned."""

    x: float
    y: float
    scale: float
    roll: float
    """Radians, clockwise."""
    yaw: float
    """Radians, positive to the picture's right."""
    nod: float
    """Shift of the features down the face, head units."""


@dataclass(frozen=True)
class Face:
    """Sizes of the head's parts, in head units (the picture's half-width is about 1 / scale)."""

    width: float
    height: float
    taper: float
    square: float
    eye_spread: float
    eye_v: float
    eye_width: float
    eye_open: float
    eye_slant: float
    gaze: float
    brow_lift: float
    brow_thick: float
    brow_slant: float
    brow_arch: float
    nose_length: float
    nose_width: float
    mouth_v: float
    mouth_width: float
    mouth_open: float
    smile: float
    lip: float
    ear_height: float
    ear_width: float


@dataclass(frozen=True)
class Hair:
    """The hair's outline, its window onto the face, and how far it falls."""

    style: str
    fringe: str
    volume: float
    """Outer radius over the head's radius."""
    hairline: float
    """Height of the window's top, head units (negative is up)."""
    side: float
    """Half-width of the window over the head's half-width; below 1 the sides cover the face's edge and the ears."""
    side_end: float
    """Where the sides end, head units down."""
    fall: float
    """Where the hair behind the neck ends, head units down; 0 when there is none."""
    fall_width: float
    sweep: float
    part: float
    bumps: float
    front: bool
    """Whether long hair falls in front of the shoulders."""

    @property
    def covers_ears(self) -> bool:
        """Whether the sides hide the ears altogether."""
        return self.style in ("medium", "bob", "long", "curly")


@dataclass(frozen=True)
class Body:
    """Neck, shoulders and neckline, in canvas units."""

    neck_width: float
    shoulder_drop: float
    shoulder_width: float
    neckline: str
    neck_depth: float
    lean: float


@dataclass(frozen=True)
class Glasses:
    """Half-sizes of a lens, its squareness and the frame's thickness, head units."""

    width: float
    height: float
    square: float
    frame: float
    dark: bool


@dataclass(frozen=True)
class Person:
    """All shape parameters of a portrait; the same for every size and style."""

    pose: Pose
    face: Face
    hair: Hair
    body: Body
    glasses: Glasses | None


def draw_person(seed: int) -> Person:
    """The person of `seed`. Each part has its own stream, so that one part's rules never change another part."""
    return Person(
        pose=_draw_pose(numpy_stream("portraits", seed, "pose")),
        face=_draw_face(numpy_stream("portraits", seed, "face")),
        hair=_draw_hair(numpy_stream("portraits", seed, "hair")),
        body=_draw_body(numpy_stream("portraits", seed, "body")),
        glasses=_draw_glasses(numpy_stream("portraits", seed, "glasses")),
    )


def _bounded_normal(rng: np.random.Generator, spread: float, bound: float) -> float:
    return float(min(max(rng.normal(0, spread), -bound), bound))


def _draw_pose(rng: np.random.Generator) -> Pose:
    return Pose(
        x=_bounded_normal(rng, 0.05, 0.12),
        y=-0.05 + _bounded_normal(rng, 0.035, 0.09),
        scale=1.1 + _bounded_normal(rng, 0.05, 0.11),
        roll=math.radians(_bounded_normal(rng, 5, 12)),
        yaw=math.radians(_bounded_normal(rng, 13, 30)),
        nod=_bounded_normal(rng, 0.02, 0.04),
    )


def _draw_face(rng: np.random.Generator) -> Face:
    talking = rng.random() < 0.35
    return Face(
        width=rng.uniform(0.42, 0.49),
        height=rng.uniform(0.55, 0.63),
        taper=rng.uniform(0.08, 0.3),
        square=rng.uniform(0.0, 0.5),
        eye_spread=rng.uniform(0.46, 0.52),
        eye_v=rng.uniform(-0.1, -0.04),
        eye_width=rng.uniform(0.125, 0.15),
        eye_open=rng.uniform(0.055, 0.085) if rng.random() < 0.93 else 0.034,
        eye_slant=rng.uniform(-0.12, 0.16),
        gaze=rng.uniform(-0.3, 0.3),
        brow_lift=rng.uniform(0.125, 0.185),
        brow_thick=rng.uniform(0.034, 0.052),
        brow_slant=rng.uniform(-0.2, 0.2),
        brow_arch=rng.uniform(0.01, 0.06),
        nose_length=rng.uniform(0.25, 0.31),
        nose_width=rng.uniform(0.095, 0.13),
        mouth_v=rng.uniform(0.31, 0.36),
        mouth_width=rng.uniform(0.15, 0.215),
        mouth_open=rng.uniform(0.03, 0.085) if talking else 0.0,
        smile=rng.uniform(-0.02, 0.1),
        lip=rng.uniform(0.05, 0.068),
        ear_height=rng.uniform(0.14, 0.18),
        ear_width=rng.uniform(0.085, 0.11),
    )


def _draw_hair(rng: np.random.Generator) -> Hair:
    style = HAIR_STYLES[int(rng.choice(len(HAIR_STYLES), p=HAIR_SHARES))]
    fringe = FRINGES[int(rng.choice(len(FRINGES), p=(0.3, 0.17, 0.23, 0.2, 0.1)))]
    if style in ("buzz", "bun") and fringe == "straight":
        fringe = "high"
    volume = {"bald": (1, 1), "buzz": (1.05, 1.1), "curly": (1.3, 1.5), "bun": (1.1, 1.18)}.get(style, (1.15, 1.3))
    side_end = {"buzz": (-0.16, -0.08), "short": (-0.16, -0.04), "medium": (0.14, 0.3), "curly": (0.0, 0.35)}
    side_end |= {"bob": (0.36, 0.52), "long": (0.5, 0.8), "bun": (-0.14, -0.02)}
    covers = style in ("medium", "bob", "long", "curly")
    fall = {"bob": (0.45, 0.68), "long": (0.8, 1.6), "medium": (0.3, 0.5)}.get(style, (0, 0))
    return Hair(
        style=style,
        fringe=fringe,
        volume=rng.uniform(*volume),
        hairline=rng.uniform(-0.22, -0.15) if fringe == "straight" else rng.uniform(-0.42, -0.3),
        side=rng.uniform(0.8, 0.97) if covers else rng.uniform(0.98, 1.06),
        side_end=rng.uniform(*side_end.get(style, (0, 0))),
        fall=rng.uniform(*fall),
        fall_width=rng.uniform(1.15, 1.4),
        sweep=float(rng.choice((-1, 1))) * rng.uniform(0.25, 0.5),
        part=rng.uniform(-0.18, 0.18),
        bumps=rng.uniform(0.04, 0.08) if style == "curly" else rng.uniform(0.0, 0.02),
        front=style == "long" and rng.random() < 0.5,
    )


def _draw_body(rng: np.random.Generator) -> Body:
    return Body(
        neck_width=rng.uniform(0.22, 0.28),
        shoulder_drop=rng.uniform(0.62, 0.69),
        shoulder_width=rng.uniform(0.8, 1.1),
        neckline=NECKLINES[int(rng.integers(len(NECKLINES)))],
        neck_depth=rng.uniform(0.0, 1.0),
        lean=_bounded_normal(rng, 0.03, 0.08),
    )


def _draw_glasses(rng: np.random.Generator) -> Glasses | None:
    worn = rng.random() < GLASSES_SHARE
    glasses = Glasses(
        width=rng.uniform(0.15, 0.17),
        height=rng.uniform(0.115, 0.155),
        square=rng.uniform(0.0, 1.0),
        frame=rng.uniform(0.03, 0.038),
        dark=bool(rng.random() < 0.3),
    )
    return glasses if worn else None
