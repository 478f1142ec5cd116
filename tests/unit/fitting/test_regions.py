"""Rules of regions: where each must be on label maps that are drawn by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gannotate.errors import UsageError
from gannotate.fitting.regions import Region, parse_region, star_corners

NAMES = ("background", "eyes", "mouth", "glasses")
EYES, MOUTH = 1, 2
LEFT, RIGHT, LIPS = (20, 26), (44, 26), (32, 46)


def disc(at: tuple[float, float], radius: float, size: int = 64) -> np.ndarray:
    """Where a disc around (x, y) is."""
    y, x = np.mgrid[:size, :size]
    return (x - at[0]) ** 2 + (y - at[1]) ** 2 <= radius**2


def face(move: tuple[int, int] = (0, 0), scale: int = 1, tilt_px: int = 0) -> np.ndarray:
    """Two eyes and a mouth; the right eye is `tilt_px` lower."""
    parts, size = np.zeros((64 * scale,) * 2, np.uint8), 64 * scale
    for (x, y), index in ((LEFT, EYES), ((RIGHT[0], RIGHT[1] + tilt_px), EYES), (LIPS, MOUTH)):
        # the middle of a pixel, so that a picture of twice the size has the face at the same place
        at = ((x + move[0] + 0.5) * scale - 0.5, (y + move[1] + 0.5) * scale - 0.5)
        parts[disc(at, 4.2 * scale, size)] = index
    return parts


def found(text: str, parts: np.ndarray) -> np.ndarray:
    where = parse_region(text).rule(NAMES)(parts)
    assert where is not None
    assert where.dtype == bool
    return where


def test_a_class_is_all_of_it():
    assert np.array_equal(found("class:eyes", face()), face() == EYES)


@pytest.mark.parametrize("tilt_px", [-12, -5, 0, 5, 12])
def test_of_two_look_alikes_each_side_is_one_thing(tilt_px: int):
    parts = face(tilt_px=tilt_px)
    assert np.array_equal(found("left:eyes", parts), disc(LEFT, 4.2))
    assert np.array_equal(found("right:eyes", parts), disc((RIGHT[0], RIGHT[1] + tilt_px), 4.2))


def test_of_one_thing_there_is_no_left_one():
    parts = face()
    parts[26, 20:44] = EYES
    assert parse_region("left:eyes").rule(NAMES)(parts) is None
    parts[26, 32] = 0  # a single column between
    assert np.array_equal(found("left:eyes", parts) | found("right:eyes", parts), parts == EYES)


def test_left_is_right_in_the_mirror():
    assert np.array_equal(found("left:eyes", face()[:, ::-1]), found("right:eyes", face())[:, ::-1])


@pytest.mark.parametrize("number", range(5))
def test_a_star_has_the_area_of_its_polygon(number: int):
    """By the shoelace formula, in a frame whose axes are half the way between the eyes, and from these to the mouth."""
    corners = star_corners(number)
    x, y = corners.T
    in_frame = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    across_px, down_px = (RIGHT[0] - LEFT[0]) / 2, LIPS[1] - LEFT[1]
    large = 8  # so that what the border's pixels add is little
    area = in_frame * across_px * down_px * large**2
    assert found(f"star:eyes:mouth:{number}", face(scale=large)).sum() == pytest.approx(area, rel=0.03)


def test_a_star_moves_with_the_face():
    here, there = found("star:eyes:mouth:0", face()), found("star:eyes:mouth:0", face(move=(5, -4)))
    assert np.array_equal(np.roll(here, (-4, 5), axis=(0, 1)), there)


def test_a_star_turns_with_the_face():
    """By the angle of the line through both eyes: its middle stays where it is in the frame."""
    for tilt_px in (-8, 8):
        y, x = np.nonzero(found("star:eyes:mouth:1", face(tilt_px=tilt_px)))
        across, down = np.array([12, tilt_px / 2]), np.array([0, 20 - tilt_px / 2])
        level_y, level_x = np.nonzero(found("star:eyes:mouth:1", face()))
        level = np.array([level_x.mean(), level_y.mean()]) - [32, 98 / 3]
        middle = np.array([32, (98 + tilt_px) / 3]) + level[0] / 12 * across + level[1] / 20 * down
        assert math.dist((x.mean(), y.mean()), middle) < 0.5


def test_numbers_are_shapes():
    shapes = [found(f"star:eyes:mouth:{number}", face()) for number in range(3)]
    assert np.array_equal(shapes[0], found("star:eyes:mouth:0", face()))
    assert not np.array_equal(shapes[0], shapes[1])
    assert not np.array_equal(shapes[1], shapes[2])


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize(
    ("gone", "not_seen", "seen"),
    [
        (LEFT, ["left:eyes", "right:eyes", "star:eyes:mouth:0"], ["class:eyes", "class:mouth"]),
        (LIPS, ["star:eyes:mouth:0", "class:mouth"], ["left:eyes", "class:eyes"]),
    ],
)
def test_what_a_picture_does_not_show_is_nowhere(
    gone: tuple[int, int], not_seen: list[str], seen: list[str], size: int
):
    parts = face(scale=size // 64)
    x, y = (place * size // 64 for place in gone)
    reach = 6 * size // 64
    parts[y - reach : y + reach, x - reach : x + reach] = 0
    for text in not_seen:
        assert parse_region(text).rule(NAMES)(parts) is None
    for text in seen:
        assert found(text, parts).any()


def test_a_speck_is_not_seen():
    parts = np.zeros((64, 64), np.uint8)
    parts[0, :11] = 3
    assert parse_region("class:glasses").rule(NAMES)(parts) is None
    parts[0, 11] = 3
    assert found("class:glasses", parts).sum() == 12


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("class:right lung", Region("class", ("right lung",))),
        ("left:eyes", Region("left", ("eyes",))),
        ("star:eyes:mouth:12", Region("star", ("eyes", "mouth"), 12)),
    ],
)
def test_a_region_is_what_is_typed(text: str, region: Region):
    assert parse_region(text) == region
    assert str(region) == text


@pytest.mark.parametrize(
    "text", ["", "eyes", "half:eyes", "class:", "class:a:b", "star:eyes:mouth", "star:eyes:mouth:-1", "star:0"]
)
def test_what_is_no_region(text: str):
    with pytest.raises(UsageError, match=r"^--region is .*; give class:CLASS, left:CLASS, right:CLASS, star:PAIR"):
        parse_region(text)


def test_a_class_that_the_segmenter_lacks():
    told = "--region names the class 'eye', which the segmenter does not tell apart; did you mean 'eyes'?; it tells"
    with pytest.raises(UsageError, match=r"^--region names the class 'eye'") as error:
        parse_region("left:eye").rule(NAMES)
    assert str(error.value) == f"{told} background, eyes, mouth, glasses apart"
