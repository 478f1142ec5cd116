"""The pages of results that tools/ write: words and numbers around the tables, the papers' figures, the contents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from gannotate.studies import load_study
from gannotate.studies.claims import all_claims
from gannotate.studies.claims_table import as_markdown
from gannotate.studies.reading import read_study
from gannotate.studies.tables import markdown
from gannotate.wording import counted

TOOLS = Path(__file__).parents[2] / "tools"
PAGES = [TOOLS.parent / "README.md", *sorted((TOOLS.parent / "docs").rglob("*.md"))]


@pytest.fixture(autouse=True, scope="module")
def tools_found() -> Iterator[None]:
    """The tools import each other by name; those of this module's fixtures do, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOLS))
        yield


def tool(name: str) -> Any:
    return import_module(name)


def test_one_is_singular():
    assert [counted(count, "seed") for count in (0, 1, 2)] == ["0 seeds", "1 seed", "2 seeds"]


@pytest.mark.parametrize(
    ("reached", "words"),
    [
        (0.1, "reaches that with 1 real one (0.100)"),
        (0.1001, "reaches that between 1 and 5 real ones (0.100 and 0.300)"),
        (0.499, "reaches that between 5 and 20 real ones (0.300 and 0.500)"),
        (0.6, "does not reach that with 20 real ones (0.500)"),
    ],
)
def test_what_generated_labels_are_worth_lies_between_two_numbers_of_real_ones(reached: float, words: str):
    assert tool("result_studies")._reaches([(1, 0.1), (5, 0.3), (20, 0.5)], reached) == words


def test_a_title_in_a_sentence_keeps_its_capitals():
    assert tool("result_cells").in_text("xray") == "chest X-rays"


def test_labels_and_their_verbs_have_one_number():
    way = {1: 0.2, 5: 0.3, 20: 0.5}
    found = {("supervised", shots): [{"miou": miou}] for shots, miou in way.items()}
    found |= {("ours", 1): [{"miou": 0.25}], ("ours", 5): [{"miou": 0.4}, {"miou": 0.6}]}
    assert list(tool("result_studies")._worth(found, [1, 5, 20]))[:-1] == [
        "1 generated label gives 0.250: the supervised network reaches that between 1 and 5 real ones "
        "(0.200 and 0.300).",
        "5 generated labels give 0.500: the supervised network reaches that between 5 and 20 real ones "
        "(0.300 and 0.500).",
    ]


def test_ours_stand_in_the_papers_table_in_its_unit():
    papers = tool("result_papers")
    lines = papers.beside("few-shot-decoders", {"here, faces": {5: 0.87654, 50: 1.0}})
    study = load_study("few-shot-decoders")
    assert lines[0].startswith(f"**{study.paper.of}**, {study.paper.where}: {study.claim} Otherwise here: ")
    assert lines[0].endswith(' The table: faces, weighted IoU, in %; ours begin with "here".')
    assert lines[2] == "|  | 1 | 5 | 10 | 50 |"
    assert "| CNN, 3 classes | 71.7 | 82.1 | 83.5 | - |" in lines
    assert lines[-2:] == ["| here, faces | - | 87.7 | - | 100.0 |", ""]
    fractions = papers.beside("algorithm2", {"algorithm 2": {"here, cells": 0.5}}, {"count": "7"})
    assert "; 7 generated pictures in place of 10,000;" in fractions[0]
    assert fractions[-2].endswith("| 0.8243 | 0.5000 |")
    with pytest.raises(ValueError, match=r"CNN, 3 classes, 50 of few-shot-decoders is named as if it were the paper's"):
        papers.beside("few-shot-decoders", {"CNN, 3 classes": {50: 0.5}})


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("", ""),
        ("One; two. Three", "One; two. Three."),
        ("One; {steps} steps; the rest.", "One; 7 steps; the rest."),
        ("{pictures} pictures; {steps} steps; a GAN.", "7 steps."),
        ("A GAN.", ""),
    ],
)
def test_differences_are_those_that_the_runs_have(told: str, said: str):
    study = load_study("taps").model_copy(update={"differences": told})
    assert tool("result_papers").differences(study, {"steps": 7}, ["GAN"]) == said


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("After it?: One, two (K)", "after-it-one-two-k"), ("An encoder's 4-8 px", "an-encoders-4-8-px")],
)
def test_links_go_to_headings(heading: str, anchor: str):
    assert tool("write_results").anchor(heading) == anchor


