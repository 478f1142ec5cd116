"""Checkpoints hold any tree and come back the same."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.errors import GannotateError
from gannotate.training.checkpoint import load_checkpoint, save_checkpoint

leaves = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=5)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner),
    max_leaves=10,
)


@settings(max_examples=50, deadline=None)
@given(tree=trees)
def test_trees_round_trip(tree, tmp_path_factory):
    path = tmp_path_factory.mktemp("c") / "c.safetensors"
    save_checkpoint(path, tree)
    assert load_checkpoint(path) == tree


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]
)
def test_tensors_keep_type_shape_and_memory_order(tmp_path, dtype):
    tensor = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4).to(dtype)
    last = tensor.contiguous(memory_format=torch.channels_last)
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, {"a": tensor, "b": [last, tensor[0, 0, 0, 0]], 3: last})
    back = load_checkpoint(path)
    assert torch.equal(back["a"], tensor)
    assert torch.equal(back["b"][0], last)
    assert back["b"][0].stride() == last.stride()
    assert back["a"].stride() == tensor.stride()
    assert back["b"][1].shape == ()
    assert back[3].dtype == dtype


def test_adam_goes_on_as_if_nothing_happened(tmp_path):
    def steps(weight, optimizer, count):
        for _ in range(count):
            optimizer.zero_grad()
            (weight.square().sum()).backward()
            optimizer.step()

    whole = torch.nn.Parameter(torch.arange(4.0))
    optimizer = torch.optim.Adam([whole])
    steps(whole, optimizer, 3)
    save_checkpoint(tmp_path / "c", {"w": whole, "o": optimizer.state_dict()})
    steps(whole, optimizer, 3)
    saved = load_checkpoint(tmp_path / "c")
    again = torch.nn.Parameter(saved["w"])
    other = torch.optim.Adam([again])
    other.load_state_dict(saved["o"])
    steps(again, other, 3)
    assert torch.equal(whole, again)


def test_what_cannot_be_kept_is_refused(tmp_path):
    with pytest.raises(TypeError, match="cannot hold set"):
        save_checkpoint(tmp_path / "c", {"a": {1, 2}})


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\x00" * 100])
def test_damaged_files_are_explained(tmp_path, damage):
    path = tmp_path / "c"
    save_checkpoint(path, {"a": torch.ones(10)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(GannotateError, match="not a whole checkpoint"):
        load_checkpoint(path)
    with pytest.raises(GannotateError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "missing")
