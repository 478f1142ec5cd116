"""Commands that were killed in a bad moment, and two at once: typed again they end as if nothing had happened."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gannotate.cli import new as new_verb
from gannotate.cli import synthesize as synthesize_verb
from gannotate.cli import train as train_verb
from gannotate.cli.app import main
from gannotate.locks import take
from gannotate.project import Project
from gannotate.record import read_record

from .conftest import Command

TINY = ["--encoder", "tu-resnet10t", "--depth", 3, "--batch", 2, "--max-steps", 2]


@pytest.fixture
def somebody(tmp_path: Path) -> Iterator[list[int]]:
    """Open folders whose locks are held as another process would hold them."""
    handles: list[int] = []
    yield handles
    for handle in handles:
        os.close(handle)


def hold(folder: Path, handles: list[int]) -> None:
    handles.append(os.open(folder, os.O_RDONLY))
    assert take(handles[-1])


def killed(*_: object, **__: object) -> None:
    raise RuntimeError("killed")


def test_a_run_that_was_killed_before_it_began_is_begun(command: Command, annotated: Path):
    (annotated / "decoders" / "0001-light").mkdir(parents=True)
    code, text = command.mistake("synthesize", annotated, "-n", 4)
    assert (code, "has no finished decoder yet" in text) == (2, True)
    assert Path(command("fit", annotated, "--max-steps", 2)["decoder"]).name == "0001-light"


def test_two_do_not_work_in_one_run_folder(command: Command, annotated: Path, somebody: list[int]):
    folder = Path(command("fit", annotated, "--max-steps", 2)["decoder"])
    record = read_record(folder)
    assert record is not None
    (folder / "run.json").write_text(json.dumps(record | {"status": "running"}))
    hold(folder, somebody)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code, text = command.mistake("fit", annotated, "--max-steps", 2)
    assert code == 1
    assert text.startswith(f"another process is at work in {folder} (fit, since {record['started']}); wait for its end")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert Path(command("fit", annotated, "--max-steps", 2, "--no-resume")["decoder"]).name == "0002-light"


def test_train_asks_for_the_run_before_it_reads_anything(
    command: Command,
    annotated: Path,
    labelled: Path,
    somebody: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    words = ("train", annotated, "--labelled", labelled, *TINY)
    folder = Path(command(*words)["segmenter"])
    record = read_record(folder)
    assert record is not None
    (folder / "run.json").write_text(json.dumps(record | {"status": "running"}))
    hold(folder, somebody)
    monkeypatch.setattr(train_verb, "read_origin", killed)
    capsys.readouterr()
    assert main([str(word) for word in words]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"gannotate: another process is at work in {folder} (train, since")
    assert "going on with" not in said


def test_a_checkpoint_that_was_not_dropped_goes_with_the_next_run(command: Command, annotated: Path):
    left = Path(command("fit", annotated, "--max-steps", 2)["decoder"]) / "checkpoint.safetensors"
    left.touch()
    command("fit", annotated, "--max-steps", 3)
    assert not left.exists()


def test_a_dataset_is_done_when_its_card_is_written(command: Command, annotated: Path, monkeypatch: pytest.MonkeyPatch):
    command("fit", annotated, "--max-steps", 2)
    with monkeypatch.context() as patch:
        patch.setattr(synthesize_verb, "write_dataset_card", killed)
        assert main(["synthesize", str(annotated), "-n", "4", "--quiet"]) == 1
    assert Path(command("synthesize", annotated, "-n", 4)["dataset"]).name == "0001"
    assert (annotated / "datasets" / "0001" / "croissant.json").exists()


def test_an_evaluation_that_was_killed_leaves_nothing(
    command: Command, project: Path, labelled: Path, somebody: list[int]
):
    command("train", project, "--labelled", labelled, *TINY)
    for name in ("0001-evaluate", "0002-evaluate"):
        (project / "runs" / name).mkdir(parents=True)
    hold(project / "runs" / "0002-evaluate", somebody)  # this one is at work
    assert Path(command("evaluate", project, "--test", labelled)["run"]).name == "0003-evaluate"
    assert sorted(path.name for path in (project / "runs").iterdir()) == ["0002-evaluate", "0003-evaluate"]


def test_a_new_project_has_its_pictures_or_is_not_there(
    command: Command, labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    words = ("new", tmp_path / "new", "--classes", "background,left", "--pictures", labelled / "images")
    with monkeypatch.context() as patch:
        patch.setattr(new_verb, "add_pictures", killed)
        assert main([*map(str, words), "--quiet"]) == 1
    assert not (tmp_path / "new").exists()
    assert command(*words)["real_pictures"] == 4
    assert Project.open(tmp_path / "new").config.format_version > 1
    assert len(Project.open(tmp_path / "new").pool("real")) == 4


@pytest.mark.parametrize("verb", ["sample", "simulate", "import"])
def test_one_command_at_a_time_changes_a_pool(
    command: Command, project: Path, labelled: Path, somebody: list[int], verb: str
):
    words: dict[str, tuple[object, ...]] = {
        "sample": ("sample", project, "-n", 2),
        "simulate": ("simulate", project, "--segmenter", 1),
        "import": ("data", "import", project, labelled, "--format", "palette"),
    }
    if verb == "simulate":
        command("train", project, "--labelled", labelled, *TINY)
    hold(project, somebody)
    before = sorted(path for path in project.rglob("*"))
    code, text = command.mistake(*words[verb])
    assert code == 1
    assert text.startswith(f"another command is changing the pictures of {project}; wait for its end")
    assert sorted(path for path in project.rglob("*")) == before
    command.text(*words[verb], "--dry-run")
    os.close(somebody.pop())
    command(*words[verb])


def test_an_encoder_is_trained_by_one(command: Command, generator: Path, labelled: Path, tmp_path: Path, somebody):
    encoder = tmp_path / "encoder"
    words = ("invert", labelled, "--generator", generator, "--steps", 1, "--encoder", encoder, "--encoder-steps", 2)
    encoder.mkdir()
    hold(encoder, somebody)
    code, text = command.mistake(*words, "--out", tmp_path / "one")
    assert (code, text) == (1, f"another process trains the encoder in {encoder}; wait for its end")
    os.close(somebody.pop())
    command(*words, "--out", tmp_path / "one")
    (encoder / "checkpoint.safetensors").touch()  # it was killed at its very end
    command(*words, "--out", tmp_path / "two")
    assert not (encoder / "checkpoint.safetensors").exists()


def test_a_run_goes_on_when_it_is_given_more_minutes(
    command: Command, annotated: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["fit", annotated, "--max-steps", 2]
    run = Path(command(*words, "--minutes", 10)["decoder"])
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"status": "running"}))  # as it was when it was killed
    assert Path(command(*words, "--minutes", 20)["decoder"]) == run
    assert "starting anew" not in capsys.readouterr().err
