"""Portraits: a seed is a person, labels are exact, classes and styles are as promised."""

import contextlib
import hashlib
import os
import select
import signal
import subprocess
import sys

import numpy as np
import pytest

from gannotate.data.portraits import CLASSES, FINE_CLASSES, render, render_many
from gannotate.errors import UsageError


@pytest.fixture(scope="module")
def many():
    return [portrait for _, portrait in render_many(range(300), 64, "natural", False)]


def test_a_seed_is_a_portrait():
    a, b, other = render(7), render(7), render(8)
    assert np.array_equal(a.picture, b.picture)
    assert np.array_equal(a.label_map, b.label_map)
    assert not np.array_equal(a.picture, other.picture)
    assert (a.picture.dtype, a.picture.shape, a.label_map.shape) == (np.uint8, (64, 64, 3), (64, 64))


def test_label_maps_stay_what_they_are():
    """Seeds are published with results: a changed rasteriser would change what they mean."""
    digest = hashlib.sha256(b"".join(render(seed, 32).label_map.tobytes() for seed in range(8))).hexdigest()
    assert digest[:16] == "bcfd95377ee27a31"


@pytest.mark.parametrize(
    ("seed", "means"),
    [(0, (164.405, 110.415, 96.039)), (7, (96.949, 107.723, 84.036)), (12, (100.085, 70.26, 84.138))],
)
def test_colours_stay_what_they_are(seed, means):
    """Generators are trained on these pictures and tested on fresh ones; 7 and 12 wear glasses."""
    np.testing.assert_allclose(render(seed, 32).picture.mean((0, 1)), means, atol=0.05)


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_sizes(size):
    portrait = render(3, size)
    assert (portrait.picture.shape, portrait.label_map.shape) == ((size, size, 3), (size, size))
    assert set(np.unique(portrait.label_map)) <= set(range(len(CLASSES)))


def test_drawing_many_is_drawing_each_in_order():
    seeds = [5, 3, 9]
    drawn = list(render_many(seeds, 32, "natural", False))
    assert [seed for seed, _ in drawn] == seeds
    assert np.array_equal(drawn[1][1].picture, render(3, 32).picture)
    parallel = list(render_many(seeds, 32, "natural", False, workers=2))
    assert all(np.array_equal(a.picture, b.picture) for (_, a), (_, b) in zip(drawn, parallel, strict=True))


def test_every_class_appears_and_glasses_are_rare(many):
    share = np.array([[(p.label_map == index).any() for index in range(len(CLASSES))] for p in many]).mean(axis=0)
    assert (share > 0.04).all()
    assert 0.04 <= share[CLASSES.index("glasses")] <= 0.13
    assert share[CLASSES.index("face")] == 1.0
    assert max(int(p.label_map.max()) for p in many) == len(CLASSES) - 1


def test_hair_covers_ears_and_brows_of_some(many):
    ears = np.mean([(p.label_map == CLASSES.index("ears")).any() for p in many])
    brows = np.mean([(p.label_map == CLASSES.index("eyebrows")).any() for p in many])
    assert 0.2 < ears < 0.9
    assert 0.7 < brows < 1.0


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_the_same_person_at_two_sizes(seed):
    small, large = render(seed, 64).label_map, render(seed, 256).label_map
    assert (small == large[2::4, 2::4]).mean() > 0.9


def test_flat_style_keeps_the_labels_and_changes_the_picture():
    natural, flat = render(11), render(11, style="flat")
    assert np.array_equal(natural.label_map, flat.label_map)
    assert np.abs(natural.picture.astype(int) - flat.picture).mean() > 10
    background = flat.picture[flat.label_map == 0]
    assert len(np.unique(background, axis=0)) < len(np.unique(natural.picture[natural.label_map == 0], axis=0)) / 4


def test_fine_parts_exist_at_128():
    coarse, fine = ([render(seed, 128, fine=fine).label_map for seed in range(12)] for fine in (False, True))
    assert FINE_CLASSES[: len(CLASSES)] == CLASSES
    assert {"teeth", "iris"} == set(FINE_CLASSES[len(CLASSES) :])
    parents = {FINE_CLASSES.index("teeth"): CLASSES.index("mouth"), FINE_CLASSES.index("iris"): CLASSES.index("eyes")}
    for child, parent in parents.items():
        assert any((label_map == child).any() for label_map in fine)
        for before, after in zip(coarse, fine, strict=True):
            assert (before[after == child] == parent).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": 0, "size": 64, "fine": True}, "128"),
        ({"seed": 0, "style": "oil"}, "natural"),
        ({"seed": -1}, "seed"),
        ({"seed": 0, "size": 4}, "size"),
    ],
)
def test_wrong_requests_are_explained(arguments, words):
    with pytest.raises(UsageError, match=words):
        render(**arguments)


FOREVER = """
import os
from gannotate.data.portraits import render_many
for seed, _ in render_many(range(10**6), 16, workers=2):
    if seed == 0:
        print("drawing", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no groups of processes")
def test_the_processes_that_draw_end_with_the_one_that_was_killed():
    words = [sys.executable, "-c", FOREVER]
    with subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as main:
        assert main.stdout is not None
        try:
            assert main.stdout.readline() == b"drawing\n"
            main.kill()
            ended, _, _ = select.select([main.stdout], [], [], 60)  # they have it too: it ends with the last of them
            assert ended
            assert main.stdout.read() == b""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(main.pid, signal.SIGKILL)
