"""A study's page: complete from study.json alone, honest about what failed and what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_json
from gannotate.report.study import grid_html, study_page, write_study_page
from gannotate.report.verdicts import badge
from gannotate.studies.comparison import verdict_of
from gannotate.studies.findings import Figure, Finding, Verdict
from gannotate.studies.plot import draw
from gannotate.studies.reading import find_studies, is_study, read_study
from gannotate.studies.study import load_study
from gannotate.studies.tables import Grid

from .conftest import asks_nothing, read

BETTER = ("CNN <beats> MLP", "Ten beat one", "Fifty beat ten")


def finding(
    text: str, verdict: Verdict, differences: Sequence[float] = (), held: int = 0, why: str = ""
) -> dict[str, Any]:
    """What became of a part, with a difference at each place."""
    places = tuple({"at": {"shots": 1}, "difference": one, "seeds": 2, "noise": 0.1} for one in differences)
    return asdict(Finding(text, verdict, len(places), held, places, why, measure="miou"))


FINDINGS = [
    finding(BETTER[0], Verdict.CLOSE, [0.15], why="1 more place without figures"),
    finding(BETTER[1], Verdict.HOLDS, [0.3], held=1),
    finding(BETTER[2], Verdict.NOT_RUN, why="not asked for here: shots 50"),
]


def figure(*values: float, failed: int = 0, not_run: int = 0) -> dict[str, Any]:
    asked = len(values) + failed + not_run
    if not values:
        return asdict(Figure(asked=asked, failed=failed, not_run=not_run))
    mean = sum(values) / len(values)
    return asdict(Figure(mean, 0.1, min(values), max(values), len(values), asked, failed, not_run))


def cell(step: str, status: str, *uses: str, **more: Any) -> dict[str, Any]:
    about = {"step": step, "at": {"kind": "cnn"}, "status": status, "uses": list(uses), "reused": False}
    seconds = 60.0 if status == "done" else None
    return about | {"command": f"gannotate {step} <x>", "seconds": seconds, "peak_mb": 400.0, **more}


POINTS = [
    {"at": {"shots": 1, "kind": "cnn"}, "figures": {"miou": figure(0.3, 0.5), "c: ground": figure(0.9, 0.9)}},
    {"at": {"shots": 1, "kind": "mlp"}, "figures": {"miou": figure(0.2, 0.3), "c: ground": figure(0.8, 0.8)}},
    {"at": {"shots": 10, "kind": "cnn"}, "figures": {"miou": figure(0.6, 0.8), "c: ground": figure(0.9, 0.9)}},
    {"at": {"shots": 10, "kind": "mlp"}, "figures": {"miou": figure(failed=2), "c: ground": figure(not_run=2)}},
]


def done_row(shots: int, kind: str, seed: int, miou: float, ground: float) -> dict[str, Any]:
    figures = {"miou": miou, "c: ground": ground}
    return {"at": {"shots": shots, "kind": kind}, "seed": seed, "status": "done", "figures": figures} | {
        "cells": {"miou": "test1"}
    }


ROW = {"at": {"shots": 10, "kind": "mlp"}, "figures": {"miou": None}, "cells": {"miou": "test2"}}
CONTENT: dict[str, Any] = {
    "format_version": 1,
    "study": "kinds",
    "title": "Kinds & numbers",
    "paper": {"of": "A paper", "where": "Table 9"},
    "claim": "Bigger <is> better.",
    "differences": "Smaller pictures.",
    "untestable": [{"text": "On a million labels", "why": "there are a hundred."}],
    "domain": {"name": "ground", "title": "Grounds", "about": "Made up.", "classes": ["ground", "core"]},
    "quick": False,
    "seeds": [0, 1],
    "settings": {"steps": 7},
    "axes": {
        "shots": {"title": "labels", "values": [{"value": 1, "title": "1"}, {"value": 10, "title": "10"}]},
        "kind": {"title": "kind", "values": [{"value": "cnn", "title": "big net"}, {"value": "mlp", "title": "mlp"}]},
    },
    "measures": {
        "miou": {"title": "mIoU", "format": "fraction", "better": "higher"},
        "c: ground": {"title": "ground", "format": "fraction", "better": "higher"},
    },
    "rows": [
        *(done_row(1, "cnn", seed, miou, 0.9) for seed, miou in enumerate((0.3, 0.5))),
        *(done_row(1, "mlp", seed, miou, 0.8) for seed, miou in enumerate((0.2, 0.3))),
        *(done_row(10, "cnn", seed, miou, 0.9) for seed, miou in enumerate((0.6, 0.8))),
        ROW | {"seed": 0, "status": "failed", "errors": {"miou": "it broke & <ended>"}},
        ROW | {"seed": 1, "status": "not run"},
    ],
    "points": POINTS,
    "findings": FINDINGS,
    "expect": [{"text": one, "better": {"kind": "cnn"}, "than": {"kind": "mlp"}, "where": {}} for one in BETTER],
    "tables": [{"title": "All", "rows": ["kind"], "columns": "shots", "measures": ["miou"], "beside": ["c"]}],
    "plots": [{"title": "", "x": "shots", "series": ["kind"], "measure": "miou", "scale": "log", "svg": "plot.svg"}],
    "published": [{"title": "theirs", "table": {"cnn": {"1": 71.7}}}],
    "cells": {
        "old": cell("fit", "not run"),
        "fit2": cell("fit", "not run"),
        "test1": cell("test", "done", "old"),
        "test2": cell("test", "failed", "fit2", error="it broke & <ended>"),
    },
    "command": "gannotate study run kinds --out <here>",
    "written": "2026-01-01T00:00:00+00:00",
    "wall_s": 75.0,
    "cells_s": 3600.0,
    "versions": {"gannotate": "0.1.0", "torch": "2.0"},
    "hardware": {"processor": "CPU", "cores": 2, "memory_mb": 1000, "system": "Linux"},
}


def folder_of(place: Path, content: dict[str, Any]) -> Path:
    """A study's folder with this study.json."""
    write_json(place / "study.json", content)
    return place


