"""Small pieces of sentences."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannotate.wording import counted, listed, quoted, span


@pytest.mark.parametrize(("ends", "told"), [((60, 60), "60"), ((60, 1500), "60 to 1,500")])
def test_a_span_of_one_number_is_that_number(ends: tuple[int, int], told: str):
    assert span(*ends) == told


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 pictures"), (1, "1 picture"), (2, "2 pictures"), (1000, "1000 pictures")]
)
def test_one_is_told_from_many(count: int, told: str):
    assert counted(count, "picture") == told


@pytest.mark.parametrize(("names", "told"), [("", ""), ("a", "a"), ("ab", "a and b"), ("abc", "a, b and c")])
def test_names_in_a_sentence(names: str, told: str):
    assert listed(list(names)) == told


def test_many_that_do_not_end_in_s():
    assert [counted(count, "mask is", "masks are") for count in (1, 3)] == ["1 mask is", "3 masks are"]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1))
def test_a_shell_reads_the_name_back(name: str):
    assert shlex.split(quoted(name)) == [name]


def test_plain_names_stay_as_they_are():
    assert (quoted(Path("runs/cells-2.zip")), quoted("my cells")) == ("runs/cells-2.zip", "'my cells'")
