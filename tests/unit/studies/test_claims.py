"""Claims: every study that ships declares its own; verdicts over folders, from the figures that are there."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannotate.errors import UsageError
from gannotate.files import write_json
from gannotate.studies import load_shared, load_study
from gannotate.studies.claims import Claim, OnDomain, Part, all_claims, count_verdicts
from gannotate.studies.claims_table import COLUMNS, as_csv, as_json, as_markdown, finding_text
from gannotate.studies.comparison import check, noise, verdict_of
from gannotate.studies.findings import Figure, Finding, Point, Verdict
from gannotate.studies.frame import Frame
from gannotate.studies.reading import Ended, find_studies, read_study
from gannotate.studies.study import Axis, Expectation, Format, Measure, Paper, names

from .conftest import STUDY, study_of

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
    content = {
        "format_version": 1,
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
    assert "ImageNet weights are not here" in text
    counts = count_verdicts(claims)
    assert (counts["holds"], counts["does not hold here"]) == (2, 0)
    rows = list(csv.DictReader(io.StringIO(as_csv(claims))))
    assert tuple(rows[0]) == COLUMNS
    ours = sum(part.ours for claim in claims for part in claim.parts)
    assert ours
    assert text.count("(our question)") == ours
    assert len(rows) == sum(counts.values()) + ours == sum(len(claim["parts"]) for claim in as_json(claims))  # type: ignore[arg-type]
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


FRAME = Frame(
    called="s",
    title="s",
    domain="d",
    quick=False,
    axes={
        "n": Axis.model_validate({"values": [1, 10]}),
        "way": Axis.model_validate({"values": ["a", "b"]}),
    },
    measures={
        name: Measure.model_validate({"from": "", "title": name.split(": ")[-1]}) for name in ("m", "c: x", "c: y")
    },
    families={"m": ("m",), "c": ("c: x", "c: y")},
    tables=(),
    plots=(),
    expect=(),
    published=(),
)


def points(a: tuple[float, float], b: tuple[float, float], seeds: int = 2) -> list[Point]:
    """Means of m at n 1 and 10 for both ways; of the classes x (the same) and y (halved)."""
    means = {(1, "a"): a[0], (10, "a"): a[1], (1, "b"): b[0], (10, "b"): b[1]}
    return [
        Point(
            {"n": n, "way": way},
            {"m": Figure(m, count=seeds), "c: x": Figure(m, count=1), "c: y": Figure(1 - m, count=seeds)},
        )
        for (n, way), m in means.items()
    ]


def expect(**more: Any) -> Expectation:
    return Expectation.model_validate({"text": "", "better": {"way": "a"}, "than": {"way": "b"}, **more})


unit = st.floats(0, 1)


@given(unit, unit, unit, unit)
def test_a_change_is_the_difference_of_two_differences(a1: float, a10: float, b1: float, b10: float):
    found = check(FRAME, points((a1, a10), (b1, b10)), expect(change={"n": [1, 10]}))
    assert found.places == 1
    assert found.differences[0]["at"] == {}
    assert found.differences[0]["difference"] == pytest.approx((a10 - a1) - (b10 - b1), abs=1e-12)
    back = check(FRAME, points((a1, a10), (b1, b10)), expect(change={"n": [10, 1]}))
    assert back.differences[0]["difference"] == pytest.approx((b10 - b1) - (a10 - a1), abs=1e-12)


def test_a_change_without_one_of_its_ends_is_not_run():
    some = [point for point in points((0.1, 0.2), (0.1, 0.2)) if point.at != {"n": 1, "way": "b"}]
    found = check(FRAME, some, expect(change={"n": [1, 10]}))
    assert (found.verdict, found.why) == (Verdict.NOT_RUN, "its figures are missing")
    short = replace(FRAME, axes={**FRAME.axes, "n": Axis.model_validate({"values": [1]})})
    assert check(short, some, expect(change={"n": [1, 10]})).why == "not asked for here: n 10"


def test_classes_are_compared_one_by_one_and_a_part_may_be_enough():
    some = points((0.5, 0.5), (0.4, 0.4), seeds=4)
    found = check(FRAME, some, expect(measure="c", where={"n": [1]}))
    assert [(item["at"], item["seeds"]) for item in found.differences] == [
        ({"n": 1, "class": "x"}, 1),
        ({"n": 1, "class": "y"}, 4),
    ]
    assert [item["difference"] for item in found.differences] == pytest.approx([0.1, -0.1])
    assert found.verdict is Verdict.PARTLY
    assert check(FRAME, some, expect(measure="c", where={"n": [1]}, enough=0.5)).verdict is Verdict.HOLDS
    assert verdict_of(3, 1, 4, 0.8) is Verdict.AGAINST  # in most classes, or not: nothing between
    assert verdict_of(3, 0, 4, 0.8) is Verdict.CLOSE
    assert verdict_of(4, 1, 5, 0.8) is Verdict.HOLDS


def test_a_class_that_neither_side_finds_is_no_win():
    some = points((1.0, 0.5), (1.0, 0.4), seeds=2)  # of y, 1 - 1
    found = check(FRAME, some, expect(measure="c", where={"n": [1]}))
    assert [item["at"]["class"] for item in found.differences] == ["x"]


@pytest.mark.parametrize(
    ("form", "deviations", "counts", "expected"),
    [
        ("fraction", (None, None), (1, 1), 0.02),
        ("fraction", (0.1, None), (3, 1), 0.02),
        ("fraction", (0.3, 0.4), (4, 4), 2 * (0.09 / 4 + 0.16 / 4) ** 0.5),
        ("seconds", (None, None), (1, 1), 0.1 * 8),
        ("count", (None, None), (1, 1), 0.0),
    ],
)
def test_noise(form: Format, deviations: tuple[float | None, ...], counts: tuple[int, ...], expected: float):
    means = (8.0, 5.0)
    figures = [Figure(m, d, count=n) for m, d, n in zip(means, deviations, counts, strict=True)]
    assert noise(form, figures) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("lead", "by", "verdict"),
    [
        (0.03, 0.0, Verdict.HOLDS),
        (0.01, 0.0, Verdict.CLOSE),
        (-0.01, 0.0, Verdict.CLOSE),
        (-0.03, 0.0, Verdict.AGAINST),
        (0.06, 0.05, Verdict.CLOSE),
        (0.0, -0.03, Verdict.HOLDS),
        (-0.04, -0.03, Verdict.CLOSE),
    ],
)
def test_a_difference_within_the_noise_is_too_close_to_tell(lead: float, by: float, verdict: Verdict):
    some = points((0.5 + lead, 0.0), (0.5, 0.0), seeds=1)
    found = check(FRAME, some, expect(where={"n": [1]}, by=by))
    assert (found.verdict, found.measure) == (verdict, "m")
    assert found.held + found.lost == (0 if verdict is Verdict.CLOSE else 1)


def test_a_rival_that_learned_nothing_is_not_compared_with():
    learns = replace(FRAME, learned="c: y")
    some = points((0.5, 0.5), (1.0, 0.4))  # the rival has 1 - 1 of y at n 1
    found = check(learns, some, expect())
    assert (found.places, found.unlearned, found.differences[0]["at"]) == (1, 1, {"n": 10})
    alone = check(learns, some, expect(where={"n": [1]}))
    assert (alone.verdict, alone.why) == (Verdict.NOT_RUN, "the rival learned nothing")
    ahead = check(learns, points((1.0, 0.4), (0.5, 0.5)), expect())  # the claim's own side may have failed
    assert (ahead.places, ahead.unlearned) == (2, 0)


def claim_of(*parts: tuple[Verdict, bool]) -> Claim:
    def part(verdict: Verdict, ours: bool) -> Part:
        if verdict is Verdict.UNTESTABLE:
            return Part("t", why="w", ours=ours)
        places = 0 if verdict is Verdict.NOT_RUN else 1
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
    ],
)
def test_a_wrong_expectation_is_one_sentence(expectation: str, error: str):
    with pytest.raises(UsageError, match=error):
        study_of(STUDY.replace("expect:\n", f"expect:\n  - {expectation}\n"))
