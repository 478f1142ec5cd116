"""`simulate --region` labels one region of what a segmenter sees; `evaluate --floors` says what place alone tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.cli import simulate as verb
from gannotate.project import Project
from gannotate.segmenters.build import SegmenterConfig

from .conftest import BY_FEATURES, CLASSES, SIZE, Command, label

EMPTY = (2, 5)
"""Pool pictures in which the stand-in sees nothing."""


class Sees:
    """Stands in for a segmenter: what is bright is left or right, but in two of the pool's six pictures."""

    config = SegmenterConfig(classes=len(CLASSES), class_names=CLASSES, image_channels=1, size=SIZE)

    def __init__(self, project: Path) -> None:
        self.empty = [np.asarray(Image.open(Project.open(project).pool_picture_path(seed))) for seed in EMPTY]

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        (picture,) = pictures[..., 0]
        nothing = any(np.array_equal(picture, other) for other in self.empty)
        return (np.zeros_like(picture) if nothing else label(picture))[None]


@pytest.fixture
def two(command: Command, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of background and region with six pool pictures, and the stand-in for its segmenter."""
    folder, network = tmp_path / "two", tmp_path / "network"
    command("new", folder, "--classes", "background,region", "--generator", generator)
    command("sample", folder, "-n", 6)
    network.mkdir()
    (network / "config.json").write_text("{}")
    about = {"segmenter": str(network), "network": "unet", "labels": 9, "label_source": None, "miou": 0.5}
    monkeypatch.setattr(verb, "about_segmenter", lambda _: about)
    monkeypatch.setattr(verb, "load_predictor", lambda *_: Sees(folder))
    return folder


def test_another_region_is_of_another_project(command: Command, two: Path, tmp_path: Path):
    words = ["simulate", two, "--segmenter", tmp_path / "network", "--region"]
    command(*words, "class:left", "-n", 1)
    for more in ((), ("--dry-run",)):
        code, told = command.mistake(*words, "class:right", *more)
        assert code == 2
        assert "has labels of class:left, and its one class would mean class:right on other pictures" in told
    assert command(*words, "class:left")["seeds"] == [1, 3, 4]


def test_pictures_that_show_the_region_are_labelled_with_it(command: Command, two: Path, tmp_path: Path):
    words = ["simulate", two, "--segmenter", tmp_path / "network", "--region", "class:left"]
    plan = command(*words, "--dry-run")
    assert plan["would"] == [f"label 6 pool pictures with {tmp_path / 'network'}, those that show class:left"]
    result = command(*words)
    assert (result["region"], result["seeds"], result["without"]) == ("class:left", [0, 1, 3, 4], list(EMPTY))
    opened = Project.open(two)
    assert [one.seed for one in opened.annotations()] == [0, 1, 3, 4]
    for one in opened.annotations():
        picture = np.asarray(Image.open(opened.pool_picture_path(one.seed)))
        assert np.array_equal(opened.read_annotation(one.seed), label(picture) == 1)
        assert (one.source, one.about["region"], one.about["labels"]) == ("simulated", "class:left", 9)
    told = "class:left is on none of the 2 pool pictures without an annotation; draw more with `gannotate sample"
    code, text = command.mistake(*words)
    assert (code, text.startswith(told)) == (1, True)
    code, text = command.mistake(*words, "-n", 1)
    assert "on none of the first 1 pool picture without an annotation; give a larger -n, or draw more" in text


def test_a_decoder_stands_beside_floors_of_what_it_was_fitted_to(command: Command, two: Path, tmp_path: Path):
    command("simulate", two, "--segmenter", tmp_path / "network", "--region", "class:left")
    command("fit", two, "--shots", 1, "--max-steps", 2)
    scored = command("evaluate", two, "--of", "decoder", "--floors")
    assert (scored["pictures"], scored["labels"]) == (3, 1)
    opened = Project.open(two)
    pool = {one.seed: opened.read_annotation(one.seed) == 1 for one in opened.annotations()}
    floor, alone = scored["floors"]["majority"], command("evaluate", two, "--of", "decoder")
    ious = []
    for seed, learned in pool.items():
        others = [where for other, where in pool.items() if other != seed]
        ious.append(sum((learned & one).sum() for one in others) / sum((learned | one).sum() for one in others))
    assert min(abs(floor["per_class"]["region"] - iou) for iou in ious) < 1e-6
    assert scored["floors"]["pixels"]["labels"] == floor["labels"] == 1
    assert "floors" not in alone
    assert alone["per_class"] == scored["per_class"]


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ("half:eyes", "--region is half:eyes; give class:CLASS, left:CLASS, right:CLASS, star:PAIR:CLASS:NUMBER, e.g."),
        ("class:lef", "--region names the class 'lef', which the segmenter does not tell apart; did you mean 'left'?"),
    ],
)
def test_what_is_no_region_is_told(command: Command, two: Path, tmp_path: Path, region: str, told: str):
    code, text = command.mistake("simulate", two, "--segmenter", tmp_path / "network", "--region", region)
    assert code == 2
    assert text.startswith(told)
    assert not Project.open(two).annotations()


def test_a_region_needs_a_project_of_two_classes(command: Command, two: Path, project: Path, tmp_path: Path):
    words = ["--segmenter", tmp_path / "network", "--region", "class:left"]
    code, text = command.mistake("simulate", project, *words)
    assert code == 2
    assert text.startswith(f"--region labels one region and the background, and {project} has 3 classes (background, ")
    code, text = command.mistake("simulate", two, *words, "--replace")
    assert code == 2
    assert text.startswith("--replace and --region were both given, and a picture that does not show the region would")


def test_floors_are_of_a_decoder_that_was_fitted_to_annotations(command: Command, annotated: Path, labelled: Path):
    for words in (["--test", labelled], ["--of", "decoder", "--test", labelled]):
        code, text = command.mistake("evaluate", annotated, *words, "--floors")
        assert code == 2
        assert text.startswith("--floors makes floors from the annotations that a decoder was fitted to")
    command("fit", annotated, "--from", "real", "--labelled", labelled, *BY_FEATURES, "--max-steps", 1)
    code, text = command.mistake("evaluate", annotated, "--of", "decoder", "--floors")
    assert code == 2
    assert "was not fitted to annotations of this project" in text
