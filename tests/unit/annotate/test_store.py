"""The store: versions, what two tabs may do, other programs' edits, and a disk that fails at any moment."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.annotate.store import StaleVersion, Store, changed_classes
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE, read_label_map, write_label_map
from gannotate.project import Project, RealPicture
from gannotate.project_config import ClassEntry

A, B, C = (np.full((16, 16), value, np.uint8) for value in (0, 1, 2))


def reopened(store: Store) -> Store:
    return Store(Project.open(store.project.folder))


def test_a_picture_without_labels_is_version_0_and_all_ignore(store: Store):
    saved = store.load(3)
    assert (saved.version, saved.source) == (0, "none")
    assert (saved.label_map == IGNORE).all()


def test_saves_are_numbered_and_every_version_reads_back(store: Store):
    assert store.save(3, A, 0) == 1
    assert store.save(3, B, 1) == 2
    assert (store.version(3, 1) == A).all()
    assert (reopened(store).load(3).label_map == B).all()
    (annotation,) = Project.open(store.project.folder).annotations()
    assert (annotation.source, annotation.about["version"]) == ("person", 2)


def test_saving_the_newest_map_again_changes_nothing(store: Store):
    store.save(3, A, 0)
    assert store.save(3, A, 0) == 1
    assert store.history.versions(3) == [1]


def test_a_stale_save_is_refused_and_kept_beside(store: Store):
    store.save(3, A, 0, editor="one")
    with pytest.raises(StaleVersion, match="reload it to go on") as caught:
        store.save(3, B, 0, editor="two")
    assert caught.value.current == 1
    assert (read_label_map(caught.value.recovery, 3) == B).all()
    assert (store.load(3).label_map == A).all()


def test_a_tab_whose_answer_was_lost_may_save_again_but_no_other(store: Store):
    store.save(3, A, 0, editor="one")
    assert store.save(3, B, 0, editor="one") == 2
    with pytest.raises(StaleVersion):
        store.save(3, C, 0, editor="one")  # not from the version that its last save made


@pytest.mark.parametrize(
    ("label_map", "message"),
    [(np.full((16, 16), 3, np.uint8), "unknown class id 3"), (np.zeros((8, 8), np.uint8), "this project's are")],
)
def test_what_is_no_label_map_here_is_refused(store: Store, label_map: np.ndarray, message: str):
    with pytest.raises(GannotateError, match=message):
        store.save(3, label_map, 0)
    assert store.load(3).version == 0


@pytest.mark.parametrize("seed", [99, -1])
def test_only_pictures_of_the_pool_are_saved(store: Store, seed: int):
    with pytest.raises(UsageError, match="the pool has no picture"):
        store.save(seed, A, 0)


def test_another_programs_annotation_becomes_a_version_and_keeps_its_source(store: Store):
    store.save(3, A, 0)
    store.project.write_annotation(3, B, "simulated", {"network": "x"})
    saved = store.load(3)
    assert (saved.version, saved.source) == (2, "simulated")
    assert (store.version(3, 1) == A).all()
    with pytest.raises(StaleVersion):
        store.save(3, C, 1)
    assert (store.load(3).label_map == B).all()


def test_a_png_painted_by_hand_or_deleted_is_a_new_version(store: Store):
    store.save(3, A, 0)
    store.save(3, B, 1)
    write_label_map(store.project.annotation_path(3), A, store.project.classes)
    assert store.load(3).version == 3  # though it equals version 1: the row says that version 2 was whole
    write_label_map(store.project.annotation_path(3), C, store.project.classes)
    edited = store.load(3)
    assert (edited.label_map == C).all()
    store.project.annotation_path(3).unlink()
    assert store.load(3).version == edited.version + 1
    assert (store.load(3).label_map == IGNORE).all()


def real_picture(store: Store) -> int:
    """Adds a real picture to the pool."""
    real = RealPicture(name="r", file="r.png", sha256="0", width=16, height=16, left=0, top=0, side_px=16)
    (number,) = store.project.add_real([(real, b"png")])
    return number


def test_a_real_picture_is_labelled_as_any_other(store: Store):
    number = real_picture(store)
    store.save(3, A, 0)
    assert store.save(number, B, 0) == 1
    store.mark(number, "unsure")
    assert reopened(store).load(number).source == "person"
    assert store.seeds() == [*store.seeds("generated"), number]
    assert (store.labelled("real"), store.labelled("generated")) == ({number: 1.0}, {3: 1.0})
    assert store.labelled() == {3: 1.0, number: 1.0}
    with pytest.raises(UsageError, match="add it with `gannotate sample --pictures DIR`"):
        store.load(number + 1)


def test_a_map_that_is_put_there_is_a_version_and_keeps_its_source(store: Store):
    store.save(3, A, 0)
    assert store.put(3, B, "imported", {"format": "coco"}) == 2
    assert (store.load(3).source, store.load(3).version) == ("imported", 2)
    assert (store.version(3, 1) == A).all()
    assert store.put(3, B, "imported", {"format": "voc"}) == 2  # the same map again is no change
    assert store.put(5, C, "imported", {}) == 1
    with pytest.raises(StaleVersion):
        store.save(3, C, 1)
    with pytest.raises(GannotateError, match="unknown class id 3"):
        store.put(5, np.full((16, 16), 3, np.uint8), "imported", {})
    with pytest.raises(UsageError, match="the pool has no picture"):
        store.put(99, A, "imported", {})


def test_annotations_from_before_are_version_1(store: Store):
    store.project.write_annotation(3, A, "exact", {})
    assert (store.load(3).version, store.load(3).source) == (1, "exact")


def failing_at(call: int, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]) -> None:
    """Lets the replacing of a file fail the given time it is tried, and from then on."""
    replace, calls = os.replace, [0]

    def failing(*arguments: str) -> None:
        calls[0] += 1
        if calls[0] >= call:
            raise kind(errno.ENOSPC, "no space")
        replace(*arguments)

    monkeypatch.setattr(os, "replace", failing)


@pytest.mark.parametrize("call", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("there", ["nothing", "person", "simulated"])
def test_a_save_that_is_cut_off_anywhere_leaves_the_old_map_or_the_new_one(
    store: Store, call: int, there: str, monkeypatch: pytest.MonkeyPatch
):
    if there != "nothing":
        store.project.write_annotation(3, A, there, {})
    before = store.load(3)
    with monkeypatch.context() as failing:
        failing_at(call, failing, OSError)
        if call == 5 and there != "simulated":  # whose row goes first
            store.save(3, B, before.version, started="guess")
        else:
            with pytest.raises(GannotateError, match="no space left"):
                store.save(3, B, before.version, started="guess")
    after = reopened(store)
    saved = after.load(3)
    if call == 1:
        assert (saved.version, saved.source) == (before.version, before.source)
        assert (saved.label_map == before.label_map).all()
    else:
        assert (saved.version, saved.source) == (before.version + 1, "person")
        assert (saved.label_map == B).all()
        assert [row.about["started_from"] for row in after.project.annotations()] == ["guess"]
    assert after.history.versions(3) == list(range(1, saved.version + 1))
    assert saved.version == 0 or (after.version(3, saved.version) == saved.label_map).all()
    assert after.save(3, C, saved.version) == saved.version + 1
    assert after.load(3).source == "person"


@pytest.mark.parametrize("call", [1, 2])
def test_taking_over_another_programs_map_that_is_cut_off_makes_it_nobody_elses(
    store: Store, call: int, monkeypatch: pytest.MonkeyPatch
):
    store.project.write_annotation(3, A, "simulated", {})
    with monkeypatch.context() as failing:
        failing_at(call, failing, OSError)
        with contextlib.suppress(GannotateError):
            store.load(3)
    saved = reopened(store).load(3)
    assert (saved.version, saved.source) == (1, "simulated")


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_tab_whose_save_failed_goes_on_from_where_it_was(store: Store, call: int, monkeypatch: pytest.MonkeyPatch):
    base = store.save(3, A, 0, editor="one")
    with monkeypatch.context() as failing:
        failing_at(call, failing, OSError)
        with pytest.raises(GannotateError, match="no space left"):
            store.save(3, B, base, editor="one")
    assert store.save(3, C, base, editor="one") == base + (1 if call == 1 else 2)
    assert (reopened(store).load(3).label_map == C).all()


def test_what_another_program_writes_over_a_save_that_was_cut_off_comes_after_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    store.save(3, A, 0)
    with monkeypatch.context() as failing:
        failing_at(2, failing, OSError)
        with pytest.raises(GannotateError, match="no space left"):
            store.save(3, B, 1)
    store.project.write_annotation(3, C, "simulated", {})
    saved = reopened(store).load(3)
    assert (saved.version, saved.source) == (3, "simulated")
    assert (saved.label_map == C).all()
    assert (store.version(3, 2) == B).all()  # no stroke is lost


def test_an_older_map_that_another_program_puts_back_is_a_new_version(store: Store):
    store.save(3, A, 0)
    store.save(3, B, 1)
    store.project.write_annotation(3, A, "simulated", {})
    saved = store.load(3)
    assert (saved.version, saved.source) == (3, "simulated")
    assert (saved.label_map == A).all()


def test_old_versions_go_the_newest_stay(store: Store):
    store.history.keep = 3
    for version in range(5):
        store.save(3, (A, B)[version % 2], version)
    assert store.history.versions(3) == [3, 4, 5]
    with pytest.raises(GannotateError, match="kept are 3 to 5"):
        store.version(3, 1)


def test_labelled_follows_every_change_of_the_files(store: Store):
    half = store.blank
    half[:8] = 1
    assert store.labelled() == {}
    store.save(3, half, 0)
    store.project.write_annotation(5, A, "simulated", {})
    assert store.labelled() == {3: 0.5, 5: 1.0}
    store.save(3, store.blank, 1)  # everything taken away again
    store.project.annotation_path(5).unlink()
    assert store.labelled() == {}


def test_marks_are_remembered_and_taken_back(store: Store):
    store.mark(1, "skip")
    store.mark(2, "unsure")
    assert reopened(store).marks() == {1: "skip", 2: "unsure"}
    store.mark(1, None)
    assert reopened(store).marks() == {2: "unsure"}


def entries(*names: str) -> list[ClassEntry]:
    return [ClassEntry(name=name, colour=(1, 2, 3)) for name in names]


def test_classes_are_renamed_recoloured_and_added(store: Store):
    store.change_classes(entries("background", "links", "right", "nose"), store.classes_version())
    opened = Project.open(store.project.folder)
    assert [item.name for item in opened.classes] == ["background", "links", "right", "nose"]
    assert opened.classes[1].colour == (1, 2, 3)
    assert opened.mirror.pairs == ((1, 2),)  # the pair follows the new name
    assert store.save(3, np.full((16, 16), 3, np.uint8), 0) == 1


def test_a_change_of_classes_from_an_old_list_is_refused(store: Store):
    old = store.classes_version()
    store.change_classes(entries("a", "b", "c"), old)
    with pytest.raises(GannotateError, match="changed elsewhere"):
        store.change_classes(entries("d", "e", "f"), old)


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "b"), ("a", "b", " "), tuple(map(str, range(255)))])
def test_classes_that_would_break_label_maps_are_refused(store: Store, names: tuple[str, ...]):
    with pytest.raises(UsageError):
        changed_classes(store.project.config, entries(*names))


Action = tuple[str, int, int]
actions = st.lists(
    st.tuples(st.sampled_from(["save", "stale", "foreign", "open"]), st.integers(0, 2), st.integers(1, 3))
)


@settings(deadline=None, max_examples=15)
@given(steps=actions)
def test_whatever_happens_every_accepted_or_refused_map_is_on_the_disk(
    steps: list[Action], tmp_path_factory: pytest.TempPathFactory, make: Callable[[Path], Store]
):
    folder = tmp_path_factory.mktemp("steps")
    store = make(folder / "project")
    seen: set[bytes] = set()
    for place, (action, value, back) in enumerate(steps):
        label_map = np.full((16, 16), value, np.uint8)
        label_map.flat[place] = IGNORE  # every map is its own
        version = store.load(0).version
        if action == "open":
            store = reopened(store)
            continue
        seen.add(label_map.tobytes())
        if action == "foreign":
            store.project.write_annotation(0, label_map, "simulated", {})
            store.load(0)
        elif action == "save" or version < back:
            assert store.save(0, label_map, version) == version + 1
            assert np.array_equal(store.load(0).label_map, label_map)
        else:
            with pytest.raises(StaleVersion):
                store.save(0, label_map, version - back)
    paths = [*(store.folder / "history" / "0").glob("*.png"), *(store.folder / "recovery").glob("*.png")]
    assert seen <= {read_label_map(path, 3).tobytes() for path in paths}
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def make(generator_folder: Path) -> Callable[[Path], Store]:
    """Makes a store of a project with one pool picture."""
    from gannotate.project import PoolPicture
    from gannotate.project_config import GeneratorEntry, ProjectConfig

    def made(folder: Path) -> Store:
        config = ProjectConfig(
            name="p",
            created="x",
            size=16,
            image_channels=3,
            classes=tuple(entries("a", "b", "c")),
            generator=GeneratorEntry(source="x", architecture="stylegan2", sha256="0"),
        )
        project = Project.create(folder, config, generator_folder)
        project.add_to_pool([(PoolPicture(0, config.draw.model_dump()), b"png")])
        return Store(project)

    return made
