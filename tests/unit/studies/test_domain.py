"""Domains: their places and limits, folders as domains, and what of their files counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from gannotate.errors import UsageError
from gannotate.studies import Choice, load_domain, load_shared, load_study, make_plan
from gannotate.studies.digests import content_digest
from gannotate.studies.domain import Domain
from gannotate.studies.several import plan_several
from gannotate.studies.study import Shared
from gannotate.studies.words import Input

from .conftest import LATER, STUDY, Bench, commands, study_of


def test_sources_are_places_or_commands(bench: Bench, domain: Domain):
    text = STUDY.replace("--value 10", "--value {labelled} --read {test} {domain.new} {domain.classes}")
    plan = bench.plan(text, seeds=1)
    path = domain.paths["test"]
    assert commands(plan)[:2] == [
        "make --value 3",
        f"make --value <ground labelled.value> --read {path} --mirror yes ground,left side",
    ]
    base = list(plan.cells.values())[1]
    assert (Input(path, content_digest(path)),) in base.words
    with pytest.raises(UsageError, match="the domain ground has no unlabelled pictures"):
        bench.plan(STUDY.replace("--value 10", "--read {unlabelled}"))


def test_a_domain_limits_an_axis(bench: Bench, tmp_path: Path):
    path = tmp_path / "ground" / "domain.yaml"
    path.write_text(path.read_text() + "most: {n: 1}\n")
    bench.domain = load_domain(str(path.parent), environment={})
    assert {row.at["n"] for row in bench.plan().rows} == {1}
    with pytest.raises(UsageError, match="every value of n is above 1, the most on ground; give lower ones"):
        bench.plan(only={"n": (2,)})
    with pytest.raises(UsageError, match="every value of n is above 1"):
        bench.plan(LATER)
    assert bench.plan(LATER, only={"n": (1,)}).reduced == ()  # it has none that could be missing
    asked = bench.plan(only={"n": ("1", "2", "30")})
    assert {row.at["n"] for row in asked.rows} == {1}
    assert (asked.reduced, asked.besides) == ((), ())
    assert asked.above == ("numbers without 2, 30, above 1, the most on ground",)


def test_a_setting_of_the_domain_may_tell_how_much_it_has(bench: Bench, tmp_path: Path):
    path = tmp_path / "ground" / "domain.yaml"
    about = path.read_text().replace("make --value 3", "make --value {count}")
    text = STUDY.replace("--value 10", "--value {labelled}")
    path.write_text(f"{about}most: {{n: count}}\nsettings: {{count: 5}}\nquick: {{settings: {{count: 3}}}}\n")
    bench.domain = load_domain(str(path.parent), environment={})
    for quick, settings, most in ((False, {}, 5), (True, {}, 3), (True, {"count": 4}, 4)):
        plan = bench.plan(text, quick=quick, settings=settings, only={"n": range(1, 7)})
        assert [one.value for one in plan.axes["n"].values] == list(range(1, most + 1))
    asked = Choice(only={"n": (6,)}, settings={"count": 6})
    assert plan_several({"a": study_of(text)}, Shared(), bench.domain, asked).plans["a"].axes["n"].values[0].value == 6
    for wrong in ("many", "count"):
        path.write_text(f"{about}most: {{n: {wrong}}}\nsettings: {{count: all}}\n")
        with pytest.raises(UsageError, match=f"the most of n is '{wrong}', which is no number and no setting"):
            load_domain(str(path.parent), environment={})


def test_a_folder_is_a_domain_by_its_names(tmp_path: Path):
    folder = tmp_path / "things"
    for name in ("labelled", "test", "generator"):
        (folder / name).mkdir(parents=True)
    with pytest.raises(UsageError, match="does not tell its classes"):
        load_domain(str(folder), environment={})
    (folder / "labelled" / "classes.json").write_text('{"classes": {"0": "ground", "1": "thing"}}')
    found = load_domain(str(folder), environment={})
    assert (found.name, found.about.classes) == ("things", ("ground", "thing"))
    assert sorted(found.paths) == ["generator", "labelled", "test"]
    assert found.missing["unlabelled"] == (
        "the domain things has no unlabelled pictures; add them to its folder as unlabelled or unlabelled.zip, or name "
        "them in its domain.yaml"
    )
    assert found.texts()["inverted"] == "--inversion-steps {inversion_steps}"
    (folder / "latents.npy").write_bytes(b"rows")
    known = load_domain(str(folder), environment={})
    assert (known.paths["latents"], known.texts()["inverted"]) == (folder / "latents.npy", "--latents {latents}")
    (folder / "generator").rmdir()
    alone = load_domain(str(folder), environment={})
    told = "the domain things has no generator; give one with --generator DIR"
    assert alone.missing["generator"] == told
    for text, error in (("[]", "does not name classes"), ('{"classes": {"0": "a"}}', "names 1 classes")):
        (folder / "labelled" / "classes.json").write_text(text)
        with pytest.raises(UsageError, match=error):
            load_domain(str(folder), environment={})
    (folder / "test").rmdir()
    with pytest.raises(UsageError, match=r"it has neither domain.yaml nor test/ \(or test.zip\)"):
        load_domain(str(folder), environment={})


def test_pictures_that_are_elsewhere_are_named_when_they_are_needed(tmp_path: Path):
    domain = load_domain("xray", environment={})
    with pytest.raises(UsageError, match=r"the domain xray needs its labelled pictures, \{data\}/xray/pool.zip: give"):
        make_plan("algorithm2", load_study("algorithm2"), load_shared(), domain, Choice(quick=True))
    domain = load_domain("xray", environment={"DATA": str(tmp_path)})
    with pytest.raises(UsageError, match=r"pool\.zip is not there, the labelled of the domain xray; give the folder"):
        make_plan("algorithm2", load_study("algorithm2"), load_shared(), domain, Choice(quick=True))
    with pytest.raises(UsageError, match="there is no domain 'portrait'; did you mean 'portraits'"):
        load_domain("portrait")
    domain = load_domain("portraits", generator=tmp_path)
    assert domain.paths["generator"] == tmp_path


def test_a_digest_is_of_names_and_content(tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "a").mkdir(parents=True)
        (folder / "a" / "b.png").write_text("picture")
    assert content_digest(one) == content_digest(two)
    (two / ".hidden").write_text("")
    assert content_digest(one) == content_digest(two)
    (two / "a" / "b.png").rename(two / "a" / "c.png")
    assert content_digest(one) != content_digest(two)
    # of a network's folder only what makes it one: cards and logs may be written anew
    for folder in (one, two):
        (folder / "model.safetensors").write_text("weights")
        (folder / "config.json").write_text("{}")
    assert content_digest(one) == content_digest(two)
    (two / "model.safetensors").write_text("others")
    assert content_digest(one) != content_digest(two)
    with pytest.raises(UsageError, match="is not there"):
        content_digest(tmp_path / "none")
