"""Outlines and run lengths: exact in both directions, and as pycocotools has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco_mask

from gannotate.data.formats import brush_code, outlines, regions
from gannotate.data.formats.outlines import fill, outer_loops, rasterise, to_polygons
from gannotate.data.formats.regions import Region, decompressed, paint, to_mask, to_runs
from gannotate.errors import GannotateError
from gannotate.labels import IGNORE

masks = st.tuples(st.integers(1, 14), st.integers(1, 14)).flatmap(lambda shape: arrays.arrays(bool, shape))


@settings(deadline=None, max_examples=100)
@given(mask=masks)
def test_polygons_cover_a_region_exactly_once_and_have_no_holes(mask: np.ndarray):
    polygons, covered = to_polygons(mask), np.zeros(mask.shape, int)
    for polygon in polygons:
        inside = fill(polygon.astype(np.int64), *mask.shape)
        assert len(outer_loops(inside)) == 1
        assert np.array_equal(fill(outer_loops(inside)[0], *mask.shape), inside)  # its outline alone: no hole
        covered += inside
    assert np.array_equal(covered, mask.astype(int))
    if polygons:
        assert np.array_equal(to_mask(rasterise(polygons, *mask.shape), *mask.shape), mask)


def test_a_ring_is_cut_once_and_a_box_has_four_corners():
    rows, columns = np.mgrid[:64, :64] - 31.5
    away = np.hypot(rows, columns)
    assert len(to_polygons((away < 28) & (away > 12))) == 2
    (box,) = to_polygons(np.pad(np.ones((3, 5), bool), 2))
    assert sorted(box.tolist()) == [[2, 2], [2, 5], [7, 2], [7, 5]]


def test_a_smooth_polygon_is_close_to_its_disc():
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    disc = np.stack([32 + 20 * np.cos(turn), 32 + 20 * np.sin(turn)], axis=1)
    rows, columns = np.mgrid[:64, :64] + 0.5
    truth = np.hypot(rows - 32, columns - 32) < 20
    mask = to_mask(rasterise([disc], 64, 64), 64, 64)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.96


@settings(deadline=None, max_examples=100)
@given(mask=masks)
def test_run_lengths_are_those_of_coco(mask: np.ndarray):
    runs = to_runs(mask)
    assert np.array_equal(to_mask(runs, *mask.shape), mask)
    coded: Any = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert decompressed(coded["counts"].decode(), *mask.shape).tolist() == runs.tolist()
    assert Region("x", runs).area_px == mask.sum()


def test_the_smaller_region_lies_above_whatever_the_order():
    large, small = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    small[1, 1:3] = True
    regions = [Region("small", to_runs(small)), Region("large", to_runs(large)), Region("ignore", to_runs(small.T))]
    labels = paint(regions, 4, 4)
    assert labels.classes == ("background", "small", "large")
    assert labels.label_map[1, 2] == 1
    assert labels.label_map[0, 0] == 2
    assert labels.label_map[2, 1] == IGNORE


@pytest.mark.parametrize(
    ("polygon", "part"),
    [
        ([[0, 0], [1, 1]], "fewer than 3 corners"),
        ([[0, 0], [1, np.nan], [2, 2]], "no number"),
        ([[0, 0], [1e12, 0], [0, 5]], "far outside"),
    ],
)
def test_polygons_that_are_none(polygon: list, part: str):
    with pytest.raises(GannotateError, match=part):
        rasterise([np.array(polygon, np.float64)], 8, 8)


@pytest.mark.parametrize("text", ["", "o", "\x7f", "Zo", "1" * 400, "0" * 400, "oooooooo0", "é"])
def test_compressed_strings_that_are_none(text: str):
    with pytest.raises(GannotateError, match="run-length code"):
        decompressed(text, 8, 8)


def slowly(code: list[int]) -> list[int]:
    """rle-pack as its documentation says it, a bit at a time."""
    bits = "".join(format(number, "08b") for number in code)
    place = 0

    def take(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    words, width = take(32), take(5) + 1
    lengths = [take(4) + 1 for _ in range(4)]
    found: list[int] = []
    while len(found) < words:
        run = take(1)
        length = take(lengths[take(2)]) + 1
        found += [take(width)] * length if run else [take(width) for _ in range(length)]
    return found


@settings(deadline=None, max_examples=60)
@given(mask=masks)
def test_label_studios_code_is_as_documented(mask: np.ndarray):
    code = brush_code.encode(mask)
    pixels = np.array(slowly(code)).reshape(*mask.shape, 4)
    assert np.array_equal(pixels, np.repeat(mask[..., None] * 255, 4, axis=2))
    assert np.array_equal(brush_code.decode(code, mask.shape[1], mask.shape[0]), mask)


def test_long_runs_of_label_studio_are_divided():
    mask = np.zeros((300, 300), bool)
    mask[:200] = True
    assert np.array_equal(brush_code.decode(brush_code.encode(mask), 300, 300), mask)


@settings(deadline=None, max_examples=40)
@given(pixels=arrays.arrays(np.uint8, (3, 5, 4)), lengths=st.permutations([3, 4, 8, 16]))
def test_single_words_and_other_block_lengths_are_read(pixels: np.ndarray, lengths: list[int]):
    words = pixels.ravel().tolist()
    bits = format(60, "032b") + format(7, "05b") + "".join(format(length - 1, "04b") for length in lengths)
    kind = lengths.index(8)
    bits += "0" + format(kind, "02b") + format(59, "08b") + "".join(format(word, "08b") for word in words)
    bits += "0" * (-len(bits) % 8)
    code = [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]
    assert np.array_equal(brush_code.decode(code, 5, 3), pixels[..., 3] >= 128)


@given(code=st.lists(st.integers(-1, 256), max_size=40))
def test_no_code_of_chance_is_taken(code: list[int]):
    with pytest.raises(GannotateError, match="damaged"):
        brush_code.decode(code, 5, 3)


def test_a_code_that_says_it_is_huge_is_refused_before_memory_is_taken():
    code = list(int("1" * 32 + "00111" + "0010001101111111" + "000", 2).to_bytes(7, "big"))
    with pytest.raises(GannotateError, match="it holds 4294967295 words"):
        brush_code.decode(code, 5, 3)
    with pytest.raises(GannotateError, match="label maps have 1 px to 100 Mpx"):
        brush_code.decode(code, 1 << 20, 1 << 20)


def test_an_outline_of_absurd_length_is_refused(monkeypatch: pytest.MonkeyPatch):
    zigzag = np.array([[7.0 * (index % 2), index % 9] for index in range(300)])
    rasterise([zigzag], 8, 8)
    monkeypatch.setattr(outlines, "LONGEST_PX", 1000)
    with pytest.raises(GannotateError, match="px around; 1000 at most are read"):
        rasterise([zigzag], 8, 8)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), mask=masks)
def test_regions_of_many_runs_are_painted_as_those_of_few(data: st.DataObject, mask: np.ndarray):
    others = [data.draw(arrays.arrays(bool, mask.shape)) for _ in range(2)]
    found = [Region(name, to_runs(one)) for name, one in zip("abc", (mask, *others), strict=True)]
    painted = []
    for few in (0, 10**6):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(regions, "FEW_RUNS", few)
            painted.append(paint(found, *mask.shape).label_map)
    assert np.array_equal(*painted)
    assert ((painted[0] > 0) == np.any([mask, *others], axis=0)).all()
