"""Which names of a dataset go into which class: whole tables, as the papers and their code have them.

Copied from there by hand, and not from our declarations: a name that slips into another class there fails here.
"""

from __future__ import annotations

import pytest

from gannotate.data.benchmarks import find_benchmark, shipped
from gannotate.data.benchmarks.layouts import PascalPart
from gannotate.labels import IGNORE

CELEBA_8 = [0, 4, 7, 4, 2, 2, 3, 3, 1, 1, 6, 6, 6, 5, 0, 0, 0, 0, 0]
"""Of the 19 names in their order; 1 ear, 2 eye, 3 eyebrow, 4 skin, 5 hair, 6 mouth, 7 nose."""

CELEBA_10 = [0, 4, 3, 4, 1, 1, 7, 7, 8, 8, 2, 2, 2, 6, 0, 8, 9, 9, 5]
"""1 eyes, 2 mouth, 3 nose, 4 face, 5 clothes, 6 hair, 7 eyebrows, 8 ears, 9 neck."""

CELEBA_3 = [0, 0, 3, 0, 1, 1, 0, 0, 0, 0, 2, 2, 2, 0, 0, 0, 0, 0, 0]

FACE_8 = [0, 4, 4, 4, 1, 1, 1, *[2] * 7, 3, 4, 4, 5, 5, 4, 4, *[6] * 4, 0, *[7] * 5, 4, 4, 4]
"""Of DatasetGAN's 34, to the 8 of CelebAMask-HQ."""

ADE_12 = [0, 1, 1, 1, 2, 9, 1, 1, 10, 1, 3, 4, 1, 1, 5, 6, 1, 11, 7, 8]
"""Of DatasetGAN's 20 of cars."""

CGPART_15 = [
    0, 1, 3, 12, 13, 7, 3, 12, 13, 14, 4, 3, 12, 13, 7, 3, 12, 13, 14, 6, 2, 5, 8, 13, 10, 2, 5, 8, 13, 10, 9, 11,
]  # fmt: skip
"""Of the 32; 1 back bumper, 2 body, 3 door, 4 front bumper, 5 head light, 6 hood, 7 licence plate, 8 mirror, 9 roof,
10 tail light, 11 trunk, 12 wheel, 13 window, 14 windshield."""

CGPART_10 = [0, 1, 2, 7, 8, 4, 2, 7, 8, 9, 1, 2, 7, 8, 4, 2, 7, 8, 9, 1, 1, 3, 5, 8, 6, 1, 3, 5, 8, 6, 1, 1]
"""1 body, 2 door, 3 head light, 4 licence plate, 5 mirror, 6 tail light, 7 wheel, 8 window, 9 windshield."""

BY_ID = {
    "celebamask-hq-8": CELEBA_8,
    "celebamask-hq-10": CELEBA_10,
    "celebamask-hq-3": CELEBA_3,
    "face-34-as-8": FACE_8,
    "ade-car-12": ADE_12,
    "cgpart-car-15": CGPART_15,
    "cgpart-car-10": CGPART_10,
}


@pytest.mark.parametrize("name", BY_ID)
def test_every_id_has_its_class(name: str):
    benchmark = find_benchmark(name)
    found = benchmark.merge.lookup(benchmark.source).tolist()
    assert found == BY_ID[name] + [IGNORE] * (256 - len(BY_ID[name]))


def test_the_other_benchmarks_by_ids_merge_nothing():
    for one in shipped().values():
        if one.source and one.name not in BY_ID:
            assert one.merge.lookup(one.source)[: len(one.source)].tolist() == list(range(len(one.source))), one.name


HORSE_LEGS = "lfuleg lflleg rfuleg rflleg lbuleg lblleg rbuleg rblleg"
CAT = ["head", "leye reye", "lear", "rear", "nose", "torso", "neck", "lfleg rfleg lbleg rbleg", "lfpa rfpa lbpa rbpa"]
COW = ["head", "leye reye", "lear", "rear", "muzzle", "lhorn rhorn", "torso", "neck", HORSE_LEGS, "tail"]
CAR = [
    "frontside", "leftside", "rightside", "backside", "roofside", "leftmirror rightmirror", "fliplate", "bliplate",
    "door_1 door_20", "wheel_1 wheel_20", "headlight_1 headlight_20", "window_1 window_20",
]  # fmt: skip
HOOVES = "lfho rfho lbho rbho"

BY_NAME = {
    "aeroplane": ["body", "stern tail", "lwing rwing", "engine_1 engine_20", "wheel_1 wheel_20"],
    "bicycle": ["fwheel bwheel", "saddle", "handlebar", "chainwheel", "headlight_1 headlight_20"],
    "bird": ["head", "leye reye", "beak", "torso", "neck", "lwing rwing", "lleg rleg", "lfoot rfoot", "tail"],
    "bottle": ["cap", "body"],
    "bus": CAR,
    "car": CAR,
    "cat": [*CAT, "tail"],
    "cow": COW,
    "dog": [*CAT, "tail", "muzzle"],
    "horse": ["head leye reye lear rear muzzle", "torso", f"{HOOVES} {HORSE_LEGS}", "neck", "tail"],
    "motorbike": ["fwheel", "bwheel", "handlebar", "saddle", "headlight_1 headlight_20"],
    "person": [
        "head", "leye reye", "lear", "rear", "lebrow rebrow", "nose", "mouth", "hair", "torso", "neck", "llarm luarm",
        "lhand rhand", "rlarm ruarm", "llleg luleg rlleg ruleg", "lfoot rfoot",
    ],
    "pottedplant": ["pot", "plant"],
    "sheep": COW,
    "train": [
        "head", "hfrontside", "hleftside", "hrightside", "hbackside", "hroofside", "headlight_1 headlight_20",
        "coach_1 coach_20", "cfrontside_1 cfrontside_9", "cleftside_1 cleftside_9", "crightside_1 crightside_9",
        "cbackside_1 cbackside_9", "croofside_1 croofside_9",
    ],
    "tvmonitor": ["screen"],
    "horse-5": ["head leye reye lear rear muzzle", "neck torso", f"{HOOVES} {HORSE_LEGS}", "tail"],
    "car-6": [
        f"{' '.join(CAR[:6])} {CAR[8]}", "fliplate bliplate", "headlight_1 headlight_20", "wheel_1 wheel_20",
        "window_1 window_20",
    ],
}  # fmt: skip
"""Pascal-Part's names of each class from 1 up; of numbered ones a small and a large number."""


@pytest.mark.parametrize("kind", BY_NAME)
def test_every_part_has_its_class(kind: str):
    benchmark = find_benchmark(f"pascal-part-{kind}")
    expected = {word: index for index, words in enumerate(BY_NAME[kind], 1) for word in words.split()}
    assert {word: benchmark.merge.id_of(word) for word in expected} == expected
    assert len(benchmark.class_names) == len(BY_NAME[kind]) + 1
    if kind != "car-6":  # whose body takes all others
        assert benchmark.merge.id_of("no such part") is None


def test_every_kind_with_parts_is_there():
    named = {one.name.removeprefix("pascal-part-") for one in shipped().values() if isinstance(one.layout, PascalPart)}
    assert named == set(BY_NAME)
