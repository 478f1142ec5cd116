"""The inert reader gives what Python, torch and NumPy wrote, in every protocol and container."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.generators.checkpoints.arrays import as_array
from gannotate.generators.checkpoints.stream import Unreadable
from gannotate.generators.checkpoints.torch_files import read_pickle, read_torch

from .foreign import to_file

WHOLE = st.integers(-(2**400), 2**400)
SCALARS = st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False) | st.text(max_size=20)
KEYS = st.booleans() | WHOLE | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.tuples(inner, inner, inner, inner)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4).map(OrderedDict)
    ),
    max_leaves=8,
)


def plain(value: Any) -> Any:
    """Views as bytes, ordered dictionaries as dictionaries."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value


def numbers(value: Any) -> np.ndarray:
    array = as_array(value)
    assert array is not None
    return array.view()


@given(value=VALUES, protocol=st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_python_values(value: Any, protocol: int):
    data = pickle.dumps([value, value], protocol)
    assert plain(read_pickle(memoryview(data))) == plain([value, value])


@pytest.mark.parametrize("protocol", range(6))
def test_sets_and_shared_values(protocol: int):
    shared = ["one"]
    value = {"a": {1, 2}, "b": shared, "c": shared, "d": set()}
    read = read_pickle(memoryview(pickle.dumps(value, protocol)))
    assert read == value
    assert read["b"] is read["c"]


@given(
    dtype=st.sampled_from(
        [torch.float32, torch.float64, torch.float16, torch.int64, torch.int8, torch.uint8, torch.bool]
    ),
    shape=st.lists(st.integers(0, 4), max_size=4),
    zipped=st.booleans(),
    turned=st.booleans(),
    step=st.integers(1, 2),
)
@settings(max_examples=80, deadline=None)
def test_tensors_and_their_views(dtype: torch.dtype, shape: list[int], zipped: bool, turned: bool, step: int):
    tensor = (torch.arange(int(np.prod(shape))) % 100).reshape(shape).to(dtype)
    if shape:
        tensor = tensor[min(1, shape[0]) :: step]
    if turned:
        tensor = tensor.permute(tuple(reversed(range(tensor.ndim))))
    content = {"it": tensor, "parameter": torch.nn.Parameter(torch.ones(2)), "size": tensor.shape}
    read = read_torch(memoryview(to_file(content, zipped)))
    assert np.array_equal(numbers(read["it"]), tensor.numpy())
    assert read["size"] == tuple(tensor.shape)
    assert np.array_equal(numbers(read["parameter"]), np.ones(2))


def test_bfloat16_is_the_same_number():
    tensor = torch.randn(50, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert np.array_equal(numbers(read_torch(memoryview(to_file(tensor)))), tensor.float().numpy())


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_inside_a_plain_pickle(protocol: int):
    base = torch.arange(12.0).reshape(3, 4)
    read = read_pickle(memoryview(pickle.dumps({"a": base.t(), "b": torch.nn.Parameter(base[1])}, protocol)))
    assert np.array_equal(numbers(read["a"]), base.t().numpy())
    assert np.array_equal(numbers(read["b"]), base[1].numpy())


@given(
    code=st.sampled_from(["<f4", ">f4", "<f8", "<f2", "<i8", ">i2", "|u1", "|b1"]),
    shape=st.lists(st.integers(0, 4), max_size=3),
    protocol=st.integers(0, 5),
    fortran=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_numpy_arrays(code: str, shape: list[int], protocol: int, fortran: bool):
    array = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape) % 100, code, order="F" if fortran else "C")
    read = read_pickle(memoryview(pickle.dumps({"it": array}, protocol)))
    assert np.array_equal(numbers(read["it"]), array)


@pytest.mark.parametrize("protocol", range(6))
def test_numpy_numbers_and_the_name_of_its_older_core(protocol: int):
    value = [np.float64(1 / 3), np.float32(0.5), np.int64(-7), np.bool_(True)]
    data = pickle.dumps(value, protocol)
    assert read_pickle(memoryview(data)) == [1 / 3, 0.5, -7, True]
    if protocol < 4:  # names are lines there, of any length
        assert read_pickle(memoryview(data.replace(b"numpy._core.", b"numpy.core."))) == [1 / 3, 0.5, -7, True]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"0.",
        b"]a.",
        b"N",
        b"}NN",
        b"h\x00.",
        b"(lK\x01",
        b"NNa.",
        b"NNs.",
        b"Ne.",
        b"K\x01K\x02R.",
        b"\x8c\x02\xff\xff.",
    ],
)
def test_broken_pickles(data: bytes):
    with pytest.raises(Unreadable, match="damaged"):
        read_pickle(memoryview(data))