def test_headings_of_one_name_are_numbered_and_code_has_none():
    page = "# A\n```sh\n# no heading\n```\n## B c\n# A\n### A\n"
    found = list(tool("write_results").headings(page))
    assert found == [(1, "A", "a"), (2, "B c", "b-c"), (1, "A", "a-1"), (3, "A", "a-2")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_into_pages_find_their_heading(page: Path):
    for to, place in re.findall(r"\]\(([^)#:]*)#([\w-]+)\)", page.read_text()):
        known = [
            name for _, _, name in tool("write_results").headings(((page.parent / to) if to else page).read_text())
        ]
        assert place in known, f"{to}#{place}"


def test_the_contents_have_a_row_a_study_and_say_how_it_was_done(whole: dict[str, Any], tmp_path: Path):
    few = {"reduced": ["1 seed in place of 3", "steps 200 in place of 500"], "seeds": [0]}
    own = {"reduced": ["1 seed in place of 3"], "seeds": [0], "domain": whole["domain"] | {"title": "Chest X-rays"}}
    for name, changed in (("a", few), ("b", own)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.json").write_text(json.dumps(whole | changed))
    found = [read_study(tmp_path / name) for name in ("a", "b")]
    assert list(tool("write_studies").contents({"taps": found}))[2:] == [
        "| [`taps`](study-results/taps.md) | Which activations a one-shot decoder reads | "
        "[Portraits](study-results/taps.md#portraits): reduced, 1 seed; "
        "[Chest X-rays](study-results/taps.md#chest-x-rays): own size, 1 seed |"
    ]


def test_a_study_whose_commands_did_not_all_run_is_not_whole(whole: dict[str, Any]):
    tell = tool("write_studies")
    begun = whole | {"cells": {"a": {"status": "done"}, "b": {"status": "not run"}, "c": {"status": "failed"}}}
    assert tell.done_as(begun) == "own size, 3 seeds, 2 of 3 commands not run"
    assert tell.done_as(whole) == "own size, 3 seeds"
    assert tell.size_of([whole, begun]).startswith(
        "Of 2 studies (on a domain each) 1 are as large as they ask to be, 1 but for the number of seeds or commands"
    )


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """A study.json of three seeds, with nothing reduced."""
    content = json.loads((tool("write_studies").KEPT / "taps-portraits" / "study.json").read_text())
    rows = [row | {"seed": seed} for seed in range(3) for row in content["rows"]]
    return content | {"rows": rows, "seeds": [0, 1, 2], "reduced": []}


def begun(whole: dict[str, Any], part: float) -> dict[str, Any]:
    """The study when only a part of its rows is done."""
    rows, done = whole["rows"], part * len(whole["rows"])
    return whole | {"rows": [row | {"status": "done" if at < done else "not run"} for at, row in enumerate(rows)]}


@pytest.mark.parametrize("turn", [1, -1])
def test_a_study_in_several_folders_counts_where_it_is_largest(tmp_path: Path, whole: dict[str, Any], turn: int):
    one_seed = whole | {"rows": [row for row in whole["rows"] if not row["seed"]], "reduced": ["1 seed in place of 3"]}
    smaller = one_seed | {"reduced": ["1 seed in place of 3", "steps 200 in place of 500"]}
    fewer = smaller | {"rows": smaller["rows"][:4]}
    rising = {"hardly": begun(whole, 0.3), "fewer": fewer, "smaller": smaller, "mostly": begun(one_seed, 0.8)}
    rising |= {"one seed": one_seed, "two thirds": begun(whole, 0.7), "whole": whole}
    folders = [tmp_path / name for name in rising]
    for folder, content in zip(folders, rising.values(), strict=True):
        (folder / "renamed").mkdir(parents=True)
        (folder / "renamed" / "study.json").write_text(json.dumps(content))
    for count in range(1, len(folders) + 1):
        (found,) = tool("write_studies").studies(folders[:count][::turn])
        assert found.folder == folders[count - 1] / "renamed"
    assert tool("write_studies").size_of([dict(found.content)]).startswith("Of 1 study (on a domain each) 1 are")


def test_studies_are_kept_under_their_own_names(tmp_path: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    writer = tool("write_studies")
    monkeypatch.setattr(writer, "KEPT", tmp_path / "kept")
    (tmp_path / "study.json").write_text(json.dumps(whole | {"command": "gannotate study run taps --out /x"}))
    monkeypatch.chdir(tmp_path)
    writer.keep([Path()])
    (kept,) = writer.studies([tmp_path / "kept"])
    assert (kept.folder.name, kept.content["command"]) == ("taps-portraits", "gannotate study run taps")
    assert kept.content["rows"] == whole["rows"]


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        (
            "gannotate study run taps --data '/a b/c' --seeds 1 --out=/home/o --only taps=a/b",
            "--seeds 1 --only taps=a/b",
        ),
        ("gannotate study run taps --known ../../there --out '/o'\"'\"'b/x y' --seeds 2", "--seeds 2"),
    ],
)
def test_a_kept_study_tells_its_command_without_folders(command: str, kept: str):
    assert tool("write_studies").shortened(command) == f"gannotate study run taps {kept}"


def test_what_is_kept_of_a_study_has_no_path_of_a_machine():
    told = "gannotate fit cells/ab/project --labelled '/home/a b/pool.zip' --unlabelled ~/c/b.zip --generator=/g/xray"
    study = {
        "cells": {"ab": {"command": f"{told} --taps '<x.taps>' ../../x/y.zip", "error": "no /home/bob/x, it's 1/512"}},
        "claim": "half and/or 1/512 of it, s3://bucket/name",
        "seeds": [0],
    }
    kept = (
        "gannotate fit cells/ab/project --labelled pool.zip --unlabelled b.zip --generator=xray --taps '<x.taps>' y.zip"
    )
    assert tool("write_studies").without_paths(study) == {
        "cells": {"ab": {"command": kept, "error": "no x, it's 1/512"}},
        "claim": "half and/or 1/512 of it, s3://bucket/name",
        "seeds": [0],
    }


def test_the_pages_say_what_the_kept_studies_say():
    writer = tool("write_studies")
    ended = writer.studies([writer.KEPT])
    pages = {one.name: writer.page_place(one.name) for one in ended}
    first = (writer.DOCS / "study-results.md").read_text()
    assert as_markdown(all_claims(ended), pages) in first
    assert {f"study-results/{path.name}" for path in writer.KEPT.glob("*.md")} == set(pages.values())
    for one in ended:
        assert (
            f"]({pages[one.name]}#{tool('write_results').anchor(one.frame.domain)}): {writer.done_as(one.content)}"
            in first
        )
        page = (writer.DOCS / pages[one.name]).read_text()
        assert page.startswith(f"{writer.BACK}\n\n# {one.frame.title}\n")
        _, _, tables = page.partition(f"\n## {one.frame.domain}\n")
        told = markdown(one.frame, one.points, one.findings)
        assert tables.partition(f"]({writer.PICTURES}/{one.name}")[0].find(told.rstrip()) > 0, one.folder.name


def test_the_pictures_of_the_pages_are_there_and_no_two_have_one_text():
    writer = tool("write_studies")
    pages = "".join(path.read_text() for path in writer.KEPT.glob("*.md"))
    pictures = re.findall(r"^!\[(.*)\]\((.*)\)$", pages, re.MULTILINE)
    assert len({text for text, _ in pictures}) == len(pictures) > 40
    assert {(writer.KEPT / path).resolve() for _, path in pictures} == set(writer.PLOTS.iterdir())


def test_only_the_sections_that_are_named_are_written_anew(tmp_path: Path):
    writer, page = tool("write_results"), tmp_path / "results.md"
    page.write_text("# Results\n\nold\n\n<!-- xray -->\n## Chest X-rays\n\nkept\n\n<!-- demo -->\nold\n")
    names = ("floor_majority", "floor_pixels", "supervised", "decoder", "segmenter")
    run = {"miou": dict.fromkeys(names, 0.25), "seconds": {"fit": 3}, "shots": 5, "test_pictures": 9, "peak_rss_mb": 7}
    (tmp_path / "demo.json").write_text(json.dumps(run))
    writer.main([f"demo={tmp_path / 'demo.json'}"], page)
    sections = writer.sections_of(page.read_text())
    assert list(sections) == ["xray", "demo"]
    assert sections["xray"] == "## Chest X-rays\n\nkept"
    assert "5 shots, 9 fresh portraits" in sections["demo"]
    assert page.read_text().startswith(writer.HEAD)


@pytest.mark.parametrize("argument", ["xrya=/nowhere", "", "=x", "demo", "decoders-=x"])
def test_what_is_no_section_is_refused(tmp_path: Path, argument: str):
    page = tmp_path / "results.md"
    page.write_text("<!-- xray -->\n## Chest X-rays\n")
    with pytest.raises(SystemExit, match="is no NAME=PATH of a section; names are xray, "):
        tool("write_results").main([argument], page)
    assert page.read_text() == "<!-- xray -->\n## Chest X-rays\n"
    page.write_text("# Results\n\n## Chest X-rays\n")
    with pytest.raises(SystemExit, match="names no sections"):
        tool("write_results").main([], page)


def test_the_page_of_results_has_all_its_sections_named():
    writer = tool("write_results")
    page = (writer.DOCS / "results.md").read_text()
    assert page.startswith(writer.HEAD)
    sections = writer.sections_of(page)
    assert page.count("\n## ") == len(sections)
    assert next(iter(sections)) == "claims"
    assert sections["claims"] == "\n".join(writer.section("claims", str(writer.DOCS / "study-results"))).strip()
