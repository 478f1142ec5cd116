"""Label maps onto a pool: by name and by look, classes by name, all or nothing, and nothing lost."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gannotate.annotate.exporting import choose, export
from gannotate.annotate.importing import Importer, Plan, parse_map
from gannotate.annotate.store import Store
from gannotate.data.formats.base import Entry, Labels
from gannotate.data.formats.build import load_format
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE
from gannotate.project import Project

A, B = (np.full((16, 16), value, np.uint8) for value in (1, 2))

NAMES = ("background", "left", "right")


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def entry(
    name: str, label_map: np.ndarray, classes: tuple[str, ...] = NAMES, picture: np.ndarray | None = None
) -> Entry:
    data = None if picture is None else png(picture)
    return Entry(name, lambda: Labels(label_map, classes), None if data is None else lambda: data)


def plan(project: Project, *entries: Entry, mapping: Mapping[str, str] | None = None, **how: bool) -> Plan:
    return Importer(project, mapping or {}, **how).plan(entries, "SET")


def bring(project: Project, *entries: Entry, mapping: Mapping[str, str] | None = None, **how: bool) -> list[int]:
    importer = Importer(project, mapping or {}, **how)
    return list(importer.carry_out(importer.plan(entries, "SET"), {"format": "coco", "from": "SET"}))


def noise(seed: int, height: int = 16, width: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_pool_pictures_are_found_by_their_seed(project: Project):
    assert bring(project, entry("3", A), entry("0004", B)) == [3, 4]
    opened = Project.open(project.folder)
    assert np.array_equal(opened.read_annotation(4), B)
    assert [(one.source, one.about) for one in opened.annotations()] == [
        ("imported", {"format": "coco", "from": "SET"})
    ] * 2


def test_a_number_beside_another_picture_is_no_seed(project: Project, drawn: dict):
    assert bring(project, entry("3", A, picture=drawn[3][0])) == [3]
    (number,) = bring(project, entry("3", B, picture=noise(0)))
    (real,) = Project.open(project.folder).pool("real")
    assert (number, real.name) == (4_000_000_001, "real-3")
    assert np.array_equal(project.read_annotation(3), A)
    assert np.array_equal(project.read_annotation(number), B)
    with Image.open(project.pool_picture_path(number)) as image:
        assert np.array_equal(np.asarray(image), noise(0))


def test_a_jpeg_of_a_pool_picture_is_that_picture(project: Project, drawn: dict):
    buffer = io.BytesIO()
    Image.fromarray(drawn[3][0]).save(buffer, "JPEG", quality=95, subsampling=0)
    found = Entry("3", lambda: Labels(A, NAMES), buffer.getvalue)
    assert bring(project, found) == [3]


def test_the_same_import_again_changes_nothing(project: Project):
    entries = (entry("3", A), entry("x", B, picture=noise(0)), entry("x", A, picture=noise(1)))
    assert len(bring(project, *entries)) == 3
    before = {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}
    again = plan(Project.open(project.folder), *entries)
    assert (again.taken, again.same) == ((), 3)
    assert bring(Project.open(project.folder), *entries) == []
    assert {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()} == before
    assert [one.name for one in Project.open(project.folder).pool("real")] == ["x", "x-2"]


def test_labels_are_replaced_only_when_asked_and_stay_in_the_history(project: Project):
    store = Store(project)
    store.save(3, A, 0)
    with pytest.raises(UsageError, match=r"1 of the 1 pictures have other labels already \(3\); add --replace"):
        bring(project, entry("3", B))
    assert bring(project, entry("3", B), replace=True) == [3]
    assert np.array_equal(store.load(3).label_map, B)
    assert np.array_equal(store.version(3, 1), A)


def test_classes_go_by_name_and_by_map(project: Project):
    label_map = np.arange(256, dtype=np.uint8).reshape(16, 16) % 6
    label_map[0] = IGNORE
    names = ("right", "hat", "background", "2", "ignore", "beard")
    mapping = {"hat": "left", "beard": "ignore"}
    bring(project, entry("3", label_map, names), mapping=mapping)
    table = np.full(256, IGNORE, np.uint8)
    table[:4] = 2, 1, 0, 2
    assert np.array_equal(project.read_annotation(3), table[label_map])


def test_unknown_classes_are_counted_over_all_masks(project: Project):
    first, second = B.copy(), B.copy()
    first[:2] = 0
    second[:1] = 1
    with pytest.raises(UsageError) as caught:
        bring(project, entry("3", first, ("hat", "x", "left")), entry("4", second, ("hat", "shoe", "left")))
    assert str(caught.value) == (
        "SET has classes that the project has not: hat (32 px in 1 of 2 masks), shoe (16 px in 1 of 2 masks); add "
        "--map hat=CLASS or --map hat=ignore for each, the project's classes are background, left, right"
    )
    assert project.annotations() == []


def test_one_mask_that_does_not_fit_stops_everything(project: Project):
    wide = np.zeros((16, 20), np.uint8)
    with pytest.raises(GannotateError) as caught:
        bring(project, entry("3", A), entry("4", wide), entry("99", A), entry("y", A, picture=noise(0, 16, 20)))
    assert str(caught.value) == (
        "nothing of SET was imported: the mask of 4 is 20x16 px, its picture 16x16; give a mask of the picture's own "
        "size (2 more cannot be used)"
    )
    assert project.annotations("any") == []
    with pytest.raises(GannotateError, match="99 fits no picture of the pool by its name, and has no picture beside"):
        bring(project, entry("99", A))
    with pytest.raises(GannotateError, match="has a picture that is 20x16 px, not square; add --crop"):
        bring(project, entry("y", A, picture=noise(0, 16, 20)))
    with pytest.raises(GannotateError, match="the mask of 3 has 2 label maps"):
        bring(project, entry("3", A), entry("03", A))


def test_a_real_picture_and_its_mask_are_cut_alike_now_and_later(project: Project):
    label_map = np.zeros((16, 20), np.uint8)
    label_map[:, 10:] = 1
    (number,) = bring(project, entry("y", label_map, picture=noise(0, 16, 20)), crop=True)
    assert np.array_equal(project.read_annotation(number), label_map[:, 2:18])
    later = 1 - label_map  # without its picture, of the picture's own size
    assert bring(Project.open(project.folder), entry("y", later), replace=True) == [number]
    assert np.array_equal(project.read_annotation(number), later[:, 2:18])


def test_an_import_that_is_cut_off_is_finished_by_the_same_one(project: Project, monkeypatch: pytest.MonkeyPatch):
    entries = [entry(name, A, picture=noise(place)) for place, name in enumerate("xyz")]
    importer = Importer(project, {})
    running = importer.carry_out(importer.plan(entries, "SET"), {})
    assert [next(running), next(running)] == [4_000_000_001, 4_000_000_002]
    opened = Project.open(project.folder)
    assert (len(opened.pool("real")), len(opened.annotations("real"))) == (3, 2)
    assert len(bring(opened, *entries)) == 1
    assert len(Project.open(project.folder).annotations("real")) == 3


def test_what_map_says_is_checked(project: Project):
    assert parse_map(["a=b", "x=y=left", "#FF8800=right"]) == {"a": "b", "x=y": "left", "ff8800": "right"}
    for word in ("a", "=b", "a="):
        with pytest.raises(UsageError, match="is not OLD=NEW"):
            parse_map([word])
    with pytest.raises(UsageError, match=r"'lefd', which is no class of the project; they are .* did you mean 'left'"):
        Importer(project, {"a": "lefd"})
    assert plan(project, entry("3", A), mapping={"hat": "left"}).notes == ("no mask has what --map calls hat",)


def test_a_mask_without_any_label_is_left_out(project: Project):
    empty = np.full((16, 16), IGNORE, np.uint8)
    found = plan(project, entry("3", A), entry("4", empty), entry("new", empty, picture=noise(0)))
    assert len(found.taken) == 1
    assert found.notes == ("left out, as no pixel is labelled: 4, new (2 in all)",)
    assert bring(project, entry("3", A), entry("4", empty), entry("new", empty, picture=noise(0))) == [3]
    opened = Project.open(project.folder)
    assert [one.seed for one in opened.annotations()] == [3]
    assert not opened.pool("real")  # nor is its picture added


def test_export_chooses_and_leaves_out_what_has_no_picture(project: Project, tmp_path: Path):
    with pytest.raises(UsageError, match="has no annotations of real pictures to export"):
        choose(project, "real")
    Store(project).save(3, A, 0)
    bring(project, entry("4", B), entry("x", B, picture=noise(0)))
    assert [one.seed for _, one in choose(project, "real").pairs] == [4_000_000_001]
    assert [one.seed for _, one in choose(project, "any", ["person"]).pairs] == [3]
    project.pool_picture_path(4).unlink()
    chosen = choose(project)
    assert ([one.seed for _, one in chosen.pairs], chosen.without) == ([3, 4_000_000_001], (4,))
    project.pool_picture_path(3).write_bytes(b"torn")
    with pytest.raises(GannotateError, match="cannot be read"):
        export(project, chosen, load_format("coco"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == [project.folder.name]
