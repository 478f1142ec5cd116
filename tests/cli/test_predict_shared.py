"""`predict` in several processes: a folder that others are just making, and one that one process finishes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gannotate.cli.predict_pictures import Predicted
from gannotate.cli.predict_shared import MANIFEST, Item, asked_of, open_shared, predict_shared
from gannotate.data.sharing import Worker
from gannotate.data.writing import Add
from gannotate.errors import GannotateError, UsageError

ASKED: dict[str, Any] = {"overlays": True}
BATCHES = [[(f"{index}.jpg", f"{index}.png")] for index in range(5)]
PATIENT = {"patience_s": 0.05, "look_s": 0.01}


def label(batch: Sequence[Item], add: Add, progress: Predicted) -> None:
    for name, out in batch:
        if name == "3.jpg":
            progress.skipped[name] = "torn"
        else:
            add(f"masks/{out}", name.encode())
            progress.rows.append({"name": out})


def run(out: Path, number: int = 0, numbers: int = 1, label: Callable[..., None] = label) -> list[Predicted]:
    open_shared(out, ASKED)
    worker = Worker(number=number, numbers=numbers, **PATIENT)
    return list(predict_shared(label, BATCHES, out, worker, ASKED))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_processes_may_begin_in_the_same_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, name_new = tmp_path / "out", "gannotate.files._name_new"
    from gannotate import files as writing

    named = writing._name_new

    def others_begin(part: str, path: Path) -> bool:
        monkeypatch.setattr(name_new, named)
        open_shared(out, ASKED)  # finds what this one is writing, and is faster
        (out / "masks").mkdir()  # and has its first answer
        return named(part, path)

    monkeypatch.setattr(name_new, others_begin)
    open_shared(out, ASKED)
    assert json.loads((out / MANIFEST).read_text())["asked"] == ASKED
    assert sorted(path.name for path in out.iterdir()) == ["masks", MANIFEST]


def test_answers_that_come_between_two_looks_are_no_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, exists = tmp_path / "out", Path.exists
    out.mkdir()

    def others_begin(path: Path, **options: bool) -> bool:
        if path.name == MANIFEST:
            monkeypatch.setattr(Path, "exists", exists)
            found = path.exists()  # not yet
            open_shared(out, ASKED)
            (out / "masks").mkdir()
            return found
        return exists(path, **options)

    monkeypatch.setattr(Path, "exists", others_begin)
    open_shared(out, ASKED)
    (tmp_path / "taken" / "masks").mkdir(parents=True)
    with pytest.raises(UsageError, match="exists and is not an empty folder"):
        open_shared(tmp_path / "taken", ASKED)


def test_one_process_ends_what_several_began(tmp_path: Path) -> None:
    run(tmp_path / "whole", 1, 2)
    last = run(tmp_path / "whole")[-1]
    assert (last.done, last.skipped, len(last.rows)) == (5, {"3.jpg": "torn"}, 4)
    run(tmp_path / "other", 0)
    assert files(tmp_path / "whole") == files(tmp_path / "other")


def test_whoever_finds_all_labelled_ends_it(tmp_path: Path) -> None:
    with pytest.raises(GannotateError, match="2 of 5 parts"):
        run(tmp_path, 0, 2)
    assert run(tmp_path, 1, 2)[-1].steps == 2  # of its own
    found = json.loads((tmp_path / MANIFEST).read_text())
    assert (found["complete"], list(found["skipped"])) == (True, ["3.jpg"])
    assert not (tmp_path / "parts").exists()


def test_what_others_finished_meanwhile_stays(tmp_path: Path) -> None:
    def and_others(batch: Sequence[Item], add: Add, progress: Predicted) -> None:
        label(batch, add, progress)
        if not json.loads((tmp_path / MANIFEST).read_text())["complete"]:
            for number in (2, 1, 0):
                run(tmp_path, number, 3)
        times.update({path: path.stat().st_mtime_ns for path in (tmp_path / "masks").iterdir()})

    times: dict[Path, int] = {}
    run(tmp_path, 1, 2, and_others)
    assert len(times) == 4
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert not (tmp_path / "parts").exists()


def test_what_the_answers_do_not_depend_on_may_differ() -> None:
    told = {"device": "cpu", "out": "a", "seed": 0, "resume": True, "overlays": True}
    other = {**told, "device": "cuda", "out": "b", "seed": 1}
    assert asked_of(told, ["a.png"]) == asked_of(other, ["a.png"])
    assert asked_of(told, ["a.png"]) != asked_of(told, ["b.png"])
    assert asked_of(told, ["a.png"]) != asked_of({**told, "overlays": False}, ["a.png"])


@pytest.mark.parametrize("text", ["{", "[]", '{"asked": {}}', '{"asked": {}, "complete": true}'])
def test_a_damaged_folder_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(GannotateError, match=r"predict.json is damaged .* give another folder"):
        open_shared(tmp_path, ASKED)
