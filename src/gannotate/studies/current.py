"""A study's folder as the study is declared today: what it found is its own, what that says is looked up anew.

Claims, what differs from the paper, and what counts as learned, are corrected as papers are read again. Pages and the
table of claims must then say the same of a folder that was written before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gannotate.errors import UsageError
from gannotate.studies.comparison import check
from gannotate.studies.documents import Scalar
from gannotate.studies.findings import Finding, Point, Verdict
from gannotate.studies.frame import Frame
from gannotate.studies.plan import told_differences
from gannotate.studies.reading import Ended
from gannotate.studies.study import Expectation, Study, Superseded, load_study, names


def as_declared(ended: Ended) -> Ended:
    """With today's claim, differences, published figures and findings, if the study is one that ships."""
    if ended.name not in names():
        return ended
    study = load_study(ended.name)
    frame = _judged(study, ended.frame)
    return replace(
        ended,
        frame=frame,
        findings=tuple(_finding(frame, ended.points, one) for one in study.expect),
        content={
            **ended.content,
            "paper": study.paper.model_dump(),
            "claim": study.claim,
            "differences": _differences(study, ended),
            "untestable": [one.model_dump(mode="json") for one in study.untestable],
            "superseded": list(superseded(study, frame, written_at(ended))),
        },
    )


def superseded(study: Study, frame: Frame, written: str) -> Iterator[str]:
    """Which of the figures a change of ours has made other since they were written, and how, in a sentence each."""
    for one in _changes_since(study, written):
        held = [_held(frame, axis, values) for axis, values in one.at.items()]
        if all(held):
            named = ", ".join(title for titles in held for title in titles)
            yield f"Not measured anew since a change: {named}. {one.what}"


def stands_on_superseded(study: Study, one: Expectation, found: Finding, written: str) -> bool:
    """Whether a comparison behind a finding has a figure that a change of ours has made other since it was written."""
    ends: list[dict[str, Scalar]] = [{axis: end} for axis, both in one.change.items() for end in both] or [{}]
    compared = [
        {**item["at"], **side, **end} for item in found.differences for side in (one.better, one.than) for end in ends
    ]
    return any(
        all(at.get(axis) in values for axis, values in change.at.items())
        for change in _changes_since(study, written)
        for at in compared
    )


def _changes_since(study: Study, written: str) -> list[Superseded]:
    return [one for one in study.superseded if written < one.before]


def written_at(ended: Ended) -> str:
    """When study.json was written, empty where it does not say."""
    return str(ended.content.get("written", ""))


def _held(frame: Frame, axis: str, values: Sequence[Scalar]) -> list[str]:
    """Titles of those values that the frame has on an axis."""
    return [one.title for one in frame.axes[axis].values if one.value in values] if axis in frame.axes else []


def _differences(study: Study, ended: Ended) -> str:
    """Today's, where the folder has the settings that they name; else as they were said then."""
    try:
        return told_differences(ended.name, study, ended.content.get("settings", {}))
    except UsageError:
        return str(ended.content.get("differences", ""))


def _judged(study: Study, frame: Frame) -> Frame:
    return replace(
        frame,
        expect=study.expect,
        published=study.published,
        learned=study.learned if study.learned in frame.measures else None,
        floor=study.floor if study.floor.keys() <= frame.axes.keys() else {},
    )


def _finding(frame: Frame, points: tuple[Point, ...], one: Expectation) -> Finding:
    if one.measure is not None and one.measure not in frame.families:
        return Finding(one.text, Verdict.NOT_RUN, 0, 0, (), f"its figures have no {one.measure}")
    return check(frame, points, one)
