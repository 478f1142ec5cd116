"""Datasets written by several processes that do not speak: the same bytes, whoever dies and comes back."""

from __future__ import annotations

import json
import os
import random
import re
import signal
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import fsspec
import pytest

from gannotate import synthesis
from gannotate.data.manifest import Manifest, part_notes, write_first_manifest
from gannotate.data.shards import read_dataset, write_part
from gannotate.data.sharing import PartNotes, Worker
from gannotate.decoders.light import LightDecoder
from gannotate.errors import GannotateError, UsageError
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.synthesis import DatasetConfig, write_dataset
from gannotate.training.loop import Progress

from .tiny import CLASSES

COUNT = 27

Write = Callable[..., Any]


@pytest.fixture
def write(generator: StyleGAN2, decoder: LightDecoder) -> Write:
    """Writes as process `number` of `numbers`; the first does not wait for long."""

    def start(
        folder: Path | str, number: int = 0, numbers: int = 1, count: int = COUNT, **settings: Any
    ) -> Iterator[Progress]:
        config = DatasetConfig(part=4, **settings)
        worker = Worker(number=number, numbers=numbers, patience_s=0.05, look_s=0.01)
        return write_dataset(folder, generator, decoder, CLASSES, count, config=config, worker=worker)

    return start


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("settings", [{}, {"format": "folder", "keep": 0.75}], ids=["shards", "folder, some left out"])
@pytest.mark.parametrize("numbers", [2, 3, 9])
def test_any_number_of_processes_write_the_same_bytes(
    tmp_path: Path, write: Write, numbers: int, settings: dict[str, Any]
) -> None:
    list(write(tmp_path / "one", **settings))
    for number in reversed(range(numbers)):  # the first one last: it would wait for the others
        list(write(tmp_path / "many", number, numbers, **settings))
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert len(read_dataset(tmp_path / "many", len(CLASSES)).names) == COUNT


def contents_at(address: str) -> dict[str, bytes]:
    system, path = fsspec.core.url_to_fs(address)
    return {found.removeprefix(f"{path}/"): system.cat_file(found) for found in system.find(path)}


@pytest.mark.parametrize("settings", [{}, {"format": "folder", "keep": 0.75}], ids=["shards", "folder, some left out"])
@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_an_address_holds_the_same_bytes(tmp_path: Path, write: Write, kind: str, settings: dict[str, Any]) -> None:
    address = {"memory": f"memory://{tmp_path.name}/cells", "disk": f"dir://cells::file://{tmp_path}"}[kind]
    list(write(tmp_path / "one", **settings))
    list(write(address, 1, 2, **settings))
    if kind == "disk":
        (tmp_path / "cells" / "parts" / "000003.json").unlink()  # its process died before the note
        assert not list(tmp_path.rglob("*.part"))
    with pytest.raises(GannotateError, match="is not finished"):
        read_dataset(address, len(CLASSES))
    list(write(address, 0, 2, **settings)) if kind == "memory" else list(write(address, **settings))
    assert contents_at(address) == contents(tmp_path / "one")
    one, there = (read_dataset(place, len(CLASSES), most=9) for place in (tmp_path / "one", address))
    assert one.names == there.names
    assert (one.pictures == there.pictures).all()
    with pytest.raises(UsageError, match=f"{re.escape(address)} holds a dataset with another soft"):
        list(write(address, soft=False, **settings))


@pytest.mark.parametrize("seed", range(4))
def test_processes_that_die_and_come_back_in_another_number_lose_and_double_nothing(
    tmp_path: Path, write: Write, seed: int
) -> None:
    list(write(tmp_path / "one"))
    chance, many = random.Random(seed), tmp_path / "many"
    for _ in range(12):
        numbers = chance.randint(1, 4)
        running = write(many, chance.randrange(numbers), numbers)
        for _ in range(chance.randint(0, 5)):  # then it is gone
            try:
                next(running, None)
            except GannotateError:
                break
        running.close()
    list(write(many, 1, 2))
    list(write(many, 0, 2))
    assert contents(many) == contents(tmp_path / "one")


