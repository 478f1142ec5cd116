"""Annotations that cannot be read: the picture says so, all others go on, and the file is never lost."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from gannotate.annotate.access import Access
from gannotate.annotate.importing import Importer
from gannotate.annotate.jobs import Jobs
from gannotate.annotate.live import Live
from gannotate.annotate.server import create_app
from gannotate.annotate.store import StaleVersion, Store
from gannotate.cli.annotate import MOST_TOLD
from gannotate.cli.app import main
from gannotate.data.formats.base import ReadOptions
from gannotate.data.formats.build import load_format
from gannotate.data.formats.files import Files
from gannotate.errors import GannotateError
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import IGNORE
from gannotate.project import Project

Truth = Callable[[int], np.ndarray]

HOME = "http://127.0.0.1:8770"
A, B, C = (np.full((16, 16), value, np.uint8) for value in (0, 1, 2))


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


BAD = {
    "is 8x8 px; label maps of this project are 16x16 px": png(np.zeros((8, 8), np.uint8)),
    "a label map has one channel": png(np.zeros((16, 16, 3), np.uint8)),
    "unknown class id 9 (256 px)": png(np.full((16, 16), 9, np.uint8)),
    "not a readable picture": b"junk",
}
KINDS = pytest.mark.parametrize(("words", "data"), BAD.items(), ids=["size", "colour", "class", "junk"])
UNKNOWN, JUNK = BAD["unknown class id 9 (256 px)"], b"junk"


def put_there(project: Project, seed: int, data: bytes) -> Path:
    """What another program, or a person, leaves as a picture's annotation."""
    path = project.annotation_path(seed)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def kept(store: Store, seed: int) -> list[bytes]:
    """The files that could not be read and are kept, oldest first."""
    folder = store.folder / "history" / str(seed)
    return [path.read_bytes() for path in sorted(folder.glob("*.unreadable.png"))]


