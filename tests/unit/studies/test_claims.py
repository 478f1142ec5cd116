"""Claims: every study that ships declares its own; verdicts over folders, from the figures that are there."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gannotate.errors import UsageError
from gannotate.files import write_json
from gannotate.studies import load_shared, load_study
from gannotate.studies.claims import Claim, OnDomain, Part, all_claims, count_verdicts
from gannotate.studies.claims_table import COLUMNS, as_csv, as_json, as_markdown, finding_text
from gannotate.studies.current import as_declared, stands_on_superseded, superseded
from gannotate.studies.findings import Finding, Verdict
from gannotate.studies.reading import Ended, find_studies, read_study
from gannotate.studies.study import Expectation, Paper, See, Superseded, names

from .conftest import FRAME, STUDY, study_of

TAPS = ("coarse", "middle", "fine", "coarse-middle", "middle-fine", "all")


def figure(mean: float | None, seeds: int = 3) -> dict[str, Any]:
    if mean is None:
        return {"asked": seeds, "not_run": seeds}
    return {"mean": mean, "deviation": 0.0, "least": mean, "most": mean, "count": seeds, "asked": seeds}


def taps_folder(folder: Path, domain: str, quick: bool = False, **means: float | None) -> Ended:
    """A folder of the study `taps` with one decoder; figures that are not given are missing."""
    values = [{"value": name, "title": name} for name in TAPS]
    points = [
        {"at": {"taps": name, "decoder": "light"}, "figures": {"weighted": figure(means.get(name.replace("-", "_")))}}
        for name in TAPS
    ]
    means_by_row = [(one["at"], one["figures"]["weighted"].get("mean")) for one in points]
    rows = [
        {"at": at, "seed": seed, "status": "done", "figures": {"weighted": mean}}
        for at, mean in means_by_row
        for seed in range(3)
    ]
    content = {
        "format_version": 1,
        "rows": rows,
        "study": "taps",
        "title": "t",
        "paper": {"of": "p", "where": "w"},
        "claim": "c",
        "domain": {"name": domain, "title": domain.title(), "about": "", "classes": ["a", "b"]},
        "quick": quick,
        "axes": {"taps": {"title": "", "values": values}, "decoder": {"title": "", "values": [{"value": "light"}]}},
        "measures": {"weighted": {"title": "IoU", "format": "fraction", "better": "higher"}},
        "tables": [],
        "plots": [],
        "points": points,
        "findings": [],
    }
    write_json(folder / f"taps-{domain}" / "study.json", content)
    return read_study(folder / f"taps-{domain}")


def taps_claim(*ended: Ended):
    return next(claim for claim in all_claims(ended) if claim.name == "taps")


@pytest.mark.parametrize("name", names())
def test_every_study_that_ships_declares_its_claims(name: str):
    study = load_study(name)
    assert study.claim.endswith(".")
    assert study.expect
    texts = [one.text for one in study.expect] + [one.text for one in study.untestable]
    assert len(set(texts)) == len(texts)
    assert all(one.why.endswith(".") for one in study.untestable)
    claim = next(one for one in all_claims([]) if one.name == name)
    assert [part.text for part in claim.parts] == texts
    paper_asks = [one for one in study.expect if not one.ours]
    assert claim.verdict is (Verdict.NOT_RUN if paper_asks else Verdict.UNTESTABLE)


def test_the_other_documents_of_the_library_are_no_studies():
    assert "shared" not in names()
    assert not [name for name in names() if "untested" in name]
    assert load_shared().steps
    untested = [claim for claim in all_claims([]) if not claim.name]
    assert untested
    assert all(claim.verdict is Verdict.UNTESTABLE and claim.paper.where and claim.parts[0].why for claim in untested)


def test_claims_stand_together_by_paper():
    papers = [claim.paper.of for claim in all_claims([])]
    assert [paper for paper, next_one in zip(papers, [*papers[1:], ""], strict=True) if paper != next_one] == list(
        dict.fromkeys(papers)
    )


def test_a_part_holds_where_all_folders_say_so(tmp_path: Path):
    good = taps_folder(tmp_path, "xray", middle=0.8, all=0.7, coarse=0.5, fine=0.9)
    bad = taps_folder(tmp_path, "wbc", middle=0.6, all=0.7, coarse=0.5)
    middle, _, fine = taps_claim(good, bad).parts[:3]
    assert middle.text == "The middle layers alone beat all of them"
    assert middle.verdict is Verdict.PARTLY
    assert [one.finding.verdict for one in middle.found] == [Verdict.HOLDS, Verdict.AGAINST]
    assert (fine.verdict, len(fine.counted)) == (Verdict.AGAINST, 1)
    assert taps_claim(good).parts[0].verdict is Verdict.HOLDS
    assert taps_claim(good, bad).verdict is Verdict.PARTLY
    assert taps_claim(good).parts[0].found[0].seeds == 3


def test_a_quick_form_counts_only_where_there_is_nothing_else(tmp_path: Path):
    full = taps_folder(tmp_path / "full", "xray", middle=0.8, all=0.7)
    quick = taps_folder(tmp_path / "quick", "wbc", quick=True, middle=0.6, all=0.7, coarse=0.1)
    both = taps_claim(full, quick)
    assert (both.parts[0].verdict, both.parts[0].quick) == (Verdict.HOLDS, False)
    assert (both.parts[1].verdict, both.parts[1].quick) == (Verdict.HOLDS, True)
    assert (both.quick, taps_claim(quick).quick, taps_claim(full).quick) == (False, True, False)


@pytest.mark.parametrize(
    ("lacks", "told"),
    [
        ([], "Xray: +"),
        (["1 seed in place of 3"], "Xray: +"),
        (["1 seed in place of 3", "steps 2 in place of 9"], "Xray, reduced: +"),
    ],
)
def test_fewer_seeds_alone_are_not_called_reduced(tmp_path: Path, lacks: list[str], told: str):
    folder = taps_folder(tmp_path, "xray", middle=0.8, all=0.7).folder
    content = json.loads((folder / "study.json").read_text())
    write_json(folder / "study.json", content | {"reduced": lacks})
    assert f"| holds | {told}0.100, 3 seeds |" in as_markdown(all_claims([read_study(folder)]))


def test_the_tables_have_every_part_and_what_it_stands_on(tmp_path: Path):
    ended = [
        taps_folder(tmp_path / "full", "xray", middle=0.8, all=0.7),
        taps_folder(tmp_path / "quick", "wbc", quick=True, coarse=0.1, middle=0.3),
    ]
    claims = all_claims(ended)
    text = as_markdown(claims)
    assert "| - The middle layers alone beat all of them | holds | Xray: +0.100, 3 seeds |  |" in text
    assert "| holds, quick form | Wbc, quick form: +0.200, 3 seeds |" in text
    assert "| not run | Xray: its figures are missing; Wbc, quick form: its figures are missing |" in text
    assert "| **holds, as far as looked at (2 of 5 parts)** |  | `taps`: Table 7 |" in text
    assert "no folder of this study" in text
    assert "All here start from random weights" in text
    counts = count_verdicts(claims)
    assert (counts["holds"], counts["does not hold here"]) == (2, 0)
    rows = list(csv.DictReader(io.StringIO(as_csv(claims))))
    assert tuple(rows[0]) == COLUMNS
    ours = sum(part.ours for claim in claims for part in claim.parts)
    assert ours
    assert text.count("(our question)") == ours
    linked = sum(part.see is not None for claim in claims for part in claim.own)
    assert linked
    assert len(rows) == sum(counts.values()) + ours + linked == sum(len(claim["parts"]) for claim in as_json(claims))  # type: ignore[arg-type]
    assert all(row["finding"] and row["told"] for row in rows)
    for line in text.splitlines():
        if line.startswith("|") and "---" not in line:
            assert line.replace("\\|", "").count("|") == 5


def test_a_study_that_does_not_ship_brings_its_own_claims(tmp_path: Path):
    ended = taps_folder(tmp_path, "xray")
    finding = {"text": "More", "verdict": "does not hold", "places": 2, "held": 0, "differences": []}
    content = dict(ended.content) | {"study": "mine", "findings": [finding]}
    content["untestable"] = [{"text": "Ever more", "why": "of its size."}]
    write_json(tmp_path / "mine-xray" / "study.json", content)
    claim = next(one for one in all_claims([read_study(tmp_path / "mine-xray")]) if one.name == "mine")
    assert [(part.text, part.verdict) for part in claim.parts] == [
        ("More", Verdict.AGAINST),
        ("Ever more", Verdict.UNTESTABLE),
    ]
    assert find_studies([tmp_path]) == [tmp_path / "mine-xray", tmp_path / "taps-xray"]


def test_a_measure_that_a_folder_lacks_is_not_run(tmp_path: Path):
    ended = taps_folder(tmp_path, "xray")
    content = dict(ended.content) | {"study": "layermatch"}
    write_json(tmp_path / "layermatch-xray" / "study.json", content)
    claim = next(one for one in all_claims([read_study(tmp_path / "layermatch-xray")]) if one.name == "layermatch")
    part = next(part for part in claim.parts if "glasses" in part.text)
    assert (part.verdict, part.found[0].finding.why) == (Verdict.NOT_RUN, "its figures have no glasses")


def claim_of(*parts: tuple[Verdict, bool]) -> Claim:
    def part(verdict: Verdict, ours: bool) -> Part:
        if verdict is Verdict.UNTESTABLE:
            return Part("t", why="w", ours=ours)
        places = 0 if verdict in (Verdict.NOT_RUN, Verdict.NOTHING) else 1
        told = OnDomain("f", FRAME, True, 1, Finding("t", verdict, places, 0, ()))
        return Part("t", (told,), ours=ours)

    return Claim("taps", Paper(of="p", where="w"), "t", tuple(part(*one) for one in parts))


HOLDS, CLOSE, AGAINST = Verdict.HOLDS, Verdict.CLOSE, Verdict.AGAINST


@pytest.mark.parametrize(
    ("parts", "verdict", "text"),
    [
        ([(HOLDS, False), (AGAINST, True)], HOLDS, "holds"),
        ([(HOLDS, False), (CLOSE, False)], Verdict.PARTLY, "holds partly"),
        ([(AGAINST, False), (CLOSE, False)], AGAINST, "does not hold here"),
        ([(CLOSE, False), (CLOSE, False)], CLOSE, "too close to tell"),
        ([(HOLDS, False), (Verdict.UNTESTABLE, False)], HOLDS, "holds, as far as looked at (1 of 2 parts)"),
        ([(HOLDS, True), (Verdict.UNTESTABLE, False)], Verdict.UNTESTABLE, "not testable here"),
        ([(HOLDS, True), (Verdict.NOT_RUN, False)], Verdict.NOT_RUN, "not run"),
        ([(Verdict.NOTHING, False), (Verdict.UNTESTABLE, False)], Verdict.NOTHING, "nothing to compare"),
        ([(Verdict.NOTHING, False), (Verdict.NOT_RUN, False)], Verdict.NOT_RUN, "not run"),
        ([(Verdict.NOTHING, False), (HOLDS, False)], HOLDS, "holds, as far as looked at (1 of 2 parts)"),
    ],
)
def test_a_claim_stands_on_what_the_paper_says(parts: list[tuple[Verdict, bool]], verdict: Verdict, text: str):
    claim = claim_of(*parts)
    assert (claim.verdict, finding_text(claim)) == (verdict, text)
    assert sum(count_verdicts([claim]).values()) == sum(not ours for _, ours in parts)


@pytest.mark.parametrize(
    ("expectation", "error"),
    [
        ("{text: t, better: {n: 2}, than: {n: 1}, change: {n: [1, 2]}}", "change and better both name n"),
        (
            "{text: t, better: {way: twice}, than: {way: plain}, where: {n: [1]}, change: {n: [1, 2]}}",
            "change and where both name n",
        ),
        ("{text: t, better: {way: twice}, than: {way: plain}, change: {m: [1, 2]}}", "names the axis 'm'"),
        ("{text: t, better: {way: twice}, than: {way: plain}, change: {n: [1, 3]}}", "'3' is not on this axis"),
        ("{text: t, better: {way: twice}, than: {way: plain}, enough: 0}", "enough"),
        (
            "{text: t, better: {n: 1}, than: {n: '1'}}",
            "better and than are the same; name another value in one of them",
        ),
        (
            "{text: t, better: {way: twice}, than: {way: plain}, change: {n: [1, 1]}}",
            "change goes from n 1 to the same",
        ),
        (
            "{text: t, better: {way: twice}, than: {way: plain}, where: {n: []}}",
            "'expect.0.where.n' is .*: give at least one",
        ),
        ("{text: t, better: {way: twice}, than: {way: plain}, where: {n: 1}}", "is 1: give a list, e.g"),
    ],
)
def test_a_wrong_expectation_is_one_sentence(expectation: str, error: str):
    with pytest.raises(UsageError, match=error):
        study_of(STUDY.replace("expect:\n", f"expect:\n  - {expectation}\n"))


def test_every_part_that_another_study_asks_is_one_of_that_study_and_has_its_verdict():
    claims = all_claims([])
    for claim in claims:
        for part in claim.parts:
            if part.see is not None:
                assert part.seen is not None, (claim.name, part.see)
                assert part.seen.text == part.see.part
                assert part.verdict is part.seen.verdict


def test_what_another_study_found_is_told_and_counted_once():
    told = OnDomain("f", FRAME, True, 1, Finding("It is so", HOLDS, 1, 1, ({"at": {}, "difference": 0.1},)))
    found = Part("It is so", (told,))
    link = Part("Here, too", why="Not asked here.", see=See(study="taps", part="It is so"), seen=found)
    claims = [
        Claim("taps", Paper(of="p", where="w"), "A.", (found,)),
        Claim("x", Paper(of="p", where="w"), "B.", (link,)),
    ]
    assert claims[1].verdict is Verdict.HOLDS
    assert count_verdicts(claims)["holds"] == 1
    text = as_markdown(claims)
    assert "1 part of 2 claims: 1 holds. 1 part is asked by another study" in text
    assert "| - Here, too | holds | Not asked here. taps: d, reduced: +0.100, 1 seed |" in text


def test_what_could_be_asked_and_was_not_is_told_apart():
    parts = Part("a", why="No time.", possible=True), Part("b", why="No cars.")
    assert [part.verdict for part in parts] == [Verdict.UNTESTED, Verdict.UNTESTABLE]
    claim = Claim("x", Paper(of="p", where="w"), "B.", parts)
    assert (claim.verdict, claim.looked_up) == (Verdict.UNTESTED, ())


def test_a_folder_says_what_its_study_declares_today(tmp_path: Path):
    before = taps_folder(tmp_path, "xray", middle=0.8, all=0.7)
    today, study = as_declared(before), load_study("taps")
    assert (before.content["claim"], today.content["claim"]) == ("c", study.claim)
    assert today.content["paper"] == study.paper.model_dump()
    assert [one["text"] for one in today.content["untestable"]] == [one.text for one in study.untestable]
    assert [one.text for one in today.findings] == [one.text for one in study.expect]
    assert today.frame.published == study.published
    assert today.points == before.points
    mine = replace(before, content={**before.content, "study": "mine"})
    assert as_declared(mine) is mine


@pytest.mark.parametrize(("settings", "told"), [({"fit_most": 300}, "300 steps at most"), ({}, "As it was said then.")])
def test_what_differs_from_the_paper_is_told_as_today_with_the_settings_of_then(
    settings: dict[str, Any], told: str, tmp_path: Path
):
    ended = taps_folder(tmp_path, "xray", middle=0.8)
    content = {
        **ended.content,
        "study": "segmenter-interval",
        "settings": settings,
        "differences": "As it was said then.",
    }
    assert told in as_declared(replace(ended, content=content)).content["differences"]


def test_figures_from_before_a_change_of_ours_say_so(tmp_path: Path):
    ended, study = taps_folder(tmp_path, "xray", middle=0.8, all=0.7), load_study("taps")
    changed = [
        Superseded(before="2030-01-01", at={"taps": ("middle", "fine")}, what="A was B."),
        Superseded(before="2030-01-01", at={"decoder": ("mlp",)}, what="Of none that is here."),
        Superseded(before="2026-11-23T06:25", at={"taps": ("all",)}, what="C was D."),
    ]
    study = study.model_copy(update={"superseded": tuple(changed)})
    title = {str(value.value): value.title for value in ended.frame.axes["taps"].values}
    first = f"Not measured anew since a change: {title['middle']}, {title['fine']}. A was B."
    assert list(superseded(study, ended.frame, "2026-11-23T06:25:01+00:00")) == [first]
    assert list(superseded(study, ended.frame, "2026-11-23")) == [
        first,
        f"Not measured anew since a change: {title['all']}. C was D.",
    ]


def test_a_verdict_on_figures_from_before_a_change_of_ours_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ended = taps_folder(tmp_path, "xray", coarse=0.5, middle=0.8, fine=0.6, all=0.7)
    fine = [one for one in load_study("taps").expect if "fine" in (one.better["taps"], one.than["taps"])]
    change = Superseded(before="2030-01-01", at={"taps": ("fine",)}, what="A was B.")
    changed = load_study("taps").model_copy(update={"superseded": (change,)})
    assert "from before a change of ours" not in as_markdown([taps_claim(ended)])
    monkeypatch.setattr("gannotate.studies.claims.load_study", lambda name: changed)
    claim = taps_claim(replace(ended, content={**ended.content, "written": "2029-12-31"}))
    older = [part.text for part in claim.parts if part.superseded]
    assert older == [one.text for one in fine]
    assert 0 < len(older) < len([part for part in claim.parts if part.found])
    text = as_markdown([claim])
    assert text.count("from before a change of ours") == len(older) + 1
    assert not any(
        part.superseded for part in taps_claim(replace(ended, content={**ended.content, "written": "2030-01-01"})).parts
    )


@pytest.mark.parametrize(
    ("at", "older"),
    [
        ({"labels": (10,)}, True),
        ({"labels": (30,)}, False),
        ({"labels": (10,), "way": ("a",)}, True),
        ({"labels": (10,), "way": ("c",)}, False),
        ({"size": (64,)}, True),
        ({"size": (128,)}, False),
    ],
)
def test_both_ends_of_a_change_along_an_axis_may_be_older(at: dict[str, tuple[Any, ...]], older: bool):
    one = Expectation(text="t", better={"way": "a"}, than={"way": "b"}, change={"labels": (2, 10)})
    found = Finding("t", Verdict.HOLDS, 1, 1, ({"at": {"size": 64}, "difference": 0.1},))
    study = load_study("taps").model_copy(update={"superseded": (Superseded(before="2030-01-01", at=at, what="w"),)})
    assert stands_on_superseded(study, one, found, "2029-12-31") is older
    assert not stands_on_superseded(study, one, found, "2030-01-01")
