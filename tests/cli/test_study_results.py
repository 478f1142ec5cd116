"""What a study left: its page, and the table of claims over several; what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gannotate.cli.app import main
from gannotate.studies.study import names

from .conftest import Command


def test_report_writes_the_page_of_a_study(command: Command, tiny: Path, tmp_path: Path):
    folder = Path(command("study", "run", tiny, "--out", tmp_path / "out")["folder"])
    assert command("report", folder, "--dry-run")["would"] == [f"write {folder / 'report' / 'index.html'}"]
    assert not (folder / "report").exists()
    result = command("report", folder)
    page = Path(result["page"])
    assert page == folder / "report" / "index.html"
    assert result["bytes"] == page.stat().st_size > 5000
    assert "Twice as many are more." in page.read_text()
    assert f"next: open {page} in a browser" in command.text("report", folder)


def test_report_says_what_a_folder_is_not(command: Command, tiny: Path, tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    code, told = command.mistake("report", out)
    assert code == 2
    assert told.startswith(f"{out} is neither a project (no project.yaml) nor a study's folder (no study.json) nor")
    command("study", "run", tiny, "--out", out)
    code, told = command.mistake("report", out)
    assert (code, told.endswith(f"it holds studies, give one of them, e.g. {out / 'renders-portraits'}")) == (2, True)
    (out / "renders-portraits" / "study.json").write_text("{}")
    code, told = command.mistake("report", out / "renders-portraits")
    assert code == 1
    assert told.endswith("study.json is damaged ('format_version'); `gannotate study run` writes it again")


def test_a_damaged_cell_is_shown_as_failed_and_made_anew(
    command: Command, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    cells = command("study", "run", tiny, "--out", out)["cells"]
    results = list(out.glob("cells/*/result.json"))
    whole = {path: path.read_text() for path in results}
    for path in results:
        path.write_text(path.read_text()[:20])
    told = "result.json is damaged ("
    words = ["study", "show", tiny, "--out", out]
    shown = command.text(*words)
    assert shown.count(told) == len(cells) == command(*words)["failed"]
    assert f"{len(cells)} cells, 0 done, {len(cells)} failed\n  failed: " in shown
    words = ["study", "run", tiny, "--out", out]
    for more in (["--dry-run"], []):
        assert main([*map(str, words), *more]) == 0
        assert capsys.readouterr().err.count(told) == len(cells)
    assert {path: path.read_text() for path in results}.keys() == whole.keys()
    assert all(json.loads(path.read_text()) for path in results)
    assert command("study", "show", tiny, "--out", out)["failed"] == 0


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_an_out_that_is_a_file_or_below_one_is_named(command: Command, tiny: Path, tmp_path: Path, below: str):
    file = tmp_path / "out"
    file.write_text("not a folder")
    for words in (["show", tiny], ["run", tiny, "--dry-run"], ["run", tiny], ["run", "all", "--quick"]):
        code, told = command.mistake("study", *words, "--out", file / below)
        assert (code, told) == (
            2,
            f"--out is {file / below}, but {file} is a file; give a folder, or a name that is free",
        )
    assert file.read_text() == "not a folder"


def test_a_damaged_study_is_left_out_of_the_claims(
    command: Command, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out, table = tmp_path / "out", tmp_path / "claims.md"
    folder = Path(command("study", "run", tiny, "--out", out)["folder"])
    whole = command("study", "claims", out)
    damaged = out / "taps-xray"
    damaged.mkdir()
    content = json.loads((folder / "study.json").read_text())
    content["points"][0]["figures"]["pictures"]["count"] = "x"
    (damaged / "study.json").write_text(json.dumps(content))
    found = command("study", "claims", out)
    assert {name: found[name] for name in ("claims", "verdicts", "studies")} == {
        name: whole[name] for name in ("claims", "verdicts", "studies")
    }
    told = f"{damaged / 'study.json'} is damaged (points.0.figures.pictures.count: Input should be a valid integer); "
    assert found["left_out"][str(damaged)].startswith(told)
    assert main(["study", "claims", str(out), "--write", str(table)]) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith(f"left out {damaged}: {told}")
    assert shown.out.rstrip().endswith("; from 1 study's folder")
    for words in (["study", "claims", damaged], ["report", damaged]):  # where it is the only one
        assert command.mistake(*words)[1].startswith(told)
    (folder / "study.json").write_text("{")
    assert command.mistake("study", "claims", out)[1].count(" is damaged (") == 2


def test_claims_are_a_table_of_what_was_found(command: Command, tiny: Path, tmp_path: Path):
    out = tmp_path / "out"
    folder = command("study", "run", tiny, "--out", out)["folder"]
    result = command("study", "claims", out)
    assert result["studies"] == [folder]
    own = next(claim for claim in result["claims"] if claim["study"] == "renders")
    assert (own["claim"], own["finding"], own["where"]) == ("Twice as many are more.", "holds", "nowhere")
    assert own["parts"][0]["found"][0]["differences"][0]["difference"] == 2
    assert {claim["study"] for claim in result["claims"]} >= set(names())
    assert result["verdicts"]["holds"] == 1
    assert "| - Four are more | holds | Portraits: +2, 1 seed |  |" in command.text("study", "claims", out)
    for ending, start in ((".md", "## What the papers claim"), (".csv", "paper,where,study"), (".json", "[")):
        table = tmp_path / f"claims{ending}"
        would = command("study", "claims", folder, "--write", table, "--dry-run")["would"]
        assert would == [f"read {folder}", f"write {table}"]
        assert not table.exists()
        assert command("study", "claims", folder, "--write", table)["file"] == str(table)
        assert table.read_text().startswith(start)
    assert "1 holds" in command.text("study", "claims", folder, "--write", tmp_path / "claims.md")


def test_claims_without_any_folder_are_not_run(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = command("study", "claims")
    assert result["studies"] == []
    assert result["verdicts"]["holds"] == 0
    assert result["verdicts"]["not run"] > 50


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["nowhere"], "nowhere is not there; give the --out of `gannotate study run`, or a study's folder in it"),
        (["."], ". holds no study; give the --out of `gannotate study run`, or a study's folder in it"),
        (["--write", "claims.txt"], "--write is claims.txt; give a name that ends with .md, .csv, .json"),
    ],
)
def test_claims_mistakes(command: Command, words: list[str], error: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command.mistake("study", "claims", *words) == (2, error)