@pytest.fixture
def text(tmp_path: Path) -> str:
    """The page of a study in which something failed."""
    return write_study_page(folder_of(tmp_path / "kinds-ground", CONTENT)).read_text()


def said_in(text: str) -> str:
    return " ".join(read(text).text.split())


def test_it_is_one_file_and_escapes_what_it_is_told(text: str):
    asks_nothing(text)
    said = said_in(text)
    for part in ("Kinds & numbers", "Bigger <is> better.", "CNN <beats> MLP", "it broke & <ended>", "--out <here>"):
        assert part in said


def test_it_tells_source_figures_and_the_papers_own(text: str):
    said = said_in(text)
    assert "A paper: Table 9. Here on: Grounds." in said
    assert "Otherwise than there. Smaller pictures." in said
    assert "Mean over 2 seeds, smallest to largest in brackets. 2 figures failed and 2 were not run." in said
    rows = re.findall(r"<tr><th scope=\"row\">(big net|mlp)</th>(.*?)</tr>", text)
    assert rows[0][1] == (
        "<td>0.400<small>(0.300-0.500)</small></td><td>0.700<small>(0.600-0.800)</small></td><td>0.900</td>"
    )
    assert rows[1][1].endswith("<td>0.800, 1 of 2</td>")  # and the mean of a part is not compared
    assert rows[1][1].startswith("<td>0.250<small>(0.200-0.300)</small></td><td><span class=")
    assert "<td>71.7</td>" in text


def test_every_claim_has_its_verdict(text: str):
    claims = re.findall(r"<li><b class=\"verdict \w+\">([^<]+)</b><div><b>([^<]+)</b><p>([^<]*)</p>", text)
    assert claims == [
        (
            "too close to tell",
            "CNN &lt;beats&gt; MLP",
            "1 more place without figures; difference +0.150",
        ),
        ("holds", "Ten beat one", "difference +0.300"),
        ("not run", "Fifty beat ten", "not asked for here: shots 50"),
        ("not testable here", "On a million labels", "there are a hundred."),
    ]
    told = "parts of the claim hold here; 1 could not be looked up; 1 more cannot be tested here"
    assert f"<b>1 of 2</b><span>{told}</span>" in text


