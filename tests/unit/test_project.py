"""The project folder: what it holds, what it refuses, and that nothing is ever half written."""

from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path

import numpy as np
import pytest

from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_bytes
from gannotate.project import PoolPicture, Project, RealPicture, is_real
from gannotate.project_config import ClassEntry, GeneratorEntry, MirrorEntry, ProjectConfig, parse_config
from gannotate.record import recorded

NAMES = ("background", "left", "right")
DRAWN = {"psi": 1.0, "cutoff": None, "noise": "const"}


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    folder = tmp_path / "generator"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "checkpoint.safetensors"):
        (folder / name).write_bytes(name.encode())
    return folder


def config(**changes: object) -> ProjectConfig:
    values = {
        "name": "lungs",
        "created": "2025-01-01T00:00:00+00:00",
        "size": 4,
        "image_channels": 1,
        "classes": tuple(ClassEntry(name=name, colour=(i, i, i)) for i, name in enumerate(NAMES)),
        "mirror": MirrorEntry(rule="swap", pairs=(("left", "right"),)),
        "generator": GeneratorEntry(source="x", architecture="stylegan2", sha256="0"),
    }
    return ProjectConfig.model_validate(values | changes)


@pytest.fixture
def project(tmp_path: Path, generator: Path) -> Project:
    return Project.create(tmp_path / "lungs", config(), generator)


def finish(folder: Path) -> None:
    with recorded(folder, "fit", {}, 0):
        pass


def test_what_is_written_reads_back(project: Project):
    opened = Project.open(project.folder)
    assert opened.config == project.config
    assert [item.name for item in opened.classes] == list(NAMES)
    assert opened.mirror.pairs == ((1, 2),)


def test_the_generator_is_copied_without_its_training_state(project: Project):
    assert sorted(path.name for path in project.generator_folder.iterdir()) == ["config.json", "model.safetensors"]


def test_an_existing_folder_is_not_taken(tmp_path: Path, generator: Path, project: Project):
    with pytest.raises(UsageError, match="exists and is not empty; give a new folder"):
        Project.create(project.folder, config(), generator)


def test_a_failed_creation_leaves_nothing(tmp_path: Path, generator: Path, monkeypatch: pytest.MonkeyPatch):
    full_disk(monkeypatch)
    with pytest.raises(GannotateError, match="no space left on the disk"):
        Project.create(tmp_path / "new", config(), generator)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["generator"]


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_full_disk_keeps_the_old_annotation(project: Project, monkeypatch: pytest.MonkeyPatch):
    project.write_annotation(7, np.ones((4, 4), np.uint8), "person", {})
    before = {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}
    full_disk(monkeypatch)
    with pytest.raises(GannotateError, match=r"no space left .* free some space and run the same command again"):
        project.write_annotation(7, np.zeros((4, 4), np.uint8), "simulated", {})
    assert {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("format_version: 3\nsize: 64", "written by a newer gannotate .format 3, this one reads up to 2.; upgrade"),
        ("size: 64", "no format_version; add the line"),
        ("[1, 2]", "holds no fields"),
        ("format_version: {", "is not YAML"),
    ],
)
def test_project_yaml_that_is_not_understood(text: str, sentence: str):
    with pytest.raises(GannotateError, match=sentence) as caught:
        parse_config(text, "project.yaml")
    assert "\n" not in str(caught.value)


def test_unknown_keys_are_errors_with_the_nearest_name():
    text = config().to_yaml()
    with pytest.raises(GannotateError, match="unknown key 'turn_90'; did you mean 'turn90'"):
        parse_config(text.replace("turn90:", "turn_90:"), "project.yaml")
    with pytest.raises(GannotateError, match=r"unknown key 'mirror.pair'; did you mean 'pairs'"):
        parse_config(text.replace("  pairs:", "  pair:"), "project.yaml")


def test_wrong_and_missing_values_name_their_key():
    text = config().to_yaml()
    with pytest.raises(GannotateError, match="'size' is 'big': input should be a valid integer"):
        parse_config(text.replace("size: 4", "size: big"), "project.yaml")
    with pytest.raises(GannotateError, match="the key 'size' is missing"):
        parse_config(text.replace("size: 4\n", ""), "project.yaml")


def test_a_mirror_pair_names_classes_once():
    with pytest.raises(UsageError, match="names 'lefd', which is no class; did you mean 'left'"):
        MirrorEntry(rule="swap", pairs=(("lefd", "right"),)).with_ids(NAMES)
    with pytest.raises(UsageError, match="'left' is in more than one mirror pair"):
        MirrorEntry(rule="swap", pairs=(("left", "right"), ("left", "background"))).with_ids(NAMES)


