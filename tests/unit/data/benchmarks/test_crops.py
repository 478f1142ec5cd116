"""The crop rule, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannotate.data.benchmarks.crops import Box, Square, cut_square, overlaps, read_boxes, square_around
from gannotate.errors import GannotateError

from .trees import boxes_xml


def test_a_box_inside_gets_a_square_around_its_middle():
    assert square_around(Box(11, 11, 30, 20), 60, 40) == Square(10, 5, 30, 25)
    assert square_around(Box(11, 11, 20, 30), 60, 40) == Square(5, 10, 25, 30)


def test_a_square_that_reaches_out_is_cut_off_and_padded():
    square = square_around(Box(1, 1, 20, 10), 60, 40)  # middle at row 5, so rows -5 to 15
    assert square == Square(0, 0, 20, 15)
    assert square.side_px == 20
    cut = cut_square(np.ones((40, 60), np.uint8), square)
    assert cut.shape == (20, 20)
    assert cut.sum(axis=1).tolist() == [0] * 2 + [20] * 15 + [0] * 3


@st.composite
def boxes(draw: st.DrawFn) -> tuple[Box, int, int]:
    width, height = draw(st.integers(8, 90)), draw(st.integers(8, 90))
    left, top = draw(st.integers(1, width)), draw(st.integers(1, height))
    return Box(left, top, draw(st.integers(left, width)), draw(st.integers(top, height))), width, height


@given(boxes())
def test_every_pixel_of_the_box_is_in_its_square(case: tuple[Box, int, int]):
    box, width, height = case
    inside = np.zeros((height, width), np.uint8)
    inside[int(box.top) - 1 : int(box.bottom), int(box.left) - 1 : int(box.right)] = 1
    square = square_around(box, width, height)
    assert 0 <= square.left < square.right <= width
    assert 0 <= square.top < square.bottom <= height
    side = max(box.width, box.height)
    assert square.side_px in (side, side - 1)  # half pixels are cut down on both ends
    cut = cut_square(inside, square)
    assert cut.shape == (square.side_px,) * 2
    # the box is in it, but for the one row or column that half a pixel may cost
    assert cut.sum() >= inside.sum() - max(box.width, box.height)


def test_overlap_is_of_the_box_around_both():
    found = overlaps([Box(0, 0, 10, 10), Box(5, 0, 15, 10), Box(50, 50, 60, 60), Box(5, 5, 15, 15)])
    assert found[0, 1] == pytest.approx(50 / 150)
    assert found[0, 3] == pytest.approx(25 / 225)  # IoU would be 25 / 175
    assert found[0, 2] == 0
    assert (np.diagonal(found) == 0).all()
    np.testing.assert_array_equal(found, found.T)
    assert overlaps([]).shape == (0, 0)


def test_boxes_of_one_kind_in_their_order():
    data = boxes_xml(50, 40, [("horse", (1, 2, 3, 4)), ("person", (5, 6, 7, 8)), ("horse", (9, 10, 11, 12))])
    assert read_boxes(data, "horse", "x.xml") == [Box(1, 2, 3, 4), Box(9, 10, 11, 12)]
    assert read_boxes(data, "cat", "x.xml") == []


BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><annotation><folder>&b;</folder></annotation>'


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"<annotation><object>", "is no whole annotation of VOC"),
        (b"<annotation><object><name>horse</name></object></annotation>", "an object has no box"),
        (boxes_xml(9, 9, [("horse", (1, 1, 2, 2))]).replace(b"<xmax>2", b"<xmax>two"), "could not convert"),
        (BOMB, "too large, or declares entities"),
        (BOMB.decode().encode("utf-16"), "no plain text, too large, or declares entities"),
        (boxes_xml(9, 9, [("horse", (1, 1, 2, 2))]).replace(b"<ymax>2", b"<ymax>nan"), "a box is 1.0, 1.0, 2.0, nan"),
        (boxes_xml(9, 9, [("horse", (1, 1, 2, 2))]).replace(b"<xmin>1", b"<xmin>-inf"), "a box is -inf, 1.0, 2.0"),
        (boxes_xml(9, 9, [("horse", (1, 1, 2, 2))]).replace(b"<xmax>2", b"<xmax>1e308"), "a box is 1.0, 1.0, 1e"),
        (b"<annotation>" + b" " * (1 << 20) + b"</annotation>", "too large, or declares entities"),
    ],
)
def test_damaged_and_hostile_xml_is_refused(data: bytes, part: str):
    with pytest.raises(GannotateError, match=rf"^x\.xml .*{part}"):
        read_boxes(data, "horse", "x.xml")