def test_by_how_much_was_asked_for_and_what_holds_in_part_is_told(tmp_path: Path):
    content = deepcopy(CONTENT)
    content["expect"][1]["by"] = 0.5
    content["findings"][1] |= {"verdict": "holds partly"}
    page = study_page(read_study(folder_of(tmp_path / "asked", content)))
    assert "<p>difference +0.300, at least +0.500 is asked for</p>" in page
    assert "<b>0 of 2</b><span>parts of the claim hold here, 1 more in part; 1 could not be looked up; 1 more" in page


def test_what_failed_and_what_is_missing_is_named(text: str):
    said = said_in(text)
    assert "3 commands: 1 done, 1 failed, 1 not run. 1 more was not needed" in said
    assert "figures are there, 2 failed, 2 not run" in said
    assert "shots 10, kind mlp 0 failed it broke & <ended>" in said
    assert "shots 10, kind mlp 1 not run its turn has not come" in said
    assert "test kind cnn: it broke" in said


def test_how_it_was_made(text: str):
    said = said_in(text)
    for part in (
        "settings steps 7",
        "seeds 0, 1",
        "wall time 1 h 00 min for all commands together, 1 min 15 s the last time",
        "hardware 2 cores of CPU, 1,000 MB of memory, Linux",
        "software gannotate 0.1.0, torch 2.0",
        "most memory of a command 400 MB",
        "kind: big net, mlp",
    ):
        assert part in said
    drawings = [attributes for tag, attributes in read(text).tags if tag == "svg"]
    assert [one["aria-label"] for one in drawings] == ["mIoU over labels, Grounds"]
    assert "#000000" not in text[text.index("<svg") : text.index("</svg>")]
    assert ">big net<" in text


def test_at_one_value_of_x_the_series_are_a_list_of_names(tmp_path: Path):
    content = deepcopy(CONTENT)
    content["axes"]["shots"] = {"title": "labels", "unit": "labelled", "values": [{"value": 10, "title": "10"}]}
    content["axes"]["kind"]["values"][0]["title"] = "a net with a very long name"
    content["points"] = [deepcopy(POINTS[2]), deepcopy(POINTS[2]) | {"at": {"shots": 10, "kind": "mlp"}}]
    content["rows"] = [done_row(10, kind, seed, 0.6 + 0.2 * seed, 0.9) for kind in ("cnn", "mlp") for seed in (0, 1)]
    page = study_page(read_study(folder_of(tmp_path / "one", content)))
    svg = page[page.index("<svg") : page.index("</svg>")]
    assert ">mIoU, 10 labelled<" in svg
    assert [svg.count(text) for text in (">a net with a very<", ">long name<", ">mlp<")] == [1, 1, 1]
    usual = study_page(read_study(folder_of(tmp_path / "two", CONTENT)))
    assert ">labels<" in usual[usual.index("<svg") : usual.index("</svg>")]


def test_the_quick_form_says_so_and_nothing_at_all_has_a_page(tmp_path: Path):
    content = deepcopy(CONTENT) | {"quick": True, "rows": [], "cells": {}, "published": [], "untestable": []}
    content["points"] = [
        {"at": one["at"], "figures": {name: figure(not_run=2) for name in one["figures"]}} for one in POINTS
    ]
    content["findings"] = [finding(one, Verdict.NOT_RUN, why="its figures are missing") for one in BETTER]
    page = study_page(read_study(folder_of(tmp_path / "none", content)))
    said = said_in(page)
    assert "quick form" in said
    assert "<b>0 of 3</b><span>parts of the claim could be looked up</span>" in page
    assert "its figures are missing" in said
    assert "0 of 16" in said
    assert "own figures" not in said
    assert "<svg" not in page
    assert "No plot, mIoU over labels: there is nothing to draw yet." in said