def test_the_pool_is_kept_by_seed(project: Project):
    project.add_to_pool([(PoolPicture(5, DRAWN), b"five"), (PoolPicture(3, DRAWN), b"three")])
    project.add_to_pool([(PoolPicture(5, DRAWN), b"five again")])
    assert [picture.seed for picture in project.pool()] == [3, 5]
    assert project.pool_picture_path(5).read_bytes() == b"five again"


REAL = RealPicture(name="chest-1", file="chest-1.jpg", sha256="0" * 64, width=9, height=6, left=1, top=0, side_px=6)


def test_real_pictures_have_numbers_that_no_seed_has(project: Project):
    project.add_to_pool([(PoolPicture(5, DRAWN), b"five")])
    first = project.add_real([(REAL, b"one"), (dataclasses.replace(REAL, name="chest-2"), b"two")])
    assert first == [4_000_000_001, 4_000_000_002]
    assert project.add_real([(dataclasses.replace(REAL, name="chest-3"), b"three")]) == [4_000_000_003]
    project.add_to_pool([(PoolPicture(6, DRAWN), b"six")])
    opened = Project.open(project.folder)
    assert [picture.seed for picture in opened.pool()] == [5, 6]
    assert [picture.name for picture in opened.pool("any")] == ["5", "6", "chest-1", "chest-2", "chest-3"]
    assert opened.pool("real")[0] == PoolPicture(first[0], {}, REAL)
    assert opened.pool_picture_path(first[1]).read_bytes() == b"two"
    assert all(is_real(picture.seed) == (picture.real is not None) for picture in opened.pool("any"))
    assert first[-1] < 2**32  # the annotator's and NumPy's limit of a seed


def test_annotations_of_real_pictures_are_asked_for(project: Project):
    (number,) = project.add_real([(REAL, b"one")])
    for seed in (3, number):
        project.write_annotation(seed, np.zeros((4, 4), np.uint8), "person", {})
    assert [one.seed for one in project.annotations()] == [3]
    assert [one.seed for one in project.annotations("real")] == [number]
    assert [one.seed for one in project.annotations("any")] == [3, number]


def test_a_project_of_the_first_format_opens_and_is_raised_by_real_pictures(project: Project):
    text = project.config.to_yaml().replace("format_version: 2", "format_version: 1")
    (project.folder / "project.yaml").write_text(text)
    old_row = '{"seed": 5, "psi": 1.0, "cutoff": null, "noise": "const"}'
    (project.folder / "pool").mkdir()
    (project.folder / "pool" / "pool.jsonl").write_text(old_row + "\n")
    opened = Project.open(project.folder)
    assert opened.pool() == [PoolPicture(5, DRAWN)]
    assert opened.config.format_version == 1
    opened.add_real([(REAL, b"one")])
    again = Project.open(project.folder)
    assert again.config == opened.config
    assert again.config.format_version == 2
    assert len(again.pool("any")) == 2


def test_a_project_of_real_pictures_only(tmp_path: Path):
    project = Project.create(tmp_path / "real", config(generator=None))
    assert Project.open(project.folder).config.generator is None
    with pytest.raises(UsageError, match="has no generator, only real pictures; write their labels with"):
        _ = project.generator_folder
    for kind in ("decoders", "datasets"):  # nothing that could be typed makes one
        with pytest.raises(UsageError, match="has no generator, only real pictures; write their labels with"):
            project.latest(kind)
    with pytest.raises(UsageError, match="no finished segmenter yet; make one with `gannotate train"):
        project.latest("segmenters")
    assert project.more_pictures == f"gannotate sample {project.folder} --pictures DIR"
    with pytest.raises(GannotateError, match="the key 'generator' is missing"):
        parse_config(project.config.to_yaml().replace("format_version: 2", "format_version: 1"), "project.yaml")


def test_a_pool_row_that_lacks_something_is_named(project: Project):
    (project.folder / "pool").mkdir()
    for row, part in (
        ('{"seed": 6, "psi": 1.0}', "lacks 'cutoff' for picture 6"),
        ('{"seed": 4000000001}', "lacks 'name'"),
    ):
        (project.folder / "pool" / "pool.jsonl").write_text(row + "\n")
        with pytest.raises(GannotateError, match=part):
            project.pool("any")


