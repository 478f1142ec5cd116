"""Planning: templates, identities that stay, what is left out, and the mistakes of a study's file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannotate.errors import GannotateError, UsageError
from gannotate.studies import Choice, load_domain, load_shared, load_study, make_plan, resolving
from gannotate.studies.cell import words_of
from gannotate.studies.documents import parse_document
from gannotate.studies.domain import DomainFile
from gannotate.studies.frame import frame_of
from gannotate.studies.plan import only_seeds
from gannotate.studies.study import Shared, names
from gannotate.studies.words import Hole, Input, Result, field_of, fill, identify, parse, split

from .conftest import STUDY, Bench, commands, study_of


def test_a_word_is_text_and_holes():
    assert parse("--width={width}") == ("--width=", Hole("width"))
    assert parse("{project:bare}/pool") == (Hole("project", (), "bare"), "/pool")
    assert parse("{fit.decoder:name}") == (Hole("fit", ("decoder",), "name"),)
    assert str(Hole("fit", ("a", "b"), "name")) == "{fit.a.b:name}"
    assert parse("") == ()
    with pytest.raises(UsageError, match="brace that belongs to no hole"):
        parse("{no hole}")
    with pytest.raises(UsageError, match="cannot be split"):
        split("say 'it")


@given(st.lists(st.text(alphabet="ab-=/.", min_size=1, max_size=5), max_size=4))
def test_text_without_holes_is_one_part(pieces: list[str]):
    word = "".join(pieces)
    assert parse(word) == ((word,) if word else ())


def test_a_result_is_filled_in_from_its_field():
    result = Result("ab", "fit", ("decoder",))
    name = Result("ab", "fit", ("decoder",), name=True)
    results = {"ab": {"decoder": "cells/ab/project/decoders/0001-light"}}
    assert fill((result,), "here", results) == "cells/ab/project/decoders/0001-light"
    assert fill(("--decoder=", name), "here", results) == "--decoder=0001-light"
    assert fill((name,), "here") == "<fit.decoder>"
    with pytest.raises(GannotateError, match="the result fit has no 'decoder'; it has seconds"):
        field_of({"seconds": 1}, result)
    with pytest.raises(GannotateError, match=r"the result fit\.seconds has no 'more'; it has no fields"):
        field_of({"seconds": 1}, Result("ab", "fit", ("seconds", "more")))


def test_rows_are_all_combinations_for_each_seed(bench: Bench):
    plan = bench.plan(first_seed=5)
    assert [(row.at["n"], row.at["way"], row.seed) for row in plan.rows] == [
        (n, way, seed) for seed in (5, 6) for n in (1, 2) for way in ("plain", "twice")
    ]
    assert plan.families["classes"] == ("classes: ground", "classes: left side")
    assert plan.rows[0].figures["classes: left side"].fields == ("per_class", "left side")
    assert plan.called == "sums-ground"
    quick = bench.plan(quick=True)
    assert {row.at["n"] for row in quick.rows} == {1}
    assert (quick.seeds, quick.called) == ((0,), "sums-ground-quick")
    # what is asked for by name goes before the quick form's choice
    assert {row.at["n"] for row in bench.plan(quick=True, only={"n": ("2",)}).rows} == {2}


def test_combinations_can_be_left_out(bench: Bench):
    text = STUDY + "leave_out:\n  - {way: [twice], n: [2]}\n"
    assert [(row.at["n"], row.at["way"]) for row in bench.plan(text, seeds=1).rows] == [
        (1, "plain"),
        (1, "twice"),
        (2, "plain"),
    ]


def test_a_piece_is_as_many_words_as_it_has_and_may_have_holes(bench: Bench):
    text = STUDY.replace("how: --twice", "how: '--twice --add {base.value}'").replace(
        "--add {base.value} {way.how}", "{way.how}"
    )
    plan = bench.plan(text, seeds=1)
    assert commands(plan)[1:3] == ["make --value 10", "make --value 1 --twice --add <base.value> --seed 0"]


def test_a_setting_is_filled_in_and_may_be_set(bench: Bench):
    text = STUDY.replace("--value 10", "--value {ten}") + "settings: {ten: 10, idle: 1}\n"
    assert commands(bench.plan(text, seeds=1))[0] == "make --value 10"
    plan = bench.plan(text, seeds=1, settings={"ten": 3})
    assert commands(plan)[0] == "make --value 3"
    assert plan.settings == {"ten": 3}
    with pytest.raises(UsageError, match="there is no setting 'tenn'; did you mean 'ten'"):
        bench.plan(text, settings={"tenn": 3})
    with pytest.raises(UsageError, match="--set ten=many is no number; give one"):
        bench.plan(text, settings={"ten": "many"})
    for value in (0, -5):
        with pytest.raises(UsageError, match=f"^--set ten={value}; give a number above 0, e.g. --set ten=10$"):
            bench.plan(text, settings={"ten": value})
    of_nothing = text.replace("ten: 10", "ten: 0")
    assert bench.plan(of_nothing, settings={"ten": 0}).settings == {"ten": 0}
    with pytest.raises(
        UsageError, match="there is no setting 'tenn'; did you mean 'ten'"
    ):  # whether it is quick or not
        bench.plan(text.replace("  axes: {n: [1]}", "  settings: {tenn: 1}"))
    with pytest.raises(UsageError, match="--set idle changes nothing in the study sums on ground; it has ten"):
        bench.plan(text, settings={"idle": 3})


def test_a_plan_says_what_it_does_less_of(bench: Bench):
    text = STUDY.replace("--value 10", "--value {ten}") + "settings: {ten: 10}\ndifferences: Only {ten}.\n"
    whole = bench.plan(text)
    assert (whole.reduced, whole.differences) == ((), "Only 10.")
    less = bench.plan(text, seeds=1, only={"way": ("plain",)}, settings={"ten": 3})
    assert less.reduced == ("1 seed in place of 2", "ten 3 in place of 10", "way without doubled")
    assert [only_seeds(one) for one in less.reduced] == [True, False, False]
    assert less.differences == "Only 3."
    with pytest.raises(UsageError, match=r"have a hole for 'nine', which is no setting; write {NAME} of one of ten"):
        bench.plan(text.replace("Only {ten}", "Only {nine}"))


def test_plots_at_values_that_were_not_chosen_are_left_out(bench: Bench):
    plots = "".join(f"  - {{x: n, where: {{way: {way}}}, measure: value}}\n" for way in ("plain", "twice"))
    text = STUDY.replace("  - {x: n, series: [way], measure: value}\n", plots)
    assert [plot.where["way"] for plot in frame_of(bench.plan(text)).plots] == ["plain", "twice"]
    assert [plot.where["way"] for plot in frame_of(bench.plan(text, only={"way": ("twice",)})).plots] == ["twice"]


def test_a_step_may_be_given_more_flags(bench: Bench, tmp_path: Path):
    """What is a file there counts by its content, wherever it lies; other cells stay the same."""
    (weights := tmp_path / "w.pth").write_text("weights")
    usual = bench.plan(STUDY, seeds=1)
    more = bench.plan(STUDY, seeds=1, also={"one": f"--add 3 --read {weights}"})
    words = [" ".join(words_of(cell)) for cell in more.cells.values() if cell.step == "one"]
    assert words
    assert all(word.endswith(f"--add 3 --read {weights}") for word in words)
    assert more.reduced == ("1 seed in place of 2", "one with --add 3 --read w.pth")
    same = [number for number in usual.cells if number in more.cells]
    assert [usual.cells[number].step for number in same] == ["base"]
    joined = bench.plan(STUDY, seeds=1, also={"one": f"--add=3 --read={weights}"})
    assert set(joined.cells) == set(more.cells)
    moved = weights.rename(tmp_path / "other.pth")
    assert set(bench.plan(STUDY, seeds=1, also={"one": f"--add 3 --read {moved}"}).cells) == set(more.cells)
    moved.write_text("others")
    assert set(bench.plan(STUDY, seeds=1, also={"one": f"--add 3 --read {moved}"}).cells) != set(more.cells)
    with pytest.raises(UsageError, match=r"--also names 'onee', which is no step of sums; did you mean 'one'\?; there"):
        bench.plan(STUDY, also={"onee": "--add 3"})


def test_an_identity_is_what_is_done_to_what_and_nothing_else(bench: Bench, tmp_path: Path):
    text = STUDY.replace("--value 10", "--value 10 --read {test}")
    before = set(bench.plan(text).cells)
    assert set(bench.plan(text.replace("title: Sums", "title: Other").replace("base", "first")).cells) == before
    # the same content at another place
    copy = tmp_path / "copy"
    (tmp_path / "ground").rename(copy)
    bench.domain = load_domain(str(copy), environment={})
    assert set(bench.plan(text).cells) == before
    (copy / "test.txt").write_text("other")
    # what read the file is another cell now, and so is what uses that one: all of them
    assert not set(bench.plan(text).cells) & before
    one = bench.plan(STUDY, seeds=1)
    assert len(set(one.cells) & set(bench.plan(STUDY.replace("--value {n}", "--value 0{n}"), seeds=1).cells)) == 1


def test_an_identity_changes_only_with_the_minor_version(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    for version, known in (("0.1.0", True), ("0.1.7", True), ("0.2.0", False)):
        monkeypatch.setattr("gannotate.__version__", version)
        found = list(bench.plan(seeds=1).cells)[:2]
        # of all machines and processes: a change here makes every cell of every user run anew
        assert (found == ["0d1cd259f1338764", "04c9ba6aa78489d8"]) is known


def test_an_identity_changes_with_the_version_of_its_command(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    before = bench.plan(seeds=1).cells
    monkeypatch.setitem(resolving.COMMAND_VERSIONS, "make --twice", 2)
    after = bench.plan(seeds=1).cells
    changed = [cell for number, cell in before.items() if number not in after]
    assert changed
    assert all(("--twice",) in cell.words for cell in changed)
    assert len(changed) == sum(("--twice",) in cell.words for cell in before.values())
    monkeypatch.setitem(resolving.COMMAND_VERSIONS, "make", 3)
    assert not set(before) & set(bench.plan(seeds=1).cells)


def test_words_identify_themselves_without_places():
    word = ("a", Input(Path("/somewhere"), "digest"), Result("ab", "fit", ("x",), True))
    assert identify(word) == [["text", "a"], ["input", "digest"], ["result", "ab", ["x"], True]]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("{base.value}", "{bas.value}", "{bas.value} in the step one stands for nothing; did you mean 'base'"),
        ("{base.value}", "{base}", "{base} in the step one stands for nothing; .*a step needs a field"),
        ("{way.how}", "{way.hwo}", "{way.hwo} in the step one stands for nothing: way plain has how"),
        ("make --value 10", "make --add {one.value}", "the steps one -> base -> one need each other"),
        ("make --value 10", "make {project:nowhere}", "there is no step 'nowhere' in the step base"),
        ('from: "{one.value}"', 'from: "{on.value}"', "{on.value} stands for nothing; did you mean 'one'"),
        ("{one.value}", "{one.cell.second}", "{one.cell.second}' is none of cell.seconds, cell.cpu_s, cell.peak_mb"),
        ("{one.value}", "{one.cell}", "{one.cell}' is none of cell.seconds"),
        ('from: "{one.value}"', 'from: "{n}"', "is no field of a step"),
        ('from: "{one.value}"', "from: '{one.value} {base.value}'", "is no field of a step"),
    ],
)
def test_names_that_stand_for_nothing_are_told(bench: Bench, old: str, new: str, error: str):
    with pytest.raises(UsageError, match=error):
        bench.plan(STUDY.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("claim:", "clam:", "unknown key 'clam'; did you mean 'claim'"),
        ("better: {way: twice}", "bettr: {way: twice}", "unknown key 'expect.0.bettr'; did you mean 'better'"),
        (
            "title: sum, format",
            "title: sum, from_: x, format",
            "unknown key 'measures.value.from_'; did you mean 'from'",
        ),
        ("title: Sums\n", "", "the key 'title' is missing"),
        ("rows: [way]", "rows: [wya]", "table 1 names the axis 'wya', which is none; did you mean 'way'"),
        ("series: [way], measure: value", "series: [way], measure: classes", "one figure for every class"),
        ("rows: [way], columns: n", "rows: [way]", "table 1 does not show the axis n"),
        (
            "series: [way], measure",
            "where: {ways: plain}, measure",
            "plot 1 names the axis 'ways', which is none; did you",
        ),
        ("series: [way], measure", "where: {way: plan}, measure", "axis way: .*plan.*did you mean 'plain'"),
        ("measure: value}", "measure: valu}", "names the measure 'valu', which is none; did you mean 'value'"),
        ("better: {way: twice}", "better: {way: twic}", "'twic' is not on this axis; did you mean 'twice'"),
        ("than: {way: plain}", "than: {n: 1}", "better and than name different axes"),
        ("how: --twice", "who: --twice", "not every value has how, who"),
        ("values: [1, 2]", "values: [1, 1]", "a value stands twice"),
        ("steps:\n  base", "steps:\n  n", "n names two things"),
        ("steps:\n", "steps: [\n", "is not YAML"),
        ("format: number}", "format: numbr}", "'measures.value.format' is 'numbr'"),
        ("seeds: 2", "seeds: two", "'seeds' is 'two': give a whole number"),
        ("seeds: 2", "seeds: 2.5", "'seeds' is 2.5: give a whole number"),
        ("by: 10", "by: ten", "'expect.1.by' is 'ten': give a number"),
        ("rows: [way]", "rows: []", "'tables.0.rows' is .*: give at least one"),
        ("rows: [way]", "rows: way", "'tables.0.rows' is 'way': give a list"),
        ("title: Sums", "title: 1", "'title' is 1: give a text"),
        ("paper: {of: A paper, where: Table 1}", "paper: A paper", "'paper' is 'A paper': give `key: value` pairs"),
        ("  axes: {n: [1]}", "  axes: {n: []}", "'quick.axes.n' is .*: give at least one"),
        ("steps:\n", "leave_out: [{n: []}]\nsteps:\n", "'leave_out.0.n' is .*: give at least one"),
    ],
)
def test_mistakes_in_a_study_are_told_with_the_nearest_name(old: str, new: str, error: str):
    with pytest.raises(UsageError, match=f"^sums.yaml.*{error}"):
        study_of(STUDY.replace(old, new, 1))


def test_a_choice_that_leaves_nothing_is_told(bench: Bench):
    with pytest.raises(UsageError, match="--only names the axis 'm'; there are n, way"):
        bench.plan(only={"m": (1,)})
    with pytest.raises(UsageError, match="axis way: 'other' is not on this axis; it has plain, twice, and takes no"):
        bench.plan(only={"way": ("other",)})
    with pytest.raises(UsageError, match="--seeds is -1; give 1 to 1000"):
        bench.plan(seeds=-1)
    with pytest.raises(UsageError, match="--seeds is 0; give 1 to 1000"):
        bench.plan(seeds=0)
    with pytest.raises(UsageError, match="is for xray, not for ground"):
        bench.plan(STUDY + "domains: [xray]\n")
    text = STUDY + "leave_out:\n  - {n: [1, 2]}\n"
    with pytest.raises(UsageError, match="nothing of the study sums is left"):
        bench.plan(text)


def test_a_shared_name_keeps_its_kind(bench: Bench):
    shared = Shared.model_validate({"steps": {"n": "make"}})
    with pytest.raises(UsageError, match="n is a step and an axis"):
        make_plan("sums", study_of(), shared, bench.domain)


def test_the_examples_of_the_docs_are_right():
    text = (Path(__file__).parents[3] / "docs" / "studies.md").read_text()
    domain_text, study_text = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    about = parse_document(domain_text, "domain.yaml", DomainFile)
    plan = make_plan("docs", study_of(study_text), load_shared(), load_domain("portraits"), Choice(seeds=1))
    assert about.most == {"shots": 30}
    assert sum(" --taps middle --shots 1 " in line for line in commands(plan)) == 2


@pytest.mark.parametrize("name", names())
def test_every_study_that_ships_can_be_planned_on_portraits(name: str):
    domain = load_domain("portraits")
    for quick in (True, False):
        plan = make_plan(name, load_study(name), load_shared(), domain, Choice(quick=quick))
        assert plan.rows
        assert "{" not in plan.differences
        for place, cell in enumerate(plan.cells.values()):
            before = list(plan.cells)[:place]
            assert set(cell.uses) <= set(before), "a cell comes after those that it uses"
    quick = make_plan(name, load_study(name), load_shared(), domain, Choice(quick=True))
    assert len(quick.cells) < 60
