"""JSON and YAML of strangers: a value, or one kind of error that says why; never a traceback, a hang or all memory."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.errors import GannotateError
from gannotate.parsing import (
    MOST_NODES,
    MOST_YAML_CHARACTERS,
    Malformed,
    load_json,
    load_yaml,
    read_ours,
    still_says,
)
from gannotate.project_config import parse_config

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_what_json_writes_is_read(value: Any):
    assert load_json(json.dumps(value)) == value
    assert load_json(json.dumps(value).encode()) == value


@given(plain)
@settings(deadline=None)
def test_what_yaml_writes_is_read(value: Any):
    assert load_yaml(yaml.safe_dump(value)) == yaml.safe_load(yaml.safe_dump(value))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        ("9" * 5000, "4300"),
        (b"\xff\xfe\x00", "utf-16"),
        (b'"\xff"', "utf-8"),
        ("", "Expecting value"),
        ('{"a": 1,}', "property name|trailing comma"),  # Python 3.13 has other words
    ],
)
def test_texts_that_are_no_json(text: str | bytes, why: str):
    with pytest.raises(Malformed, match=why):
        load_json(text)


def test_a_file_of_our_own(tmp_path: Path):
    path = tmp_path / "a.json"
    with pytest.raises(GannotateError, match=r"^there is no .*a\.json; make it again$"):
        read_ours(path, "make it again", dict)
    path.write_text('{"a": [1]}')
    assert read_ours(path, "make it again", lambda tree: tree["a"]) == [1]
    with pytest.raises(GannotateError, match=r"^.*a\.json is damaged \('b'\); make it again$"):
        read_ours(path, "make it again", lambda tree: tree["b"])
    for text in ("{", "[]", "null", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(GannotateError, match=r"^.*a\.json is damaged \(.*\); make it again$"):
            read_ours(path, "make it again", dict)


def test_whether_a_file_still_says_the_same(tmp_path: Path):
    path = tmp_path / "a.json"
    assert not still_says(path, {"a": (1, 2)})
    path.write_text('{"a": [1, 2]}')
    assert still_says(path, {"a": (1, 2)})
    assert not still_says(path, {"a": (1, 3)})
    path.write_text('{"a": [1, 2]')
    assert not still_says(path, {"a": (1, 2)})


def test_oddities_that_json_has():
    assert load_json('{"a": 1, "a": 2}') == {"a": 2}  # a key that stands there twice: the last one counts
    assert math.isnan(load_json("NaN"))
    assert load_json("1e999") == math.inf
    assert load_json('"\\ud800"') == "\ud800"  # half a character: whoever prints it has to see to it


def laughs(levels: int, width: int = 9) -> str:
    """Aliases of aliases: `width ** levels` values in `levels` lines."""
    lines = ["a0: &a0 lol"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (laughs(12), f"stands for more than {MOST_NODES} values"),
        ("a: &a [*a]", "refers to itself"),
        ("&a {b: *a}", "refers to itself"),
        ("[" * 1500, "nested too deep"),
        ("- " * 1500, "nested too deep"),
        (f"a: {'x' * MOST_YAML_CHARACTERS}", "characters"),
        ("!!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("!!python/name:os.system", "could not determine a constructor"),
        ("a: 2001-99-99", "month must be"),
        ("a: !!timestamp x", "group"),
        ("a: !!int x", "invalid literal"),
        ("a: !!int ''", "index"),
        ("a: !!bool x", "x"),
        ("a: !!float x", "could not convert"),
        (f"a: {'9' * 5000}", "4300"),
        ("? [a]\n: b", "unhashable"),
        ("a: *b", "undefined alias"),
        ("a: [", "expected"),
        ("\x00", "special characters"),
        (b"\xff", "."),
    ],
)
def test_texts_that_are_no_yaml(text: str | bytes, why: str):
    with pytest.raises(Malformed, match=why) as refusal:
        load_yaml(text)
    assert "\n" not in str(refusal.value)


def test_aliases_that_stand_for_little_are_fine():
    assert load_yaml("a: &a [1, 2]\nb: *a\nc: {<<: &m {x: 1}, y: 2}\nd: *m")["b"] == [1, 2]
    assert load_yaml(laughs(4))["a3"][0][0][0] == "lol"
    assert load_yaml("") is None


@given(st.text(alphabet="[]{}&*!:-?,|>'\" \n\tab1<", max_size=40) | st.text(max_size=30) | st.binary(max_size=30))
@settings(deadline=None, max_examples=300)
def test_any_text_gives_a_value_or_malformed(text: str | bytes):
    for reader in (load_json, load_yaml):
        with suppress(Malformed):
            reader(text)


def test_a_settings_file_that_stands_for_too_much_is_told_in_a_sentence():
    from gannotate.errors import GannotateError

    with pytest.raises(GannotateError, match=r"^project\.yaml is not YAML \(it stands for more than"):
        parse_config(laughs(12) + "\nname: *a11", "project.yaml")
