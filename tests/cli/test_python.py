"""The public Python interface: every name is there, loaded late, and the examples of docs/python.md run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gannotate
from gannotate.project import Project

from .conftest import Command, label

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_importing_loads_nothing_and_using_a_name_does():
    code = (
        "import sys, gannotate; assert 'torch' not in sys.modules; gannotate.Segmenter; assert 'torch' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_every_public_name_is_there():
    assert [name for name in gannotate.__all__ if not hasattr(gannotate, name)] == []
    assert set(gannotate.__all__) <= set(dir(gannotate))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gannotate.nothing  # noqa: B018


def test_the_examples_run(
    command: Command, annotated: Path, labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    command("fit", annotated, "--max-steps", 4, "--shots", 3)
    command("synthesize", annotated, "-n", 4)
    command("train", annotated, "--encoder", "tu-resnet10t", "--depth", 3, "--batch", 2, "--max-steps", 2)
    annotated.rename(tmp_path / "faces")
    project = Project.open(tmp_path / "faces")
    picture = np.random.default_rng(0).integers(0, 256, (20, 24, 1)).astype(np.uint8)

    def label_map_of(seed: int) -> np.ndarray:
        return label(np.asarray(Image.open(project.pool_picture_path(seed))))

    monkeypatch.chdir(tmp_path)
    known = {"picture": picture, "other": picture[::-1].copy(), "label_map_of": label_map_of}
    for example in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(example, known)
    assert np.shape(known["predicted"]) == (4, 16, 16)
    assert (tmp_path / "my-dataset" / "manifest.json").is_file()