@pytest.fixture
def page(store: Store, tiny: StyleGAN2) -> Iterator[TestClient]:
    """A client that opened the printed address; its jobs wait until they are cancelled."""
    access = Access("127.0.0.1", 8770)
    jobs = Jobs(runner=(sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit(130)"))
    live = Live(store, tiny)
    client = TestClient(create_app(store, live, access, jobs), base_url=HOME, raise_server_exceptions=False)
    assert client.get(access.address.removeprefix(HOME)).status_code == 200
    yield client
    jobs.stop()


def save(page: TestClient, seed: int, label_map: np.ndarray, base: int):
    headers = {"X-Base-Version": str(base)}
    return page.put(f"/api/pictures/{seed}/labels", content=label_map.tobytes(), headers=headers)


@KINDS
def test_it_is_shown_without_labels_and_with_the_reason(store: Store, words: str, data: bytes):
    path = put_there(store.project, 3, data)
    store.save(1, A, 0)
    assert store.labelled() == {1: 1.0}
    assert list(store.unreadable()) == [3]
    saved = store.look(3)
    assert saved.trouble == store.unreadable()[3]
    assert str(path) in saved.trouble
    assert words in saved.trouble
    assert "label the picture anew (this file is kept in annotations/history)" in saved.trouble
    assert (saved.label_map == IGNORE).all()
    with pytest.raises(GannotateError) as caught:
        store.load(3)
    assert str(caught.value) == saved.trouble
    assert path.read_bytes() == data


@KINDS
@pytest.mark.parametrize("before", [0, 1])
def test_a_map_takes_its_place_and_it_is_kept(store: Store, before: int, words: str, data: bytes):
    if before:
        store.save(3, A, 0)
    put_there(store.project, 3, data)
    base = store.look(3).version
    assert base == before + 1
    assert store.look(3).version == base  # it is kept once
    assert store.save(3, B, base) == base + 1
    assert (store.load(3).label_map == B).all()
    assert kept(store, 3) == [data]
    assert store.history.versions(3) == ([1, 3] if before else [2])
    assert (store.version(3, base + 1) == B).all()
    put_there(store.project, 3, data)  # once more
    assert store.save(3, store.blank, store.look(3).version) == base + 3
    assert (store.load(3).label_map == IGNORE).all()
    assert kept(store, 3) == [data, data]


def test_a_save_from_before_it_is_stale(store: Store):
    store.save(3, A, 0, editor="one")
    path = put_there(store.project, 3, JUNK)
    with pytest.raises(StaleVersion) as caught:
        store.save(3, B, 1, editor="two")
    assert caught.value.current == 2
    assert path.read_bytes() == JUNK


def test_one_that_is_mended_counts_again_and_a_save_over_it_is_stale(store: Store):
    put_there(store.project, 3, JUNK)
    base = store.look(3).version
    store.project.write_annotation(3, B, "simulated", {})
    with pytest.raises(StaleVersion):
        store.save(3, C, base)
    saved = store.load(3)
    assert (saved.version, saved.source) == (base + 1, "simulated")
    assert (saved.label_map == B).all()
    assert (store.labelled(), store.unreadable()) == ({3: 1.0}, {})


def test_one_of_a_class_that_is_added_counts_again(store: Store):
    put_there(store.project, 3, png(np.full((16, 16), 3, np.uint8)))
    assert list(store.unreadable()) == [3]
    base = store.look(3).version
    entries = [*store.project.config.classes, store.project.config.classes[0].model_copy(update={"name": "nose"})]
    store.change_classes(entries, store.classes_version())
    assert store.unreadable() == {}
    assert store.load(3).version == base + 1


def test_one_whose_bytes_cannot_be_had_is_never_written_over(store: Store):
    path = store.project.annotation_path(3)
    path.mkdir(parents=True)
    saved = store.look(3)
    assert (saved.version, saved.trouble) == (
        0,
        f"{path} cannot be read (Is a directory); make it readable, or move it away",
    )
    for write in (lambda: store.save(3, A, 0), lambda: store.put(3, A, "imported", {})):
        with pytest.raises(GannotateError, match="make it readable, or move it away"):
            write()
    assert path.is_dir()
    path.rmdir()
    assert store.save(3, A, 0) == 1


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_save_over_it_that_is_cut_off_anywhere_loses_neither(
    store: Store, call: int, monkeypatch: pytest.MonkeyPatch
):
    path = put_there(store.project, 3, JUNK)
    base, replace, calls = store.look(3).version, os.replace, [0]

    def failing(*arguments: str) -> None:
        calls[0] += 1
        if calls[0] >= call:
            raise OSError(errno.ENOSPC, "no space")
        replace(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing)
        with contextlib.suppress(GannotateError):
            store.save(3, B, base, started="guess")
    saved = Store(Project.open(store.project.folder)).look(3)
    assert kept(store, 3) == [JUNK]
    if call == 1:  # nothing of it was begun
        assert (saved.version, path.read_bytes()) == (base, JUNK)
    else:
        assert (saved.version, saved.source, saved.trouble) == (base + 1, "person", "")
        assert (saved.label_map == B).all()


def test_one_that_comes_after_a_save_that_was_cut_off_stays_and_the_stroke_is_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    store.save(3, A, 0)
    store.history.begin(3, 2, png(B), "saved")
    path = put_there(store.project, 3, JUNK)
    saved = store.look(3)
    assert (saved.version, path.read_bytes(), kept(store, 3)) == (3, JUNK, [JUNK])
    assert saved.trouble
    assert (store.version(3, 2) == B).all()


@KINDS
def test_the_page_goes_on_and_shows_it(page: TestClient, store: Store, words: str, data: bytes):
    store.save(1, A, 0)
    put_there(store.project, 3, data)
    (store.folder / "stray.png").write_bytes(data)  # named by no picture
    pictures = {one["seed"]: one for one in page.get("/api/pictures").json()}
    assert words in pictures[3]["trouble"]
    assert (pictures[3]["labelled"], pictures[3]["source"], pictures[1]["trouble"]) == (0.0, "unknown", "")
    assert pictures[1]["labelled"] == 1.0
    assert page.get("/api/next").json()["seed"] in {0, 2, 3, 4, 5}
    opened = page.get("/api/pictures/3/labels")
    assert (opened.status_code, set(opened.content)) == (200, {IGNORE})
    assert unquote(opened.headers["x-trouble"]) == pictures[3]["trouble"]
    assert page.get("/api/pictures/1/labels").headers["x-trouble"] == ""
    assert page.get("/api/pictures/3/history").json() == {"versions": []}
    base = int(opened.headers["x-version"])
    assert save(page, 3, B, base).json() == {"version": base + 1}
    assert page.get("/api/pictures").json()[3]["trouble"] == ""
    assert kept(store, 3) == [data]


def test_the_model_learns_from_the_others(store: Store, tiny: StyleGAN2, truth: Truth):
    store.save(0, truth(0), 0)
    put_there(store.project, 3, JUNK)
    live = Live(store, tiny)
    live.start()
    assert live.wait()
    assert (live.state.model, live.state.error, live.state.judgement.pictures) == (1, "", 1)
    assert live.next_picture(0) in range(1, 6)
    live.stop()


def test_what_takes_all_labels_is_refused_by_the_files_name(page: TestClient, store: Store):
    store.save(1, A, 0)
    path = put_there(store.project, 3, UNKNOWN)
    orders = [("dataset", {}), ("segmenter", {"source": "labels"})]
    answers = [page.get("/api/export/palette"), *(page.post(f"/api/work/{kind}", json=order) for kind, order in orders)]
    for answer in answers:
        assert answer.status_code == 400
        assert f"{path}: unknown class id 9 (256 px)" in answer.json()["detail"]
        assert "label the picture anew" in answer.json()["detail"]
    assert page.get("/api/work").json()["job"] is None
    assert save(page, 3, B, store.look(3).version).status_code == 200
    with zipfile.ZipFile(io.BytesIO(page.get("/api/export/palette").content)) as archive:
        assert {"masks/1.png", "masks/3.png"} <= set(archive.namelist())


def test_an_import_may_replace_it(store: Store, tmp_path: Path):
    put_there(store.project, 3, JUNK)
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "3.png").write_bytes(png(B))
    kind = load_format("palette")
    entries = kind.read(Files(tmp_path / "masks", kind.single), ReadOptions(classes=store.project.classes))
    with pytest.raises(GannotateError, match="add --replace"):
        Importer(store.project, {}).plan(entries, "masks")
    importer = Importer(store.project, {}, replace=True)
    assert list(importer.carry_out(importer.plan(entries, "masks"), {})) == [3]
    assert (store.load(3).label_map == B).all()
    assert kept(store, 3) == [JUNK]


@pytest.mark.parametrize("json_too", [False, True])
def test_the_command_says_which_cannot_be_read(project: Project, capsys: pytest.CaptureFixture[str], json_too: bool):
    words = ["annotate", str(project.folder), "--dry-run", *(["--json"] if json_too else [])]
    assert main(words) == 0
    assert capsys.readouterr().err == ""
    path = put_there(project, 3, JUNK)
    stray = put_there(project, 5, JUNK).rename(project.folder / "annotations" / "stray.png")
    assert main(words) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith("careful: 2 files in annotations/ cannot be read:\n")
    assert shown.err.count(str(path)) == shown.err.count(str(stray)) == 1
    assert "this file is kept in annotations/history" in shown.err
    if json_too:
        assert json.loads(shown.out)["dry_run"] is True
    assert main([*words, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_the_command_names_a_few_of_many(project: Project, capsys: pytest.CaptureFixture[str]):
    for seed in range(6):
        put_there(project, seed, JUNK)
    assert main(["annotate", str(project.folder), "--dry-run"]) == 0
    told = capsys.readouterr().err
    assert told.count("not a readable picture") == MOST_TOLD == 5
    assert f"1 more; `gannotate doctor {project.folder}` names them all" in told


def test_the_command_says_it_when_it_serves_too(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    path = put_there(project, 3, JUNK)
    monkeypatch.setattr("gannotate.cli.annotate.serve", lambda *_: None)
    assert main(["annotate", str(project.folder), "--no-browser", "--port", "0"]) == 0
    shown = capsys.readouterr()
    assert shown.err.count(str(path)) == 1
    assert "0 of the 6 pool pictures are labelled" in shown.out
