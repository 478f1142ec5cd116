"""Every declaration that ships is whole, and wrong ones are refused with the place of the mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gannotate.data.benchmarks import find_benchmark, load_benchmark, shipped
from gannotate.data.benchmarks.classes import REST, Merge, merged, network_lookup, without_specks
from gannotate.data.benchmarks.declaration import read_declarations
from gannotate.data.benchmarks.splits import Split, place_of
from gannotate.errors import GannotateError, UsageError
from gannotate.metrics.protocols import PROTOCOLS

from .trees import encoded, picture, write

NAMED_IN_THE_ISSUE = {
    "celebamask-hq-19": 19, "celebamask-hq-8": 8, "celebamask-hq-10": 10, "celebamask-hq-3": 4,
    "pascal-part-horse": 6, "pascal-part-aeroplane": 6, "pascal-part-car": 13, "pascal-part-horse-5": 5,
    "pascal-part-car-6": 6, "car-20": 20, "cat-16": 16, "face-34": 34, "bedroom-28": 29, "ade-car-12": 12,
    "cgpart-car-15": 15, "cgpart-car-10": 10, "ffhq-hair": 2, "lsun-cars": 2, "lsun-churches": 11, "lsun-bedrooms": 14,
    "ffhq-hair-generated": 2,
}  # fmt: skip
"""With the number of classes, background included."""


@pytest.mark.parametrize("name", NAMED_IN_THE_ISSUE)
def test_is_there_with_its_classes(name: str):
    assert len(find_benchmark(name).class_names) == NAMED_IN_THE_ISSUE[name]


@pytest.mark.parametrize("name", list(shipped()))
def test_every_class_can_occur_and_every_id_has_a_class(name: str):
    one = find_benchmark(name)
    if one.source:
        ids = one.merge.lookup(one.source)[: len(one.source)]
        assert set(ids.tolist()) == set(range(len(one.class_names)))
    taken = [word for words in one.merge.table.values() for word in words if word != REST]
    assert len(taken) == len(set(taken)), "a name of the dataset is in two classes"
    assert one.protocol == one.scored_by.name
    assert all(split.labelled for split in (one.splits.get("test"), one.splits["train"]) if split)


def test_only_labels_that_a_person_painted_on_generated_pictures_have_nothing_to_test_on():
    assert [name for name, one in shipped().items() if "test" not in one.splits] == ["ffhq-hair-generated"]


def test_no_two_splits_to_learn_from_and_to_test_on_share_pictures():
    for one in (one for one in shipped().values() if "test" in one.splits):
        test = one.splits["test"]
        for name in ("train", "train-large", "val"):
            split = one.splits.get(name)
            if split is None or split.folder + split.pictures + split.names != test.folder + test.pictures + test.names:
                continue
            apart = split.hashed[1] <= test.hashed[0] or not {*split.cut(range(30000))} & {*test.cut(range(30000))}
            assert apart, (one.name, name)


OWN = {
    "about": "x", "paper": "x", "get": "ask me", "licence": "x", "attribution": "x", "size_px": 16, "protocol": "plain",
    "layout": {"kind": "pairs"}, "source": ["nothing", "cell"],
    "splits": {"test": {"pictures": "p/{name}.*", "labels": "m/{name}.png"}},
}  # fmt: skip


def declared(tmp_path: Path, **lines: object) -> str:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"benchmarks": {"cells": OWN | lines}}))
    return str(path)


def test_a_benchmark_of_ones_own(tmp_path: Path):
    write(tmp_path / "data/p/a.jpg", encoded(picture(20, 20), "JPEG"))
    write(tmp_path / "data/m/a.png", encoded(np.ones((20, 20), np.uint8)))
    for name in (declared(tmp_path), declared(tmp_path) + ":cells"):
        found = load_benchmark(name, tmp_path / "data", "test")[0]
        assert (found.name, int(found.label_map[0, 0])) == ("a", 1)
    with pytest.raises(UsageError, match=r"has cells; give .*own\.yaml:NAME"):
        find_benchmark(declared(tmp_path) + ":cell")


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        ({"protocol": "plane"}, r"cells: there is no protocol 'plane'.*did you mean 'plain'"),
        ({"size": 5}, r"\(size: Extra inputs are not permitted\)"),
        ({"size_px": 4}, r"\(size_px: Input should be greater"),
        ({"layout": {"kind": "pears"}}, r"\(layout: Input tag 'pears'"),
        ({"splits": {"test": {"folder": "x"}}}, "the layout pairs has no use for folder"),
        ({"splits": {"test": {"hashed": [0.5, 0.5]}}}, "two rising numbers"),
        ({"splits": {"test": {"part": [5, 5]}}}, "give the first and the one behind the last"),
        ({"splits": {"test": {"part": [0, 5], "parts": [[0, 1], [2, 3]]}}}, "both part and parts are given; give one"),
        ({"splits": {"test": {"parts": [[0, 5]]}}}, r"parts: Tuple should have at least 2 items"),
        ({"splits": {"test": {"parts": [[0, 5], [7, 7]]}}}, "part is 7 to 7; give the first and the one behind"),
        ({"splits": {"test": {"parts": [[-1, 5], [7, 9]]}}}, "part is -1 to 5; give the first and the one behind"),
        ({"splits": {"test": {"parts": [[0, 5], [4, 9]]}}}, "parts has 4 to 9 behind 5; give rising ones, none twice"),
        ({"splits": {"test": {"parts": [[5, 9], [0, 5]]}}}, "parts has 0 to 5 behind 9; give rising ones, none twice"),
        ({"splits": {"test": {"parts": [[0, None], [7, 9]]}}}, "parts has 7 to 9 behind the end; give rising ones"),
        (
            {"layout": {"kind": "numbered"}, "splits": {"test": {"folder": "x", "unlearned": ["cells"]}}},
            "split test: unlearned names cells, which source does not have",
        ),
        ({"splits": {"test": {"unlearned": ["cell"]}}}, "the layout pairs has no use for unlearned"),
        ({"layout": {"kind": "pairs", "greys": {"cell": [1, 255]}}}, "greys must give each grey from 0 to 255 to one"),
        (
            {"layout": {"kind": "pairs", "greys": {"cell": [0, 128], "ignore": [128, 255]}}},
            r"greys must give each grey from 0 to 255 to one name, as \[first, last\]",
        ),
        (
            {"layout": {"kind": "pairs", "greys": {"cell": [0, 128], "cells": [129, 255]}}},
            "greys has cells, which source does not have",
        ),
        ({"splits": {}}, "splits: Dictionary should have at least 1 item"),
        ({"classes": {"a": "rest", "b": "rest"}}, "more than one class takes `rest`"),
        ({"mirror": {"rule": "swap", "pairs": [["a", "cell"]]}}, "names 'a', which is no class"),
        ({"source": ["one"]}, "1 class name was given"),
    ],
)
def test_wrong_declarations_name_the_place(tmp_path: Path, lines: dict, part: str):
    with pytest.raises(UsageError, match=part):
        read_declarations(declared(tmp_path, **lines))


def test_unknown_names_and_files(tmp_path: Path):
    with pytest.raises(UsageError, match=r"there is no benchmark 'cat-15'; .*did you mean 'cat-16'"):
        find_benchmark("cat-15")
    with pytest.raises(UsageError, match="did you mean 'cat-16'"):
        find_benchmark("CAT-16")
    with pytest.raises(UsageError, match="cannot be read as YAML"):
        find_benchmark(str(tmp_path / "none.yaml"))
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(UsageError, match="cannot be read as YAML"):
        find_benchmark(str(tmp_path / "bad.yaml"))


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6), st.sampled_from([None, 0, 1]))
def test_merges_take_each_name_once(source: list[str], rest: int | None):
    table = [("a", "b"), ("c*",)]
    named = {f"class {index}": (*words, REST) if index == rest else words for index, words in enumerate(table)}
    ids = np.arange(len(source), dtype=np.uint8)[None]
    found = merged(ids, source, Merge(named), "x")[0].tolist()
    usual = {"a": 0, "b": 0, "c": 1}
    assert found == [usual.get(word, 255 if rest is None else rest) for word in source]


def test_ids_outside_and_numbers_that_are_not_whole_are_refused():
    merge = Merge({"a": ("a",), "b": ("b",)})
    assert merged(np.array([[0, 1, 255]]), ["a", "b"], merge, "x").tolist() == [[0, 1, 255]]
    for wrong in (np.array([[2]]), np.array([[-1]])):
        with pytest.raises(GannotateError, match=r"^x has unknown class id"):
            merged(wrong, ["a", "b"], merge, "x")
    for wrong in (np.array([[0.5]]), np.array([["a"]])):
        with pytest.raises(GannotateError, match=r"^x holds numbers that are not whole"):
            merged(wrong, ["a", "b"], merge, "x")


@given(st.integers(0, 1000), st.integers(1, 12))
def test_specks_go_and_nothing_else(seed: int, smallest: int):
    ids = np.random.default_rng(seed).choice([*range(6), 255], (5, 5))
    found = without_specks(ids, smallest)
    assert ((found == 255) == (ids == 255)).all()  # what has no label is no class
    for index in range(1, 6):
        count = (ids == index).sum()
        assert (found == index).sum() == (count if count >= smallest else 0)


def test_a_networks_labels_are_found_by_any_of_their_names():
    church = find_benchmark("lsun-churches")
    labels = [
        "wall",
        "building;edifice",
        "road, route",
        "sidewalk, pavement",
        "earth, ground",
        "person",
        "Sky",
        "house",
    ]
    found = [church.class_names[index] for index in network_lookup(labels, church.merge)[: len(labels)]]
    assert found == ["wall", "building", "road", "sidewalk", "terrain", "other", "sky", "building"]
    bare = Merge({"a": ("x",), "b": ("y",)})
    assert network_lookup(["y, x", "z"], bare)[:3].tolist() == [1, 255, 255]


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=30))
def test_hashed_splits_part_all_names(names: list[str]):
    parts = [Split(hashed=(0, 0.8)), Split(hashed=(0.8, 0.9)), Split(hashed=(0.9, 1))]
    assert sorted(name for part in parts for name in part.take(names)) == sorted(names)
    assert all(0 <= place_of(name) < 1 for name in names)


@given(st.lists(st.integers(0, 40), unique=True, min_size=4, max_size=8).filter(lambda ends: len(ends) % 2 == 0))
def test_several_ranges_are_the_pictures_of_each_in_order(ends: list[int]):
    ends = sorted(ends)
    ranges = list(zip(ends[::2], ends[1::2], strict=True))
    expected = [place for place in range(30) if any(first <= place < behind for first, behind in ranges)]
    assert Split(parts=tuple(ranges)).cut(range(30)) == expected
    assert Split(parts=tuple(ranges)).take([f"{place:02d}" for place in range(30)]) == [f"{p:02d}" for p in expected]
    to_the_end = Split(parts=(*ranges[:-1], (ranges[-1][0], None))).cut(range(30))
    assert to_the_end == [*(place for place in expected if place < ranges[-1][0]), *range(ranges[-1][0], 30)]


def test_ranges_may_touch_and_one_is_a_part():
    assert Split(parts=((0, 2), (2, 3))).cut("abcd") == Split(part=(0, 3)).cut("abcd") == ["a", "b", "c"]
    assert Split().cut("abcd") == ["a", "b", "c", "d"]


def test_the_documentation_has_every_benchmark_and_protocol():
    text = (Path(__file__).parents[4] / "docs" / "benchmarks.md").read_text()
    for name in (*shipped(), *PROTOCOLS):
        short = name.removeprefix("pascal-part") if name.startswith("pascal-part") else name
        assert f"`{name}`" in text or f"`{short}`" in text, name
