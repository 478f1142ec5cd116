"""Label maps on disk and in the mirror."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE, Mirror, decode_label_map, encode_label_map, make_classes, palette

CLASSES = make_classes(["background", "left", "right", "middle"])
maps = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 2, 3, IGNORE])
)


@given(maps)
def test_label_maps_round_trip_as_palette_png(label_map):
    data = encode_label_map(label_map, CLASSES)
    assert np.array_equal(decode_label_map(data, 4, "x"), label_map)
    image = Image.open(io.BytesIO(data))
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image.convert("RGB")), palette(CLASSES)[label_map])


@given(maps)
def test_mirroring_twice_is_nothing_and_swaps_keep_sides(label_map):
    swap = Mirror("swap", ((1, 2),))
    assert np.array_equal(swap.flip(swap.flip(label_map)), label_map)
    assert (swap.flip(label_map) == 1).sum() == (label_map == 2).sum()
    assert np.array_equal(Mirror("yes").flip(label_map), label_map[:, ::-1])


def test_wrong_mirrors():
    for rule, pairs, words in (
        ("maybe", (), "use no, yes or swap"),
        ("swap", (), "takes pairs"),
        ("no", ((1, 2),), "pairs"),
    ):
        with pytest.raises(UsageError, match=words):
            Mirror(rule, pairs)
    with pytest.raises(UsageError, match="may not be flipped"):
        Mirror("no").flip(np.zeros((2, 2), np.uint8))


def test_unknown_ids_are_named_with_their_pixels():
    label_map = np.array([[0, 7], [7, 255]], np.uint8)
    image = Image.fromarray(label_map)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    with pytest.raises(GannotateError, match=r"a.png: unknown class id 7 \(2 px\); accepted are 0-3"):
        decode_label_map(buffer.getvalue(), 4, "a.png")


def test_colour_masks_are_explained():
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    with pytest.raises(GannotateError, match="one channel with class ids"):
        decode_label_map(buffer.getvalue(), 4, "a.png")


@pytest.mark.parametrize(
    ("names", "words"),
    [(["a"], "2 to 254"), (["a", "b", "a"], "given 2 times"), (["a", " "], "empty"), (["x"] * 300, "300")],
)
def test_wrong_class_names(names, words):
    with pytest.raises(UsageError, match=words):
        make_classes(names)
