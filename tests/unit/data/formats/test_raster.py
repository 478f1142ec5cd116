"""Masks that are pictures: ids, colours, alpha, and what is said of masks that are neither."""

from __future__ import annotations

import dataclasses
import io
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from gannotate.data.formats import raster
from gannotate.data.formats.base import Blended, ReadOptions
from gannotate.data.formats.raster import Scheme, packed, read_mask
from gannotate.errors import GannotateError
from gannotate.labels import IGNORE, ClassInfo, decode_label_map, encode_label_map

CLASSES = (ClassInfo("background", (0, 0, 0)), ClassInfo("left", (200, 0, 0)), ClassInfo("right", (0, 0, 250)))

OPTIONS = ReadOptions(classes=CLASSES)

ids = arrays.arrays(np.uint8, (4, 6), elements=st.sampled_from([0, 1, 2, IGNORE]))


def png(array: np.ndarray, mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array, mode).save(buffer, "PNG")
    return buffer.getvalue()


def options(*mapped: str, blended: Blended = "refuse") -> ReadOptions:
    return dataclasses.replace(OPTIONS, mapped=frozenset(mapped), blended=blended)


def named(data: bytes, how: ReadOptions = OPTIONS, scheme: Scheme = Scheme()) -> list[list[str]]:
    """Names of all pixels, `-` for those without a label."""
    labels = read_mask(data, scheme, how)
    return [["-" if value == IGNORE else labels.classes[value] for value in row] for row in labels.label_map.tolist()]


def colours(label_map: np.ndarray) -> np.ndarray:
    table = np.zeros((256, 3), np.uint8)
    table[: len(CLASSES)] = [item.colour for item in CLASSES]
    return table[label_map]


@settings(deadline=None, max_examples=30)
@given(label_map=ids)
def test_ids_in_palette_grey_deep_and_rgb_pictures_are_the_same(label_map: np.ndarray):
    truth = [["-" if value == IGNORE else str(value) for value in row] for row in label_map.tolist()]
    how = options("255") if set(np.unique(label_map)) == {0, IGNORE} else OPTIONS
    truth = truth if how is OPTIONS else [["255" if word == "-" else word for word in row] for row in truth]
    pictures = [png(label_map), png(label_map.astype(np.uint16))]
    if how is OPTIONS:
        pictures.append(encode_label_map(label_map, CLASSES))
    grey = np.repeat(label_map[..., None], 3, axis=2)
    if (label_map > 0).any():  # black alone is a colour of the project
        pictures.append(png(grey))
    for data in pictures:
        assert named(data, how) == truth


@settings(deadline=None, max_examples=30)
@given(label_map=arrays.arrays(np.uint8, (4, 6), elements=st.integers(0, 2)), clear=arrays.arrays(bool, (4, 6)))
def test_the_projects_colours_and_transparent_pixels(label_map: np.ndarray, clear: np.ndarray):
    alpha = np.where(clear, 0, 255).astype(np.uint8)
    names = [item.name for item in CLASSES]
    truth = [
        ["-" if gone else names[v] for v, gone in zip(*rows, strict=True)]
        for rows in zip(label_map, clear, strict=True)
    ]
    assert named(png(np.dstack([colours(label_map), alpha]))) == truth


def test_a_sources_own_names_and_colours_come_first():
    scheme = Scheme({0: "sky", 7: "sea"}, {packed((1, 2, 3)): "sea"})
    assert named(png(np.array([[0, 7, 255]], np.uint8)), OPTIONS, scheme) == [["sky", "sea", "-"]]
    assert named(png(np.array([[[1, 2, 3], [200, 0, 0]]], np.uint8)), OPTIONS, scheme) == [["sea", "left"]]


def test_unknown_ids_and_colours_keep_their_own_name_to_be_mapped():
    assert named(png(np.array([[0, 64, 128]], np.uint8))) == [["0", "64", "128"]]
    many = np.repeat(np.repeat(np.arange(9, dtype=np.uint8)[None], 4, axis=0), 4, axis=1)  # 6 of them are no ids here
    assert named(png(many))[0][::4] == [str(value) for value in range(9)]
    assert named(png(np.array([[[255, 136, 0], [0, 0, 0]]], np.uint8))) == [["ff8800", "background"]]
    assert named(png(np.array([[0, 255]], np.uint8)), options("255")) == [["0", "255"]]


def test_black_and_white_alone_may_mean_two_things():
    with pytest.raises(GannotateError, match=r"holds only 0 and 255; if 255 is a class add e\.g\. --map 255=left"):
        named(png(np.array([[0, 255]], np.uint8)))


def smoothed() -> tuple[np.ndarray, np.ndarray]:
    """A disc of class 1 drawn with smooth borders, in the project's colours; and the disc."""
    rows, columns = np.mgrid[:32, :32] - 15.5
    disc = np.hypot(rows, columns) < 10
    part = np.clip(10.5 - np.hypot(rows, columns), 0, 1)[..., None]
    return (part * np.array(CLASSES[1].colour)).astype(np.uint8), disc


