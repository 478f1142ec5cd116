"""A file that would run code never does: it is refused in one sentence that names what it asked for."""

from __future__ import annotations

import contextlib
import pickle
import sys
import tempfile
from pathlib import Path

import pytest

from gannotate.errors import GannotateError
from gannotate.generators.checkpoints.importing import read_foreign
from gannotate.generators.checkpoints.stream import Holder
from gannotate.generators.checkpoints.torch_files import read_pickle

from .hostile import Hostile, call, canary_module, hostile_files, text, whole

with tempfile.TemporaryDirectory() as _nowhere, canary_module(Path(_nowhere) / "canary"):
    _FILES = hostile_files(Path(_nowhere) / "canary")
    NAMES = [item.name for item in _FILES]
    RUNNING = [item.name for item in _FILES if item.runs]


@pytest.fixture
def canary(tmp_path: Path):
    """The file that appears when anything runs; the module that makes it is loaded meanwhile."""
    path = tmp_path / "sung"
    with canary_module(path):
        yield path


def hostile(name: str, canary: Path) -> Hostile:
    return next(item for item in hostile_files(canary) if item.name == name)


def test_there_are_enough_of_them():
    assert len(NAMES) == len(set(NAMES)) >= 50
    assert len(RUNNING) >= 25


@pytest.mark.parametrize("name", NAMES)
def test_nothing_runs_and_the_sentence_names_it(name: str, canary: Path, tmp_path: Path):
    item = hostile(name, canary)
    file = tmp_path / "generator.pkl"
    file.write_bytes(item.data)
    loaded = set(sys.modules)
    with pytest.raises(GannotateError) as refusal:
        read_foreign(file)
    assert not canary.exists()
    new = {module for module in set(sys.modules) - loaded if not module.startswith("encodings.")}  # zipfile's own
    assert not new, "the file made us import something"
    sentence = str(refusal.value)
    assert sentence.startswith(f"{file} ")
    assert item.told in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("name", RUNNING)
def test_they_are_what_they_claim(name: str, canary: Path):
    """Python's own unpickler runs them: the test above would see it if ours did."""
    item = hostile(name, canary)
    with contextlib.suppress(Exception):
        pickle.loads(item.data)
    assert canary.exists()


def test_the_source_in_a_network_is_never_compiled(canary: Path):
    source = "import canary\ncanary.touch()\n"
    meta = b"}" + b"".join(
        text(key) + value + b"s"
        for key, value in {
            "type": text("class"),
            "module_src": text(source),
            "class_name": text("Generator"),
            "state": b"}" + text("training") + b"\x89s",
        }.items()
    )
    value = read_pickle(memoryview(whole(call("torch_utils.persistence._reconstruct_persistent_obj", meta))))
    assert isinstance(value, Holder)
    assert (value.name, value.state) == ("Generator", {"training": False})
    assert not canary.exists()
    exec(source)
    assert canary.exists()


def test_a_refusal_shows_names_safely(tmp_path: Path):
    """Control characters and endless names of a file stay out of the terminal."""
    file = tmp_path / "x.pkl"
    file.write_bytes(whole(text("evil\x1b[2J\n") + text("n" * 5000) + b"\x93"))
    with pytest.raises(GannotateError) as refusal:
        read_foreign(file)
    assert "evil?[2J?" in str(refusal.value)
    assert len(str(refusal.value)) < 600
