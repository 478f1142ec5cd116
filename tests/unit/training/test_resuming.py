"""What was learned from must be what is learned from."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannotate.errors import UsageError
from gannotate.files import write_json
from gannotate.training.checkpoint import load_checkpoint, save_checkpoint
from gannotate.training.resuming import check_place, check_same, hash_of, holds_training, plain

VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
TREES = st.recursive(VALUES, lambda x: st.lists(x, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=2), x))


@given(tree=TREES)
def test_what_is_plain_comes_back_equal(tree: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "tree.safetensors"
    save_checkpoint(path, {"tree": plain(tree)})
    assert load_checkpoint(path)["tree"] == plain(tree)


def test_a_hash_is_of_the_numbers_in_order() -> None:
    one, other = np.arange(6, dtype=np.uint8).reshape(2, 3), np.ones(2, np.float16)
    assert hash_of(one, other) == sha256(one.tobytes() + other.tobytes()).hexdigest()
    assert hash_of(one.T) == sha256(one.T.tobytes()).hexdigest()  # not contiguous
    assert hash_of(one.T) != hash_of(one)


def test_all_that_differs_is_named() -> None:
    now = {"data": {"hash": "a"}, "settings": [1, 2], "network": "unet"}
    check_same(now | {"more": 1}, now, "fit")
    with pytest.raises(UsageError, match=r"the fit to resume had other data, settings; resume it with the same ones"):
        check_same({"network": "unet", "settings": [1]}, now, "fit")


def test_a_time_limit_may_differ() -> None:
    before = {"settings": {"minutes": 1.0, "steps": 2}}
    check_same(before, {"settings": {"minutes": None, "steps": 2}}, "fit")
    check_same({"settings": {"steps": 2}}, before, "fit")
    with pytest.raises(UsageError, match="had other settings"):
        check_same(before, {"settings": {"minutes": 1.0, "steps": 3}}, "fit")


def test_a_run_begins_where_nothing_is_or_goes_on_with_its_own(tmp_path: Path):
    check_place(tmp_path / "new", "pretrain")
    (tmp_path / ".run.json.part").write_text("")  # of a process that was killed at once
    check_place(tmp_path, "pretrain")
    write_json(tmp_path / "run.json", {"format_version": 1, "verb": "pretrain", "status": "running"})
    (tmp_path / "model.safetensors").write_bytes(b"")
    check_place(tmp_path, "pretrain")
    with pytest.raises(UsageError, match="holds a run of `gannotate pretrain`; give a new folder"):
        check_place(tmp_path, "train-generator", begun=True)


def test_a_folder_of_something_else_is_no_place_for_a_run(tmp_path: Path):
    (tmp_path / "cat.png").write_bytes(b"")
    for place in (tmp_path, tmp_path / "cat.png"):
        with pytest.raises(UsageError, match="exists and is not an empty folder; give a new one"):
            check_place(place, "pretrain")
    check_place(tmp_path, "pretrain", begun=True)


@pytest.mark.parametrize(
    ("config", "holds"),
    [(None, True), ('{"encoder": {}}', True), ('{"generator": {}}', False), ("[]", False), ("{", False)],
)
def test_a_training_from_python_is_known_by_its_log_and_model(tmp_path: Path, config: str | None, holds: bool):
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    assert not holds_training(tmp_path, "encoder", "vae")
    (tmp_path / "log.jsonl").write_text("")
    assert holds_training(tmp_path, "encoder", "vae") == holds
