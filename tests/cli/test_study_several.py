"""`study run` of several studies: one after the other, what they share once, and none stopped by another."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from gannotate.cli import study as verb
from gannotate.cli.app import main
from gannotate.studies import load_study

from .conftest import TINY, Command


@pytest.fixture
def shapes(tiny: Path) -> Path:
    """A study beside `tiny` that has one of its commands, and an axis and a setting of its own."""
    path = tiny.with_name("shapes.yaml")
    varied = TINY.replace("settings: {style: natural}", "settings: {workers: 1}")
    varied = varied.replace("{style}", "{shape.style}").replace("--workers 1", "--workers {workers}")
    axis = "size: [16], shape: {values: {usual: {style: natural}, flat: {style: flat}}}"
    varied = varied.replace("size: [16]", axis).replace("rows: [many]", "rows: [many, shape]")
    path.write_text(varied.replace("x: many,", "x: many, series: [shape],"))
    return path


def test_several_studies_are_run_one_after_the_other(command: Command, tiny: Path, shapes: Path, tmp_path: Path):
    out = tmp_path / "out"
    words = [
        "study",
        "run",
        tiny,
        shapes,
        "--out",
        out,
        "--only",
        "many=2",
        "--only",
        "shape=flat",
        "--set",
        "workers=1",
    ]
    would = command(*words, "--dry-run")
    assert [one["settings"] for one in would["config"]["studies"].values()] == [{"style": "natural"}, {"workers": 1}]
    assert len(would["would"]) == 2
    both = command("study", "run", tiny, shapes, "--out", out, "--only", "many=2", "--dry-run")
    assert [one["cells"] for one in both["config"]["studies"].values()] == [1, 2]
    assert len(both["would"]) == 2  # they have one in common
    results = command(*words)
    assert [Path(one["folder"]).name for one in results] == ["renders-portraits", "shapes-portraits"]
    assert [one["done"] for one in results] == [1, 1]
    assert results[0]["command"] == f"gannotate study run {tiny} --out {out} --only many=2"
    narrowed = "--only many=2 --only shape=flat --set workers=1"
    assert results[1]["command"] == f"gannotate study run {shapes} --out {out} {narrowed}"
    shown = command.text(*words)
    assert shown.index("| 2 | 2 |") < shown.index("| 2 | flat | 2 |") < shown.index("2 of 2 studies are whole")


def test_two_studies_that_would_write_one_folder_are_refused(command: Command, tiny: Path, tmp_path: Path):
    other = tmp_path / "other" / tiny.name
    other.parent.mkdir()
    other.write_text(TINY)
    code, told = command.mistake("study", "run", tiny, other, "--out", tmp_path / "out")
    assert (code, told) == (2, f"{tiny} and {other} would both write renders-portraits; rename one of the files")
    assert not (tmp_path / "out").exists()


def test_a_study_that_fails_does_not_stop_the_next(
    tiny: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    shapes.write_text(shapes.read_text().replace("style: flat", "style: none"))
    words = ["study", "run", str(shapes), str(tiny), "--out", str(tmp_path / "out"), "--only", "many=2", "--json"]
    assert main(words) == 1
    shown = capsys.readouterr()
    failed, done = json.loads(shown.out)
    assert (failed["done"], failed["failed"], done["done"], done["failed"]) == (1, 1, 1, 0)
    last = "gannotate: 1 of 2 studies are whole; not shapes-portraits; the same command tries again"
    assert shown.err.splitlines()[-1] == last
    assert main([*words, "--quiet"]) == 1
    assert capsys.readouterr().err == f"{last}\n"
    assert main([word for word in words if word != "--json"]) == 1
    assert "1 of 2 studies are whole; not shapes-portraits" in capsys.readouterr().out

    run, trouble = verb._run, Exception()

    def broken(name: str, *others: Any) -> Any:
        if name == str(shapes):
            raise trouble
        return run(name, *others)

    monkeypatch.setattr(verb, "_run", broken)
    for error, told in (
        (RuntimeError("no plot"), "unexpected RuntimeError: no plot"),
        (
            OSError(errno.EROFS, "read-only", "plot.png"),
            "cannot write plot.png (read-only); give a place that can be written",
        ),
    ):
        trouble = error
        assert main(words) == 1
        shown = capsys.readouterr()
        failed, done = json.loads(shown.out)
        assert failed == {"folder": str(tmp_path / "out" / "shapes-portraits"), "error": told}
        assert done["done"] == 1


def test_all_are_those_that_can_be_done_on_the_domain(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(verb, "study_names", lambda: ["taps", "inversion", "architectures"])
    words = ["study", "run", "all", "--dry-run", "--quick", "--out", tmp_path / "out"]
    assert set(command(*words)["config"]["studies"]) == {"taps", "inversion", "architectures"}
    loaded = {name: load_study(name) for name in ("taps", "inversion", "architectures")}
    loaded["taps"] = loaded["taps"].model_copy(update={"domains": ("xray",)})
    monkeypatch.setattr(verb, "load_study", loaded.get)
    assert main([*map(str, words), "--json"]) == 0
    shown = capsys.readouterr()
    assert set(json.loads(shown.out)["config"]["studies"]) == {"inversion", "architectures"}
    assert shown.err == "left out taps: the study taps is for xray, not for portraits\n"
    assert command.mistake("study", "run", "taps", "inversion", "--quick")[0] == 2  # it was named


@pytest.mark.parametrize("names", [("all",), ("taps", "inversion")])
def test_what_is_wrong_for_all_of_them_is_said_once(command: Command, names: tuple[str, ...]):
    assert command.mistake("study", "run", *names, "--seeds", "0") == (2, "--seeds is 0; give 1 to 1000")


def test_all_leaves_those_out_that_lack_a_value(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(verb, "study_names", lambda: ["taps", "layermatch", "gradient-matching"])
    words = ["study", "run", "all", "--dry-run", "--quick", "--out", tmp_path / "out"]
    assert main([*map(str, words), "--only", "way=gct", "--only", "shots=150", "--json"]) == 0
    shown = capsys.readouterr()
    assert set(json.loads(shown.out)["config"]["studies"]) == {"taps", "gradient-matching"}
    assert shown.err.startswith("left out layermatch: axis way: 'gct' is not on this axis")
    code, told = command.mistake(*words, "--only", "way=other")
    assert (code, told.startswith("--only names the axis 'way', which changes none of these studies")) == (2, True)


def test_what_is_more_than_the_domain_has_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["study", "run", "layermatch", "--dry-run", "--quick", "--out", str(tmp_path / "out")]
    assert main([*words, "--only", "shots=150,1500", "--only", "way=supervised", "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "layermatch: labelled pictures without 1500, above 200, the most on portraits\n"
    trained = [line for line in json.loads(shown.out)["would"] if " --shots 150 " in line]
    assert len(trained) == 1