def test_a_torn_pool_list_is_refused(project: Project):
    project.add_to_pool([(PoolPicture(5, DRAWN), b"five")])
    with (project.folder / "pool" / "pool.jsonl").open("a") as file:
        file.write('{"seed": 6, "ps')
    with pytest.raises(GannotateError, match=r"pool.jsonl, line 2 is not JSON"):
        project.pool()


def test_annotations_say_where_they_come_from(project: Project):
    label_map = np.array([[0, 1, 2, 255]] * 4, np.uint8)
    project.write_annotation(7, label_map, "simulated", {"miou": 0.9})
    project.annotation_path(2).write_bytes(project.annotation_path(7).read_bytes())  # put there by hand
    sources = [(one.seed, one.source, one.about) for one in project.annotations()]
    assert sources == [(2, "unknown", {}), (7, "simulated", {"miou": 0.9})]
    assert np.array_equal(project.read_annotation(2), label_map)


def test_annotations_that_cannot_be_used(project: Project):
    with pytest.raises(GannotateError, match=r"unknown class id 3 .16 px.; accepted are 0-2 for the 3 classes"):
        project.write_annotation(1, np.full((4, 4), 3, np.uint8), "person", {})
    with pytest.raises(GannotateError, match=r"is \(8, 8\), this project's are \(4, 4\)"):
        project.write_annotation(1, np.zeros((8, 8), np.uint8), "person", {})
    project.write_annotation(1, np.zeros((4, 4), np.uint8), "person", {})
    project.annotation_path(1).rename(project.folder / "annotations" / "one.png")
    with pytest.raises(GannotateError, match="not named by a picture's seed"):
        project.annotations()


def test_numbered_folders_are_never_taken_twice(project: Project):
    first, second = project.next_folder("decoders", "light"), project.next_folder("decoders", "mlp")
    assert (first.name, second.name) == ("0001-light", "0002-mlp")
    first.rmdir()
    assert project.next_folder("decoders", "light").name == "0003-light"
    assert project.next_folder("datasets").name == "0001"


def test_latest_is_the_newest_finished_one(project: Project):
    with pytest.raises(UsageError, match="no finished decoder yet; make one with `gannotate fit"):
        project.latest("decoders")
    first, second = project.next_folder("decoders", "light"), project.next_folder("decoders", "light")
    finish(first)
    (second / "checkpoint").touch()
    with pytest.raises(RuntimeError), recorded(second, "fit", {}, 0):
        raise RuntimeError
    assert project.latest("decoders") == first
    assert project.unfinished("decoders", "light") == second
    assert project.unfinished("decoders", "mlp") is None
    finish(second)
    assert project.latest("decoders") == second
    assert project.unfinished("decoders", "light") is None


def test_finding_by_name_or_number(project: Project):
    folder = project.next_folder("decoders", "light")
    assert {project.find("decoders", name) for name in ("0001-light", "0001", "1")} == {folder}
    with pytest.raises(UsageError, match="no decoder '0001-ligth'; it has 0001-light; did you mean '0001-light'"):
        project.find("decoders", "0001-ligth")


def test_a_folder_that_is_no_project(tmp_path: Path):
    with pytest.raises(UsageError, match=r"is not a project .no project.yaml.; make one with `gannotate new"):
        Project.open(tmp_path)


def test_numbers_that_another_process_took_meanwhile_are_passed_over(project: Project, monkeypatch: pytest.MonkeyPatch):
    project.next_folder("decoders", "light")
    monkeypatch.setattr(project, "made", lambda kind: [])
    assert project.next_folder("decoders", "light").name == "0002-light"


@pytest.mark.parametrize(("first", "then"), [(None, "simulated"), ("person", "imported"), ("simulated", "person")])
def test_a_map_is_never_said_to_be_somebody_elses(
    project: Project, monkeypatch: pytest.MonkeyPatch, first: str | None, then: str
):
    old, new = np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8)
    if first:
        project.write_annotation(7, old, first, {})
    whole, seen = write_bytes, []

    def watched(path: Path, data: bytes) -> None:
        for written in (False, True):  # what somebody finds when it is killed before and after each file
            if written:
                whole(path, data)
            source = {one.seed: one.source for one in project.annotations()}.get(7)
            told = {"old": first, "new": then}
            label_map = project.read_annotation(7) if source else None
            if label_map is not None:
                seen.append((source, told["new" if label_map.any() else "old"]))

    monkeypatch.setattr("gannotate.project.write_bytes", watched)
    monkeypatch.setattr("gannotate.files.write_bytes", watched)
    project.write_annotation(7, new, then, {})
    assert seen
    assert all(source in (true, "unknown") for source, true in seen)
    assert project.annotations()[0].source == then
