"""Pascal-Part's MATLAB files: what was written is read, and no hostile file takes memory or raises something else."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from gannotate.data.benchmarks import matlab
from gannotate.data.benchmarks.matlab import read_matlab
from gannotate.data.benchmarks.part_annotations import read_things
from gannotate.errors import GannotateError

from .trees import annotation

HORSE = ("horse", [("head", (slice(0, 2), slice(0, 3))), ("lear", (slice(0, 1), slice(0, 1)))])
ROCK = ("rock", [])
HEADER = b" " * 124 + b"\x00\x01IM"


def element(kind: int, payload: bytes) -> bytes:
    return struct.pack("<II", kind, len(payload)) + payload + b"\0" * (-len(payload) % 8)


def matrix(form: int, sides: tuple[int, ...], *more: bytes) -> bytes:
    shape = b"".join(struct.pack("<i", side) for side in sides)
    inside = element(6, struct.pack("<II", form, 0)) + element(5, shape) + element(1, b"anno") + b"".join(more)
    return element(14, inside)


@pytest.mark.parametrize("packed", [True, False])
def test_reads_what_is_there(packed: bool):
    horse, rock = read_things(annotation(8, 6, [HORSE, ROCK], packed), "x.mat")
    assert (horse.kind, rock.kind) == ("horse", "rock")
    assert [part.name for part in horse.parts] == ["head", "lear"]
    assert horse.parts[0].mask.shape == (6, 8)
    assert int(horse.parts[0].mask.sum()) == 6
    assert int(horse.mask.sum()) == 6
    assert rock.parts == ()


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "is no MATLAB 5 file"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 200, "is no MATLAB 5 file"),
        (HEADER.replace(b"IM", b"MI") + b"\0" * 64, "is no MATLAB 5 file"),
        (annotation(8, 6, [HORSE])[:-40], "is no whole MATLAB 5 file"),
        (annotation(8, 6, [HORSE], packed=False)[:-40], "is no whole MATLAB 5 file"),
        (HEADER + matrix(9, (1 << 30, 1 << 30)), "claims to be 1073741824x1073741824"),
        (HEADER + matrix(2, (100_001, 1)), "claims to be 100001x1"),
        (HEADER + matrix(9, (-4, 4)), "claims to be -4x4"),
        (HEADER + matrix(5, (2, 2)), "an array of kind 5 claims"),  # sparse: its size is not told by its sides
        (HEADER + element(14, b"\0" * 4), "an array has no shape"),
        (HEADER + matrix(9, (2, 2), element(99, b"\0" * 32)), "numbers are stored as kind 99"),  # ends SciPy's process
        (HEADER + matrix(9, (2, 2), element(9, b"\0" * 24)), "3 numbers are given for an array of 2x2"),
        (HEADER + matrix(4, (1, 2), element(9, b"\0" * 16)), "text is stored as kind 9"),
        (HEADER + matrix(1, (1, 1), element(9, b"\0" * 8)), "an array of arrays has an element of kind 9"),
        (
            HEADER + matrix(2, (1, 1), element(5, b"\0" * 4), element(1, b"a")),
            "field names of 1 bytes are 0 bytes each",
        ),
        (HEADER + matrix(3, (1, 1)), "an array of kind 3 claims"),  # an object: its class is code elsewhere
        (HEADER + struct.pack("<II", (5 << 16) | 1, 0), "a short element is too long"),
        (HEADER, "is no whole annotation of Pascal-Part"),
    ],
)
def test_hostile_and_foreign_files_are_refused(data: bytes, part: str):
    with pytest.raises(GannotateError, match=rf"^x\.mat .*{part}"):
        read_things(data, "x.mat")


def test_arrays_too_deep_are_refused():
    inner = b""
    for _ in range(12):
        inner = matrix(1, (1, 1), inner)
    with pytest.raises(GannotateError, match="too deep"):
        read_things(HEADER + inner, "x.mat")


def test_a_small_file_that_unpacks_to_much_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(matlab, "MOST_BYTES", 1 << 20)
    bomb = zlib.compress(matrix(9, (1, 1), element(2, b"\0" * (2 << 20))))
    assert len(bomb) < 5000
    with pytest.raises(GannotateError, match="unpacks to more than 1 MB"):
        read_things(HEADER + struct.pack("<II", 15, len(bomb)) + bomb, "x.mat")


@pytest.mark.parametrize("packed", [True, False])
def test_reads_what_scipy_writes(packed: bool):
    kinds = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")
    numbers = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in kinds}
    cells = np.empty((2, 2), object)
    cells[:] = [["a", np.eye(2)], [np.zeros((0, 0)), "äßc"]]
    buffer = io.BytesIO()
    records = {**numbers, "cells": cells, "none": np.zeros((0, 0)), "yes": np.eye(3, dtype=bool)}
    savemat(buffer, {"first": 1.0, "anno": records}, do_compression=packed)
    value = read_matlab(buffer.getvalue(), "anno", "x.mat")
    assert isinstance(value, list)
    (record,) = value
    assert isinstance(record, dict)
    for kind, written in numbers.items():
        np.testing.assert_array_equal(record[kind], written)
    assert [np.shape(one) if isinstance(one, np.ndarray) else one for one in record["cells"]] == [
        "a",
        (0, 0),
        (2, 2),
        "äßc",
    ]
    none = record["none"]
    assert isinstance(none, np.ndarray)
    assert none.size == 0
    np.testing.assert_array_equal(record["yes"], np.eye(3))


@pytest.mark.parametrize(
    "value", [{"other": 1}, {"anno": np.eye(3)}, {"anno": {"objects": np.eye(2)}}, {"anno": "horse"}]
)
def test_other_contents_are_named(value: dict):
    buffer = io.BytesIO()
    savemat(buffer, value)
    with pytest.raises(GannotateError, match=r"^x\.mat is no whole annotation of Pascal-Part"):
        read_things(buffer.getvalue(), "x.mat")


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_damage_is_one_sentence(packed: bool, damage: list[tuple[int, int]]):
    data = bytearray(annotation(8, 6, [HORSE, ROCK], packed))
    for place, value in damage:
        data[place % len(data)] = value
    try:
        things = read_things(bytes(data), "x.mat")
    except GannotateError as error:
        said = str(error)
    else:
        said = "x.mat " * all(part.mask.shape == thing.mask.shape for thing in things for part in thing.parts)
    assert said.startswith("x.mat ")
