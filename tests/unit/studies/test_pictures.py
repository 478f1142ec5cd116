"""Pictures that a study's commands drew: beside its table and on its page, and nothing from outside its folder."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_json
from gannotate.report.study import study_page
from gannotate.studies import Outcomes, Plan, add_known, outcomes_so_far, write_study
from gannotate.studies import pictures as pictures_module
from gannotate.studies.pictures import NAME, ShownPicture, picture_bytes, png_bytes
from gannotate.studies.reading import read_study

from .conftest import STUDY, Bench

DRAWN = STUDY.replace("plots:", 'pictures:\n  - {from: "{base.word}/drawn.png", title: "A [drawn] <square>"}\nplots:')


def png(side: int = 4, kind: str = "PNG") -> bytes:
    """A grey square."""
    out = io.BytesIO()
    Image.new("L", (side, side), 128).save(out, kind)
    return out.getvalue()


Write = Callable[..., tuple[Plan, Path, dict[str, Any]]]


@pytest.fixture
def written(bench: Bench) -> Write:
    """Runs the study, lets its base leave `data` where its result is made to say, and writes it."""

    def write(data: bytes | None = None, told: str = "", study: str = DRAWN, **choice: Any) -> Any:
        plan = bench.plan(study, **({"seeds": 1} | choice))
        outcomes, _ = bench.run(plan)
        for name, cell in plan.cells.items():
            if cell.step == "base":
                place = bench.how.folder / "cells" / name
                result = json.loads((place / "result.json").read_text())
                write_json(place / "result.json", result | {"word": told or f"cells/{name}"})
                if data is not None:
                    (place / "drawn.png").write_bytes(data)
        outcomes = outcomes_so_far(plan, bench.how)
        content = write_study(bench.how.folder, plan, outcomes, "gannotate study run sums", 1.0)
        return plan, bench.how.folder / plan.called, content

    return write


def test_a_picture_stands_beside_the_table_and_in_the_page(written: Write):
    _, folder, content = written(png())
    assert (folder / "picture.png").read_bytes() == png()
    (one,) = content["pictures"]
    assert (one["file"], one["of"], one["missing"]) == ("picture.png", "word/drawn.png", "")
    assert "\n![A (drawn) <square>, Grounds](picture.png)\n" in (folder / "table.md").read_text()
    page = study_page(read_study(folder))
    shown = re.search(r'<img alt="([^"]*)" src="data:image/png;base64,([^"]*)">', page)
    assert shown is not None
    assert shown[1] == "A [drawn] &lt;square&gt;, Grounds"
    assert base64.b64decode(shown[2]) == png()


@pytest.mark.parametrize(
    ("data", "told", "why"),
    [
        (None, "", "drawn.png is not in the folder of base"),
        (b"no picture", "", "not a whole picture"),
        (png(kind="JPEG"), "", "drawn.png is a JPEG, and no PNG"),
        (png(), "..", "<base.word>/drawn.png is outside the folder of its cell"),
        (png(), "/etc/", "<base.word>/drawn.png is outside the folder of its cell"),
        (png(), "cells", "<base.word>/drawn.png is outside the folder of its cell"),
        (png(), "a\0b", "<base.word>/drawn.png is no name of a file"),
    ],
    ids=["none", "text", "JPEG", "above", "absolute", "another folder", "no name"],
)
def test_what_is_no_picture_of_the_cell_is_said(written: Write, data: bytes | None, told: str, why: str):
    _, folder, content = written(data, told)
    (one,) = content["pictures"]
    assert one["file"] == ""
    assert why in one["missing"]
    assert not (folder / "picture.png").exists()
    assert f"No picture, A (drawn) <square>: {one['missing']}." in (folder / "table.md").read_text()
    assert "No picture, A [drawn] &lt;square&gt;: " in study_page(read_study(folder))


def test_a_link_out_of_the_cell_is_not_followed(written: Write, bench: Bench, tmp_path: Path):
    written(png())
    (place,) = {path.parent for path in bench.how.folder.glob("cells/*/drawn.png")}
    (tmp_path / "secret.png").write_bytes(png(9))
    (place / "drawn.png").unlink()
    (place / "drawn.png").symlink_to(tmp_path / "secret.png")
    _, _, content = written()
    assert content["pictures"][0]["missing"] == "<base.word>/drawn.png is outside the folder of its cell"


def test_what_was_not_run_has_no_picture(bench: Bench):
    plan = bench.plan(DRAWN, seeds=1)
    content = write_study(bench.how.folder, plan, Outcomes({}), "gannotate study run sums", 1.0)
    assert content["pictures"][0]["missing"] == "base was not run"


def test_pictures_of_several_cells_are_told_apart(written: Write):
    each = DRAWN.replace("base: make --value 10", "base: make --value {n}")
    _, folder, content = written(png(), study=each, seeds=2)
    assert [(one["file"], one["title"], one["seed"]) for one in content["pictures"]] == [
        ("picture-1.png", "A [drawn] <square>: numbers 1", 0),
        ("picture-2.png", "A [drawn] <square>: numbers 2", 0),
    ]
    assert study_page(read_study(folder)).count("<span>seed 0</span>") == 2


def test_a_picture_that_is_no_more_is_removed_and_what_is_somebodys_stays(written: Write, bench: Bench):
    plan, folder, _ = written(png())
    (folder / "notes.png").write_bytes(png())
    (folder / "plot-7.svg").write_text("of a study that had seven plots")
    (drawn,) = bench.how.folder.rglob("drawn.png")
    drawn.unlink()
    content = write_study(bench.how.folder, plan, outcomes_so_far(plan, bench.how), "gannotate study run sums", 1.0)
    assert content["pictures"][0]["missing"] == "drawn.png is not in the folder of base"
    figures = {path.name for path in folder.iterdir() if path.suffix in (".png", ".svg")}
    assert figures == {"plot.svg", "plot.png", "notes.png"}


@pytest.mark.parametrize("told", [{"seed": "<script>alert(1)</script>"}, {"title": ["<b>"]}, {"missing": 1}])
def test_a_foreign_study_json_puts_nothing_but_text_on_the_page(written: Write, told: dict[str, Any]):
    _, folder, content = written(png())
    write_json(folder / "study.json", content | {"pictures": [content["pictures"][0] | told]})
    with pytest.raises(GannotateError, match=r"study\.json is damaged \(a picture's seed is no whole number"):
        read_study(folder)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/b.png", ".png", "picture.svg", "..", "a\n.png"])
def test_a_foreign_study_json_names_nothing_outside_its_folder(written: Write, name: str):
    _, folder, content = written(png())
    (folder.parent / "secret.png").write_bytes(png())
    assert not NAME.fullmatch(name)
    write_json(folder / "study.json", content | {"pictures": [content["pictures"][0] | {"file": name}]})
    with pytest.raises(GannotateError, match=r"study\.json is damaged \(the picture .* is no name of a PNG beside it"):
        read_study(folder)


def test_a_foreign_folder_is_read_through_no_link_and_only_as_a_png(
    written: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _, folder, content = written(png())
    shown = ShownPicture(**content["pictures"][0])
    assert picture_bytes(folder, shown) == png()
    monkeypatch.setattr(pictures_module, "MOST_BYTES", len(png()) - 1)
    with pytest.raises(GannotateError, match="has more than"):
        png_bytes(folder / "picture.png")
    monkeypatch.undo()
    (tmp_path / "secret.png").write_bytes(png())
    (folder / "picture.png").unlink()
    assert picture_bytes(folder, shown) is None
    (folder / "picture.png").symlink_to(tmp_path / "secret.png")
    assert picture_bytes(folder, shown) is None
    assert "picture.png is not beside study.json, or is no PNG" in study_page(read_study(folder))
    write_json(folder / "study.json", content | {"pictures": 3})
    with pytest.raises(GannotateError, match="is damaged"):
        read_study(folder)


def test_a_known_picture_is_taken_with_its_figures(written: Write, bench: Bench, tmp_path: Path):
    plan, folder, _ = written(png())
    outcomes = outcomes_so_far(plan, how := replace(bench.how, folder=tmp_path / "here"))
    add_known(plan, outcomes, read_study(folder))
    content = write_study(how.folder, plan, outcomes, "gannotate study run sums", 1.0)
    assert (how.folder / plan.called / content["pictures"][0]["file"]).read_bytes() == png()
    outcomes.pictures.clear()
    lost = write_study(how.folder, plan, outcomes, "gannotate study run sums", 1.0)
    assert lost["pictures"][0]["missing"] == "base ran elsewhere, and its files are not here"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("drawn.png", "is no file of a step"),
        ("{n}/drawn.png", "is no file of a step"),
        ("a/{base.word}", "is no file of a step"),
        ("{base.word}drawn.png", "is no file of a step"),
        ("{other.word}/drawn.png", "is of the step other, which no measure is read from"),
    ],
)
def test_a_picture_is_of_a_step_that_runs(bench: Bench, source: str, told: str):
    study = DRAWN.replace("{base.word}/drawn.png", source).replace("steps:\n", "steps:\n  other: make --value 77\n")
    with pytest.raises(UsageError, match=told):
        bench.plan(study)


def test_small_pictures_are_kept_with_what_was_found(written: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "tools"))
    writer: Any = import_module("write_studies")
    _, folder, _ = written(png())
    ended, own = read_study(folder), tmp_path / "kept"
    (one,) = ended.pictures
    assert writer.kept_picture(ended, one, own) == one
    assert (own / "picture.png").read_bytes() == png()
    monkeypatch.setattr(writer, "PLOTS", tmp_path / "images")
    assert "](../images/studies/sums-ground-picture.png)" in writer.section(ended)
    assert (tmp_path / "images" / "sums-ground-picture.png").read_bytes() == png()
    monkeypatch.setattr(writer, "MOST_KEPT_BYTES", len(png()))
    assert writer.kept_picture(ended, one, own).missing == "it is too large to be kept"
