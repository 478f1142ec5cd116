"""`gannotate data` from end to end, real pictures in a project, and projects without a generator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.data.formats.build import FORMATS
from gannotate.data.labelled import read_labelled
from gannotate.labels import IGNORE
from gannotate.project import Project

from .conftest import SIZE, Command

CLASSES = "background,left,right"


def label_maps(project: Path) -> dict[int, list]:
    opened = Project.open(project)
    return {one.seed: opened.read_annotation(one.seed).tolist() for one in opened.annotations("any")}


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("ending", ["", ".zip"])
def test_export_and_import_of_generated_and_real_pictures(
    command: Command, annotated: Path, labelled: Path, tmp_path: Path, name: str, ending: str
):
    command("data", "import", annotated, labelled, "--format", "palette")
    partly = Project.open(annotated)
    half = partly.read_annotation(2)
    half[: SIZE // 2] = IGNORE
    partly.write_annotation(2, half, "person", {})
    before, out = label_maps(annotated), tmp_path / f"out{ending}"
    result = command("data", "export", annotated, "--format", name, "--out", out)
    assert (result["annotations"], result["real"], len(result["notes"])) == (8, 4, int(name == "yolo"))
    for path in (annotated / "annotations").glob("*.png"):
        path.unlink()
    again = command("data", "import", annotated, out, "--format", name)
    assert (again["imported"], again["new_pictures"]) == (8, 0)
    if name == "yolo":
        before[2] = np.where(half == IGNORE, 0, half).tolist()
    assert label_maps(annotated) == before


def test_a_person_reads_what_happened(command: Command, annotated: Path, tmp_path: Path):
    text = command.text("data", "export", annotated, "--format", "palette", "--out", tmp_path / "o")
    assert f"4 annotations (0 of real pictures) in {tmp_path}/o" in text
    assert f"next: gannotate train {annotated} --labelled {tmp_path}/o" in text
    text = command.text("data", "import", annotated, tmp_path / "o", "--format", "palette")
    assert "0 annotations imported, 0 of them with new real pictures; 4 were there already" in text


def test_an_existing_folder_is_not_taken_and_dry_runs_write_nothing(
    command: Command, annotated: Path, labelled: Path, tmp_path: Path
):
    before = sorted(tmp_path.rglob("*"))
    command.text("data", "export", annotated, "--format", "coco", "--out", tmp_path / "o", "--dry-run")
    text = command.text("data", "import", annotated, labelled, "--format", "palette", "--dry-run")
    assert "would add 4 real pictures to the pool" in text
    assert sorted(tmp_path.rglob("*")) == before
    code, text = command.mistake("data", "export", annotated, "--format", "coco", "--out", labelled)
    assert (code, "exists and is not an empty folder" in text) == (2, True)


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--format", "palette", "--map", "left"], "--map 'left' is not OLD=NEW"),
        (["--format", "palette", "--map", "left=nose"], "names 'nose', which is no class of the project"),
        (["--format", "coco"], "should hold one JSON of COCO instances; it has none"),
        (["--format", "tiff"], 'Invalid value "tiff" for --format'),
    ],
)
def test_wrong_words_are_usage(command: Command, annotated: Path, labelled: Path, flags: list[str], part: str):
    code, text = command.mistake("data", "import", annotated, labelled, *flags)
    assert code == 2
    assert part in text


def test_names_of_classes_that_differ_are_mapped(command: Command, annotated: Path, labelled: Path):
    (labelled / "classes.json").write_text('{"classes": {"0": "background", "1": "links", "2": "right"}}')
    code, text = command.mistake("data", "import", annotated, labelled, "--format", "palette")
    assert code == 2
    assert "has classes that the project has not: links (" in text
    command(
        "data", "import", annotated, labelled, "--format", "palette", "--map", "links=left", "--map", "right=ignore"
    )
    opened = Project.open(annotated)
    seed = opened.annotations("real")[0].seed
    assert set(np.unique(opened.read_annotation(seed))) == {0, 1, IGNORE}


def test_a_project_of_real_pictures_from_pictures_to_a_segmenter(command: Command, labelled: Path, tmp_path: Path):
    project, out = tmp_path / "real", tmp_path / "out"
    result = command("new", project, "--classes", CLASSES, "--pictures", labelled, "--swap", "1:2")
    assert (result["real_pictures"], result["generator"], result["size"], result["image_channels"]) == (
        4,
        None,
        SIZE,
        1,
    )
    assert [one.name for one in Project.open(project).pool("real")] == ["a", "b", "c", "d"]
    assert command("data", "import", project, labelled, "--format", "palette")["new_pictures"] == 0
    command("data", "export", project, "--only", "real", "--format", "folder", "--out", out)
    assert len(read_labelled(out, 3)) == 4
    words = ["--labelled", out, "--depth", 3, "--max-steps", 1, "--batch", 2]
    assert command("train", project, *words)["labels"] == 4
    code, text = command.mistake("sample", project, "-n", 2)
    assert (code, "has no generator, only real pictures" in text) == (2, True)


def test_real_pictures_beside_generated_ones(command: Command, annotated: Path, labelled: Path):
    result = command("sample", annotated, "--pictures", labelled, "-n", 2, "--seed", 1)
    assert (result["pool"], len(result["seeds"])) == (8, 2)
    assert command("sample", annotated, "-n", 1)["seeds"] == [6]  # goes on after the last seed, not after the real ones
    assert len(command("sample", annotated, "--pictures", labelled)["seeds"]) == 2  # the other two
    code, text = command.mistake("sample", annotated, "--pictures", labelled)
    assert code == 1
    assert "of 4 pictures in" in text
    assert text.endswith("is in the pool already")


def test_real_pictures_that_are_not_square(command: Command, tmp_path: Path):
    folder = tmp_path / "wide"
    folder.mkdir()
    Image.fromarray(np.arange(200, dtype=np.uint8).reshape(10, 20)).save(folder / "a.png")
    words = ["new", tmp_path / "p", "--classes", "bg,a", "--pictures", folder]
    code, text = command.mistake(*words)
    assert (code, "add --crop" in text) == (2, True)
    assert command(*words, "--crop", "--size", 8)["size"] == 8
    with Image.open(Project.open(tmp_path / "p").pool_picture_path(4_000_000_001)) as image:
        assert image.size == (8, 8)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (
            ["new", "P", "--classes", "bg,a"],
            "needs --generator DIR (from `gannotate train-generator`) or --pictures DIR",
        ),
        (
            ["new", "P", "--classes", "bg,a", "--generator", "G", "--size", "8"],
            "--size and --generator were both given",
        ),
        (["new", "P", "--classes", "bg,a", "--pictures", "L", "--psi", "1"], "--psi says how a generator draws"),
        (["new", "P", "--classes", "bg,a", "--pictures", "L", "--cutoff", "3"], "--cutoff says how a generator draws"),
        (["new", "P", "--classes", "bg,a", "--pictures", "L", "--noise", "none"], "--noise says how a generator draws"),
        (["sample", "A", "--crop"], "--crop cuts real pictures"),
        (["sample", "A", "--pictures", "L", "--order", "diverse"], "choose drawn pictures; leave them out with"),
        (["sample", "A", "--pictures", "L", "-n", "5"], "has 4 pictures, give 1 to that many"),
        (["sample", "A", "--first-seed", "-5", "--dry-run"], "--first-seed is -5; give 0 or more"),
        (["render", "portraits", "--out", "P", "--first-seed", "-5"], "--first-seed is -5; give 0 or more"),
        (["synthesize", "A", "-n", "2", "--first-seed", "-5"], "--first-seed is -5; give 0 or more"),
        (
            ["sample", "A", "--first-seed", "4000000000", "-n", "2"],
            "seeds end at 4000000000, the numbers above are real",
        ),
    ],
)
def test_what_contradicts_itself_is_usage(
    command: Command, annotated: Path, labelled: Path, tmp_path: Path, generator: Path, words: list[str], part: str
):
    places = {"P": tmp_path / "new", "A": annotated, "L": labelled, "G": generator}
    code, text = command.mistake(*(places.get(word, word) for word in words))
    assert code == 2
    assert part in text