def test_smoothed_borders_are_explained_ignored_or_decided():
    picture, disc = smoothed()
    with pytest.raises(GannotateError, match=r"has \d+ px \(\d+\.\d%\) of \d+ values that are no class's, as smoothed"):
        named(png(picture))
    nearest = np.array(named(png(picture), options(blended="nearest")))
    assert set(np.unique(nearest)) == {"background", "left"}
    assert (nearest == np.where(disc, "left", "background")).mean() > 0.98
    ignored = np.array(named(png(picture), options(blended="ignore")))
    assert set(np.unique(ignored)) == {"-", "background", "left"}
    assert ((ignored == "-") == ~np.isin(picture[..., 0], [0, 200])).all()
    grey = (picture[..., 0] * 1.275).astype(np.uint8)
    known = Scheme({0: "background", 255: "left"})
    assert (np.array(named(png(grey), options("255", blended="nearest"), known))[15, 14:18] == "255").all()


def test_a_palettes_numbers_have_no_nearest_one():
    picture = Image.fromarray(np.arange(40, dtype=np.uint8)[None].repeat(2, axis=0), "P")
    picture.putpalette(list(range(256)) * 3)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    with pytest.raises(GannotateError, match=r"or add --blended ignore$"):
        named(buffer.getvalue(), options(blended="nearest"))


def test_half_transparent_borders_are_smoothed_ones():
    picture = np.dstack([colours(np.ones((1, 3), np.uint8)), np.array([[0, 100, 255]], np.uint8)])
    with pytest.raises(GannotateError, match="1 px"):
        named(png(picture))
    assert named(png(picture), options(blended="nearest")) == [["-", "-", "left"]]
    picture[0, 1, 3] = 200
    assert named(png(picture), options(blended="nearest")) == [["-", "left", "left"]]
    assert named(png(picture), options(blended="ignore")) == [["-", "-", "left"]]


def test_a_picture_that_says_it_is_huge_is_refused_before_memory_is_taken():
    data = bytearray(png(np.zeros((1, 1), np.uint8)))
    data[16:24] = (12_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(GannotateError, match="12000x12000 px"):
        named(bytes(data))


@given(data=st.binary(max_size=60))
def test_bytes_of_chance_are_no_mask(data: bytes):
    with pytest.raises(GannotateError, match="no whole picture"):
        read_mask(data, Scheme(), OPTIONS)


@given(
    values=st.lists(st.lists(st.integers(0, 5) | st.integers(-(2**31), 2**31 - 1), min_size=3, max_size=3), min_size=1),
    block=st.integers(1, 9),
)
def test_distinct_values_are_numpys(values: list[list[int]], block: int):
    array = np.array(values, np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raster, "BLOCK_PX", block)
        found, places, counts = raster.distinct(array)
    expected = np.unique(array, return_inverse=True, return_counts=True)
    assert found.tolist() == expected[0].tolist()
    assert counts.tolist() == expected[2].tolist()
    assert (found[places] == array).all()


@pytest.mark.parametrize(
    ("kind", "how", "called"),
    [
        ("JPEG", {"quality": 80}, "JPEG"),
        ("TIFF", {"compression": "jpeg"}, "JPEG"),
        ("WEBP", {"quality": 80}, "lossy WebP"),
        ("WEBP", {"quality": 80, "exif": b"Exif\0\0MM"}, "lossy WebP"),
        ("WEBP", {"quality": 80, "save_all": True, "append_images": [Image.new("L", (16, 16), 2)]}, "lossy WebP"),
    ],
)
def test_a_lossy_file_is_refused_though_its_values_are_all_ids(kind: str, how: dict[str, Any], called: str):
    mask, buffer = np.zeros((16, 16), np.uint8), io.BytesIO()
    mask[:, 5:] = 2
    Image.fromarray(mask).save(buffer, kind, **how)
    with pytest.raises(GannotateError, match=rf"is a {called}, which changes labels along borders, .* as PNG, or add"):
        read_mask(buffer.getvalue(), Scheme(), OPTIONS)
    with pytest.raises(GannotateError, match=rf"map: a {called}, which changes class ids along borders"):
        decode_label_map(buffer.getvalue(), 3, "map")
    for blended in ("nearest", "ignore") if called == "JPEG" else ():  # a WebP's values are colours, not ids
        assert set(read_mask(buffer.getvalue(), Scheme(), options(blended=blended)).classes) >= {"0", "2"}


@pytest.mark.parametrize("more", [{}, {"exif": b"Exif\0\0MM"}])
def test_a_lossless_webp_is_a_mask(more: dict[str, Any]):
    mask, buffer = np.zeros((16, 16, 3), np.uint8), io.BytesIO()
    mask[:, 5:] = (200, 0, 0)
    Image.fromarray(mask).save(buffer, "WEBP", lossless=True, **more)
    assert set(read_mask(buffer.getvalue(), Scheme(), OPTIONS).classes) == {"background", "left"}
