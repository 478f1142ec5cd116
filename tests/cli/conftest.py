"""A tiny generator and projects made from it, so that every verb runs in a second."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.cli.app import main
from gannotate.labels import make_classes, write_label_map
from gannotate.project import Project

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bench.faults.standins import CLASSES, SIZE, STUDY, label, make_generator  # noqa: E402

sys.path.remove(str(ROOT))

__all__ = ["BY_FEATURES", "SIZE", "TINY", "Command", "label"]

BY_FEATURES = ("--features", "timm:resnet10t", "--features-weights", "random")
"""For `fit --from real`: the activations of a network with random weights."""

TINY = f"""{STUDY}
expect:
  - {{text: Four are more, better: {{many: 4}}, than: {{many: 2}}}}
"""
"""A study that renders a few pictures, with a claim that holds."""


@pytest.fixture(scope="session")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a generator with random weights that draws grey 16 px pictures."""
    folder = tmp_path_factory.mktemp("made") / "generator"
    make_generator(folder)
    return folder


@pytest.fixture
def project(generator: Path, tmp_path: Path) -> Path:
    """A project with 6 pool pictures and no annotations; left and right are mirrored classes."""
    folder = tmp_path / "project"
    words = ["new", str(folder), "--classes", ",".join(CLASSES), "--swap", "1:2", "--generator", str(generator)]
    assert main([*words, "--quiet", "--json"]) == 0
    assert main(["sample", str(folder), "-n", "6", "--quiet", "--json"]) == 0
    return folder


@pytest.fixture
def annotated(project: Path) -> Path:
    """The project with hand-made annotations of its pool pictures 0 to 3: dark, left half, right half."""
    opened = Project.open(project)
    for seed in range(4):
        picture = np.asarray(Image.open(opened.pool_picture_path(seed)))
        opened.write_annotation(seed, label(picture), "person", {})
    return project


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A folder images/ and masks/ with 4 real pictures, which the tests make up."""
    folder, rng = tmp_path / "labelled", np.random.default_rng(0)
    for name in ("a", "b", "c", "d"):
        picture = rng.integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
        (folder / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / "images" / f"{name}.png")
        write_label_map(folder / "masks" / f"{name}.png", label(picture), make_classes(list(CLASSES)))
    return folder


class Command:
    """Runs a verb with --json, and gives what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: object) -> dict:
        """The result of a command that must succeed; stdout is JSON and nothing else."""
        self.capsys.readouterr()
        code = main([*(str(word) for word in words), "--json", "--quiet"])
        shown = self.capsys.readouterr()
        assert (code, shown.err) == (0, "")
        return json.loads(shown.out)

    def text(self, *words: object) -> str:
        """What a command that must succeed prints for a person."""
        self.capsys.readouterr()
        assert main([str(word) for word in words]) == 0
        return self.capsys.readouterr().out

    def mistake(self, *words: object) -> tuple[int, str]:
        """Exit code and the one sentence of a command that must fail."""
        self.capsys.readouterr()
        code = main([*(str(word) for word in words), "--quiet"])
        shown = self.capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith("gannotate: ")
        assert shown.err.count("\n") == 1, shown.err
        return code, shown.err[len("gannotate: ") : -1]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """See TINY."""
    path = tmp_path / "renders.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """See Command."""
    return Command(capsys)