@pytest.mark.parametrize("lacking", [False, True])
def test_a_plot_and_a_table_say_that_figures_lack_seeds(tmp_path: Path, lacking: bool):
    content = deepcopy(CONTENT)
    content["rows"][5] |= {"figures": {"miou": None}, "status": "not run"} if lacking else {}
    content["rows"][6:] = [done_row(10, "mlp", seed, miou, 0.9) for seed, miou in enumerate((0.6, 0.4))]
    content["points"][2]["figures"]["miou"] = figure(0.6, not_run=1) if lacking else figure(0.6, 0.8)
    content["points"][3]["figures"] = {"miou": figure(0.6, 0.4), "c: ground": figure(0.9, 0.9)}
    page = study_page(read_study(folder_of(tmp_path / "lacking", content)))
    assert f"<span>mean of {'1 to 2' if lacking else '2'} seeds, bars from smallest to largest</span>" in page
    assert ("Means that lack seeds which others have are not compared." in page) is lacking


def test_the_way_of_a_fit_has_a_plot_of_its_own_words(tmp_path: Path):
    line = {"at": {"shots": 1, "kind": "cnn"}, "cell": "fit", "of": "log.jsonl: held_out_miou over step"}
    lines = [{**line, "seed": seed, "points": [[0, 0.1], [9, 0.5 + 0.1 * seed]]} for seed in (0, 1)]
    curve = {"y": "held_out_miou", "x": "step", "title": "mIoU on the way", "format": "fraction", "series": ["kind"]}
    content = deepcopy(CONTENT) | {"curves": [{**curve, "lines": lines}]}
    page = study_page(read_study(folder_of(tmp_path / "curve", content)))
    assert ">held-out mIoU<" in page
    assert "<span>mIoU on the way</span><span>mean of 2 seeds, bands from smallest to largest</span>" in page


def test_a_study_whose_commands_are_not_told_says_how_many_there_were(tmp_path: Path):
    content = deepcopy(CONTENT) | {"cells": {}, "cell_count": 25}
    said = said_in(study_page(read_study(folder_of(tmp_path / "kept", content))))
    assert "25 commands, which study.json does not tell one by one." in said


def test_what_the_study_does_not_ask_says_who_does_or_why_nobody(tmp_path: Path):
    untestable = [
        {"text": "On cars", "why": "No cars.", "see": None, "possible": False},
        {"text": "With three steps", "why": "No time.", "possible": True},
        {"text": "From ImageNet", "why": "Random here.", "see": {"study": "other", "part": "It <is> so"}},
    ]
    page = study_page(read_study(folder_of(tmp_path, CONTENT | {"untestable": untestable})))
    assert page.count(badge(Verdict.UNTESTABLE)) == page.count(badge(Verdict.UNTESTED)) == 1
    assert '<b class="verdict">see other</b><div><b>From ImageNet</b><p>Random here.</p>' in page
    assert "other asks it: It &lt;is&gt; so." in page
    assert "1 more cannot be tested here; 1 more was not tested here; 1 more is asked by another study" in page


def test_a_page_has_the_claim_as_it_is_declared_today(tmp_path: Path):
    kept = Path(__file__).parents[3] / "docs/study-results/taps-portraits/study.json"
    before = json.loads(kept.read_text()) | {"claim": "Nothing of it."}
    page = write_study_page(folder_of(tmp_path, before)).read_text()
    assert "Nothing of it." not in page
    assert load_study("taps").claim.split("(")[0] in page


@pytest.mark.parametrize(
    ("held", "lost", "places", "verdict"),
    [
        (2, 0, 2, Verdict.HOLDS),
        (1, 1, 2, Verdict.PARTLY),
        (1, 0, 2, Verdict.PARTLY),
        (0, 2, 2, Verdict.AGAINST),
        (0, 1, 2, Verdict.AGAINST),
        (0, 0, 2, Verdict.CLOSE),
        (0, 0, 0, Verdict.NOT_RUN),
    ],
)
def test_verdicts(held: int, lost: int, places: int, verdict: Verdict):
    assert verdict_of(held, lost, places) is verdict
    assert f">{verdict.value}<" in badge(verdict)


def test_a_table_keeps_its_texts():
    table = grid_html(Grid(["a & b", "c"], [["x", "0.5"], ["y", "failed"]], 1, frozenset({(0, 1)})), "t")
    assert "a &amp; b" in table
    assert "<td><b>0.5</b></td>" in table
    assert "<td><b>0.5</b></td></tr><tr>" in table
    assert '<td><span class="verdict against">failed</span></td>' in table