@pytest.mark.parametrize("numbers", [1, 2])
def test_what_others_finished_meanwhile_stays(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch, numbers: int
) -> None:
    def others_do_all(*given: Any) -> Any:
        monkeypatch.setattr(synthesis, "_draw_part", draw_part)
        for number in (2, 1, 0):
            list(write(tmp_path, number, 3, format="folder"))
        times.update({path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()})
        return draw_part(*given)

    draw_part, times = synthesis._draw_part, dict[Path, int]()
    older = write(tmp_path, numbers - 1, numbers, format="folder")
    next(older)  # its first part; while it draws the next one all of the dataset is written
    monkeypatch.setattr(synthesis, "_draw_part", others_do_all)
    list(older)
    assert Manifest.read(tmp_path).complete
    assert len(times) > COUNT
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert not (tmp_path / "parts").exists()


def test_a_plain_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    write_part(tmp_path, "folder", 0, [("7", {"png": b"before"})])
    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        write_part(tmp_path, "folder", 0, [("7", {"png": b"after"})])
    assert (tmp_path / "images" / "7.png").read_bytes() == b"before"


def test_killed_processes_leave_nothing_half(tmp_path: Path, write: Write) -> None:
    list(write(tmp_path / "one"))
    chance = random.Random(0)

    def work(number: int, steps: int) -> None:
        running = write(tmp_path / "many", number, 2)
        for _ in range(steps):
            next(running, None)
        os.kill(os.getpid(), signal.SIGKILL)

    for _ in range(3):
        children = [get_context("fork").Process(target=work, args=(n, chance.randint(0, 3))) for n in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join(30)
    list(write(tmp_path / "many"))
    found, expected = contents(tmp_path / "many"), contents(tmp_path / "one")
    assert {name: data for name, data in found.items() if not name.endswith(".part")} == expected


def test_one_process_goes_on_with_what_several_began_and_the_other_way(tmp_path: Path, write: Write) -> None:
    list(write(tmp_path / "one"))
    list(write(tmp_path / "a", 1, 2))
    list(write(tmp_path / "a"))
    running = write(tmp_path / "b")
    while not Manifest.read(tmp_path / "b").parts if (tmp_path / "b").exists() else True:
        next(running)
    running.close()
    for number in (1, 0):
        list(write(tmp_path / "b", number, 2))
    assert contents(tmp_path / "a") == contents(tmp_path / "b") == contents(tmp_path / "one")


@pytest.mark.parametrize("numbers", [1, 2])
def test_a_dataset_whose_manifest_names_parts_already_goes_on(tmp_path: Path, write: Write, numbers: int) -> None:
    """Unfinished datasets of gannotate up to November 2026: a part was named in the manifest when it was written."""
    list(write(tmp_path / "one"))
    whole = Manifest.read(tmp_path / "one")
    Manifest(whole.settings, whole.parts[:3]).write(tmp_path / "old")
    for index in (0, 1, 2):
        (tmp_path / "old" / f"shard-{index:06d}.tar").write_bytes(b"not drawn again")
    with pytest.raises(GannotateError, match=r"is not finished \(12 of 27 samples\)"):
        read_dataset(tmp_path / "old", len(CLASSES))
    dones = [step.done for number in reversed(range(numbers)) for step in write(tmp_path / "old", number, numbers)]
    assert dones == ([16, 20, 24, 27] if numbers == 1 else [8, 12, 12, 15])
    assert Manifest.read(tmp_path / "old") == whole
    assert (tmp_path / "old" / "shard-000002.tar").read_bytes() == b"not drawn again"


def test_a_part_costs_the_same_however_many_there_are(tmp_path: Path, write: Write) -> None:
    running, written = write(tmp_path), list[int]()
    for done, _ in zip(range(6), running, strict=False):
        files = {path: path.stat() for path in tmp_path.rglob("*.json")}
        assert len(files) == 2 + done  # a note each, and what the dataset is, from its beginning
        written.append(files[tmp_path / "manifest.json"].st_size)
    assert len(set(written)) == 1
    assert Manifest.read(tmp_path).samples == 24
    list(running)
    assert [path.name for path in tmp_path.glob("*.json")] == ["manifest.json"]
    assert not (tmp_path / "parts").exists()


def test_only_parts_without_a_gap_before_them_count_for_a_reader(tmp_path: Path, write: Write) -> None:
    list(write(tmp_path, 1, 2))  # parts 1, 3 and 5
    assert Manifest.read(tmp_path).samples == 0
    running = write(tmp_path, 0, 2)
    next(running)
    running.close()
    assert Manifest.read(tmp_path).samples == 8
    assert len(read_dataset(tmp_path, len(CLASSES), most=8).names) == 8


@pytest.mark.parametrize("wrong", [{"first_seed": 0, "samples": 10**30}, {"first_seed": -1, "samples": 4}])
def test_a_note_of_impossible_numbers_is_damage(tmp_path: Path, write: Write, wrong: dict[str, int]) -> None:
    list(write(tmp_path, 1, 2))
    part_notes(tmp_path).add(0, wrong)
    with pytest.raises(GannotateError, match=r"000000.json is damaged .* delete it, and its part is written again"):
        Manifest.read(tmp_path)


def test_the_first_waits_for_the_others_but_not_for_ever(tmp_path: Path, write: Write) -> None:
    with pytest.raises(GannotateError, match=r"3 of 7 parts of .* are missing, .* run the same command again"):
        list(write(tmp_path, 0, 2))
    assert not Manifest.read(tmp_path).complete
    waiting = write(tmp_path, 0, 2)
    assert [next(waiting).done for _ in range(2)] == [15, 15]  # its own are there: it waits
    list(write(tmp_path, 1, 2))
    assert list(waiting) == []
    assert Manifest.read(tmp_path).complete


def test_other_settings_are_refused_in_every_process(tmp_path: Path, write: Write) -> None:
    list(write(tmp_path, 1, 2))
    with pytest.raises(UsageError, match="holds a dataset with another count"):
        list(write(tmp_path, 0, 2, count=COUNT + 1))


def test_a_picture_that_is_missing_where_some_are_left_out_is_noticed(tmp_path: Path, write: Write) -> None:
    list(write(tmp_path, format="folder", keep=0.75))
    pictures = sorted((tmp_path / "images").iterdir())
    (tmp_path / "images" / "0099999999.png").touch()  # of a part that was not finished
    assert len(read_dataset(tmp_path, len(CLASSES)).names) == COUNT
    pictures[5].unlink()
    with pytest.raises(GannotateError, match="has 3 samples of part 1, the manifest says 4"):
        read_dataset(tmp_path, len(CLASSES))


def test_a_damaged_note_is_named(tmp_path: Path, write: Write) -> None:
    list(write(tmp_path, 1, 2))
    (tmp_path / "parts" / "000001.json").write_text("{")
    with pytest.raises(GannotateError, match=r"000001.json is damaged .* delete it, and its part is written again"):
        list(write(tmp_path))
    (tmp_path / "parts" / "000001.json").write_text(json.dumps({"samples": "4"}))
    with pytest.raises(GannotateError, match="samples is no number"):
        PartNotes(tmp_path / "parts", ("samples",)).get(1)


@pytest.mark.parametrize("links", [True, False])
def test_the_manifest_that_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError("no hard links here")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    settings = {"format": "shards", "count": 1, "classes": [], "soft": True}
    assert write_first_manifest(tmp_path, Manifest(settings))
    assert not write_first_manifest(tmp_path, Manifest(settings, complete=True))
    assert not Manifest.read(tmp_path).complete
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
