"""study.json may be anybody's: whatever one of its fields becomes, a page and claims come of it, or one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gannotate.errors import GannotateError
from gannotate.report.study import study_page
from gannotate.studies import claims
from gannotate.studies.reading import read_study

KEPT = Path(__file__).parents[3] / "docs" / "study-results"
SMALL = ("layermatch-features-portraits", "imagenet-features-portraits", "real-or-generated-labels-portraits")
VALUES: tuple[Any, ...] = ("x", "", None, True, -1, 0, 3, 2.5, 1e300, -1e300, 10**30, float("nan"), float("inf"))
VALUES += ([], [1], ["x"], {}, {"x": 1}, [[1, 2]], [{}], "\0", "a\nb", r"$\frac$", "_x")
GONE = object()


@cache
def content_of(name: str) -> dict[str, Any]:
    return json.loads((KEPT / name / "study.json").read_text())


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """All that is below a value, itself without."""
    for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*place, key)
        yield from places(below, (*place, key))


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A study.json with one field that is gone, or another; parts of few fields as often as those of many."""
    content = deepcopy(content_of(draw(st.sampled_from(SMALL))))
    top = draw(st.sampled_from(sorted(content)))
    place = draw(st.sampled_from([(top, *place) for place in [(), *places(content[top])]]))
    value = draw(st.sampled_from((*VALUES, GONE)))
    holder = content
    for key in place[:-1]:
        holder = holder[key]
    if value is GONE:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place for the file; studies that ship are read once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "load_study", cache(claims.load_study))
        yield tmp_path_factory.mktemp("study")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=damaged())
@pytest.mark.filterwarnings("ignore")
def test_one_field_of_another_kind_is_read_or_refused_in_one_sentence(folder: Path, content: dict[str, Any]):
    (folder / "study.json").write_text(json.dumps(content))
    try:
        ended = read_study(folder)
    except GannotateError:  # which is one line whatever it tells
        return
    assert study_page(ended).endswith("</html>\n")
    assert claims.all_claims([ended])


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("points", 0, "figures", "miou", "count"), "x", r"points\.0\.figures\.miou\.count: Input should be a"),
        (("points", 0, "at"), {}, "point 1 is at no value of every axis"),
        (("tables", 0, "rows"), ["nowhere"], "table 1 names the axis 'nowhere', which is not there"),
        (("plots", 0, "measure"), "acuracy", "plot 1 names the measure 'acuracy', which is not there; did you mean"),
        (("learned",), "no", "learned names the measure 'no', which is not there"),
        (("scored_pictures",), [1], "scored_pictures are not the fewest and the most"),
        (("cells_s",), 1e300, "cells_s: Input should be less than or equal to 1000000000000000000"),
        (("title",), "\ud800", "Invalid JSON"),
    ],
)
def test_the_place_is_named(tmp_path: Path, place: tuple[Any, ...], value: Any, told: str):
    content = deepcopy(content_of("algorithm2-portraits"))
    holder = content
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    (tmp_path / "study.json").write_text(json.dumps(content))
    with pytest.raises(GannotateError, match=rf"study\.json is damaged \(.*{told}.*`gannotate study run` writes it"):
        read_study(tmp_path)


@pytest.mark.parametrize("kept", sorted(path.parent.name for path in KEPT.glob("*/study.json")))
def test_what_a_later_version_adds_is_left_alone(tmp_path: Path, kept: str):
    """Every study.json that is kept, with a field more in each of its parts that has fields of its own."""
    content = deepcopy(content_of(kept))
    named = ("axes", "measures", "points", "rows", "findings", "tables", "plots", "expect", "published", "curves")
    lists = [content.get(name, []) for name in (*named, "pictures", "untestable", "cells")]
    parts = [one for some in lists for one in (some.values() if isinstance(some, dict) else some)]
    parts += [figure for point in content["points"] for figure in point["figures"].values()]
    parts += [value for axis in content["axes"].values() for value in axis["values"]]
    parts += [line for curve in content.get("curves", []) for line in curve["lines"]]
    for part in (content, content["paper"], content["domain"], content["hardware"], *parts):
        part["of a later version"] = {"a": 1}
    (tmp_path / "study.json").write_text(json.dumps(content))
    later, now = read_study(tmp_path), read_study(KEPT / kept)
    assert later.frame == now.frame
    assert (later.points, later.findings) == (now.points, now.findings)
    assert (later.curves, later.pictures) == (now.curves, now.pictures)