def test_a_folder_that_is_none_a_damaged_and_a_newer_one(tmp_path: Path):
    with pytest.raises(UsageError, match=r"holds no study.json; give what `gannotate study run"):
        write_study_page(tmp_path)
    place = folder_of(tmp_path / "kinds-ground", CONTENT)
    assert is_study(place)
    assert find_studies([tmp_path, place]) == [place]
    write_json(place / "study.json", CONTENT | {"findings": [], "points": 3})
    with pytest.raises(GannotateError, match=r"study.json is damaged .*writes it again"):
        read_study(place)
    (place / "study.json").write_text("{")
    with pytest.raises(GannotateError, match="is damaged"):
        read_study(place)
    (place / "study.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(GannotateError, match="newer gannotate"):
        read_study(place)
    with pytest.raises(UsageError, match="is not there; give the --out"):
        find_studies([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no study; give the --out"):
        find_studies([tmp_path / "empty"])


def test_dollar_signs_are_no_formula(tmp_path: Path):
    odd = r"cost $\frac$ of"
    content = deepcopy(CONTENT) | {"title": odd}
    content["measures"]["miou"]["title"] = content["axes"]["shots"]["title"] = odd
    content["axes"]["kind"]["values"][0]["title"] = odd
    ended = read_study(folder_of(tmp_path / "kept", content))
    page = study_page(ended)
    assert page.count(f">{odd}<") >= 3  # of both axes, and in the legend
    assert odd in draw(ended.frame, ended.frame.plots[0], ended.points)["svg"].decode()


def test_heads_of_names_stand_left_and_an_empty_one_is_no_head():
    table = grid_html(Grid(["way", "order", "mIoU"], [["a", "b", "0.5"]], 2, frozenset()), 'All & "more"')
    assert re.findall(r"<th scope=\"col\"( class=name)?>(\w+)</th>", table) == [
        (" class=name", "way"),
        (" class=name", "order"),
        ("", "mIoU"),
    ]
    assert 'aria-label="All &amp; &quot;more&quot;, table"' in table
    assert "<thead><tr><td></td><th" in grid_html(Grid(["", "mIoU"], [["a", "0.5"]], 1, frozenset()), "t")


@pytest.mark.parametrize(
    ("columns", "figure", "head", "many"),
    [
        (11, "0.900", "mIoU", False),
        (14, "0.900", "mIoU", True),
        (7, "0.900 (0.888-0.912)", "mIoU", False),
        (8, "0.900 (0.888-0.912)", "mIoU", True),
        (6, "0.900 (0.888-0.912), 2 of 3", "mIoU", True),
        (7, "not run", "mIoU", False),
        (8, "0.9", "intersection", True),
        (8, "0.9", "of the union", False),  # which may stand below each other
    ],
)
def test_a_table_that_is_too_wide_for_paper_knows_it(columns: int, figure: str, head: str, many: bool):
    table = grid_html(Grid(["way", *[head] * (columns - 1)], [["a", *[figure] * (columns - 1)]], 1, frozenset()), "t")
    assert ('<table class="figures many" style="--letters:' in table) is many


def test_only_the_least_width_of_names_counts():
    rows = [[" ".join(["name"] * 40), "0.5"], ["a" * 50, "0.5"]]
    assert "many" not in grid_html(Grid(["way", "mIoU"], rows, 1, frozenset()), "t")
    assert "many" in grid_html(Grid(["way", "mIoU"], [["a" * 100, "0.5"]], 1, frozenset()), "t")


def test_figures_without_a_value_are_counted(tmp_path: Path):
    content = deepcopy(CONTENT) | {"points": deepcopy(POINTS[:2])}
    content["points"][0]["figures"]["c: ground"] = asdict(Figure(asked=2))  # a class that is nowhere
    page = study_page(read_study(folder_of(tmp_path / "half", content)))
    assert "<b>6 of 6</b><span>figures are there, 2 of classes that are nowhere</span>" in page
