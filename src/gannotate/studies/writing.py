"""A study's folder: study.json with all that a page needs, the tables, the plots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gannotate.errors import GannotateError
from gannotate.files import write_bytes, write_json, write_text
from gannotate.record import hardware, now, versions
from gannotate.studies.cell import read_state
from gannotate.studies.comparison import check
from gannotate.studies.curves import DrawnCurve, collect, curve_lines, curves_as_json, read_curves
from gannotate.studies.curves import comma_separated as curve_csv
from gannotate.studies.findings import Finding, Point, as_json, summarise
from gannotate.studies.folds import PROTOCOL, told_folds
from gannotate.studies.frame import Frame, frame_as_json, frame_of
from gannotate.studies.pictures import picture_lines, read_pictures, write_pictures
from gannotate.studies.plan import Plan
from gannotate.studies.runner import Outcomes
from gannotate.studies.tables import comma_separated, markdown
from gannotate.studies.words import Result, field_of
from gannotate.wording import counted, span

STUDY, TABLE, VALUES = "study.json", "table.md", "table.csv"
FORMAT_VERSION = 1

FIGURE = re.compile(r"(plot|curve|picture)(-\d+)?\.(svg|png|csv)")
"""Names of what is drawn beside it."""

SCORES = "evaluate"
"""The verb whose result tells on how many pictures it scored."""


def write_study(folder: Path, plan: Plan, outcomes: Outcomes, command: str, wall_s: float) -> dict[str, Any]:
    """Writes FOLDER/NAME-DOMAIN/ anew from what is there; gives what is in study.json."""
    points, frame = summarise(plan, outcomes), frame_of(plan)
    findings = [check(frame, points, one) for one in frame.expect]
    own = folder / plan.called
    plots = _write_plots(own, frame, points)
    content = {
        "format_version": FORMAT_VERSION,
        **about(plan),
        **as_json(plan, outcomes, points, findings),
        "scored_pictures": _scored(plan, outcomes),
        "plots": plots,
        "curves": _write_curves(own, frame, collect(folder, plan, outcomes)),
        "pictures": [asdict(one) for one in write_pictures(folder, own, plan, outcomes)],
        "cells": _cells(folder, plan, outcomes),
        "cell_count": len(plan.cells),
        "command": command,
        "written": now(),
        "wall_s": round(wall_s, 1),
        "cells_s": round(sum(outcomes.ran[cell].seconds or 0.0 for cell in plan.cells if cell in outcomes.ran), 1),
        "versions": versions(),
        "hardware": hardware(),
    }
    write_text(own / TABLE, page_of(frame, points, findings, content))
    write_text(own / VALUES, comma_separated(frame, points))
    write_json(own / STUDY, content)
    _drop_stale(own, content)
    return content


def _drop_stale(own: Path, content: Mapping[str, Any]) -> None:
    """Removes figures of an earlier writing that study.json names no more."""
    named = {
        name
        for one in (*content["plots"], *content["curves"], *content["pictures"])
        for name in (one.get(kind) for kind in ("svg", "png", "csv", "file"))
    }
    for path in own.iterdir():
        if FIGURE.fullmatch(path.name) and path.name not in named:
            path.unlink(missing_ok=True)


def about(plan: Plan) -> dict[str, Any]:
    """What the study is and how much of it was asked for, JSON-able."""
    study = plan.study
    return {
        "study": plan.name,
        "paper": study.paper.model_dump(),
        "claim": study.claim,
        "differences": plan.differences,
        "reduced": list(plan.reduced),
        "besides": [*plan.besides, *plan.above],
        "untestable": [one.model_dump(mode="json") for one in study.untestable],
        "domain": {
            "name": plan.domain.name,
            "title": plan.domain.about.title,
            "about": plan.domain.about.about,
            "classes": list(plan.domain.about.classes),
        },
        "seeds": list(plan.seeds),
        "settings": dict(plan.settings),
        **frame_as_json(frame_of(plan)),
    }


def _scored(plan: Plan, outcomes: Outcomes) -> list[int]:
    """The fewest and the most pictures that a network was scored on; empty where nothing tells."""
    read = {figure.cell for row in plan.rows for figure in row.figures.values() if figure.cell in outcomes.results}
    tests = [outcomes.results[cell].get("pictures") for cell in read if plan.cells[cell].verb == SCORES]
    counts = [count for count in tests if isinstance(count, int)]
    return [min(counts), max(counts)] if counts else []


def _made(content: Mapping[str, Any]) -> str:
    """What somebody needs who does it again, or writes it up."""
    machine, of, scored_on = content["hardware"], content["versions"], content["scored_pictures"]
    seeds = f"Seed{'s' if len(content['seeds']) > 1 else ''} {', '.join(map(str, content['seeds']))}. "
    scored = (
        f"Scored on {span(*scored_on)} {'picture' if scored_on[1] == 1 else 'pictures'} each. " if scored_on else ""
    )
    packages = ", ".join(f"{name} {of[name]}" for name in ("gannotate", "torch") if name in of)
    count = content.get("cell_count", len(content["cells"]))  # earlier versions did not tell it
    took = f"{counted(count, 'cell')}, {content['cells_s'] / 60:.1f} minutes of them together"
    return (
        f"{seeds}{scored}{took}, on {machine['cores']} cores ({machine['processor']}). Made by `{content['command']}` "
        f"with {packages}, {content['written'][:10]}."
    )


def _cells(folder: Path, plan: Plan, outcomes: Outcomes) -> dict[str, Any]:
    found, read = {}, _read(plan, outcomes)
    for name, cell in plan.cells.items():
        state, error = outcomes.state(plan, name)
        ran = outcomes.ran.get(name)
        found[name] = {
            "step": cell.step,
            "at": dict(cell.at),
            "status": state,
            "uses": list(cell.uses),
            "command": read_state(folder, name).get("command", ran.command if ran else ""),
            "seconds": ran.seconds if ran else None,
            "cpu_s": ran.cpu_s if ran else None,
            "peak_mb": ran.peak_mb if ran else None,
            "reused": bool(ran and ran.reused),
            **({"read": read[name]} if name in read else {}),
            **({"error": error} if error else {}),
        }
    return found


def _read(plan: Plan, outcomes: Outcomes) -> dict[str, dict[str, Any]]:
    """By cell, the part of its result that figures are read of, and on how many pictures it scored.

    A field that need not be there, and is not, is None: so it is known that there is none.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in plan.rows:
        for name, figure in row.figures.items():
            result = outcomes.results.get(figure.cell)
            if result is not None:
                part = found.setdefault(figure.cell, {name: result[name] for name in ("pictures",) if name in result})
                _copy_field(result, figure, part, plan.measures[name].optional)
                if (told := told_folds(result, figure)) is not None:
                    part[PROTOCOL] = {**part.get(PROTOCOL, {}), **told}
    return found


def _copy_field(result: Mapping[str, Any], figure: Result, part: dict[str, Any], optional: bool) -> None:
    """Copies one field, which may be below others; nothing where it should be in the result and is not."""
    try:
        value = field_of(result, figure)
    except GannotateError:
        if not optional:
            return
        value = None
    for field in figure.fields[:-1]:
        part = part.setdefault(field, {})
    part[figure.fields[-1]] = value


def _write_plots(own: Path, frame: Frame, points: Sequence[Point]) -> list[dict[str, Any]]:
    from gannotate.studies.plot import draw  # matplotlib takes a second to load

    written = []
    for number, plot in enumerate(frame.plots, start=1):
        stem = "plot" if len(frame.plots) == 1 else f"plot-{number}"
        for kind, data in draw(frame, plot, points).items():
            write_bytes(own / f"{stem}.{kind}", data)
        written.append({**plot.model_dump(mode="json"), "svg": f"{stem}.svg", "png": f"{stem}.png"})
    return written


def _write_curves(own: Path, frame: Frame, curves: Sequence[DrawnCurve]) -> list[dict[str, Any]]:
    from gannotate.studies.curve_plot import draw_curve  # as above

    content = curves_as_json(curves)
    for about, drawn in zip(content, curves, strict=True):
        for kind, data in draw_curve(frame, drawn).items():
            write_bytes(own / about[kind], data)
        write_text(own / about["csv"], curve_csv(drawn))
    return content


def otherwise_than_asked(content: Mapping[str, Any]) -> list[str]:
    """In what less or more was done than the study asks for, in words; study.json of earlier versions may lack it."""
    return [str(one) for name in ("reduced", "besides") for one in content.get(name, ())]


def page_of(frame: Frame, points: Sequence[Point], findings: Sequence[Finding], content: Mapping[str, Any]) -> str:
    """A study's table.md. content: what study.json says of it."""
    paper, otherwise = content["paper"], otherwise_than_asked(content)
    lines = [
        f"## {frame.title}: {frame.domain}{', quick form' if frame.quick else ''}",
        "",
        f"{paper['of']}, {paper['where']}. {content['claim']}",
        *(["", f"Otherwise than there: {content['differences']}"] if content["differences"] else []),
        *(
            ["", f"Otherwise here than the study asks for: {'; '.join(otherwise)}."]
            if otherwise and not frame.quick
            else []
        ),
        *(line for told in content.get("superseded", ()) for line in ("", f"**{told}**")),
        "",
        markdown(frame, points, findings).rstrip(),
        "",
        *[
            f"![{frame.title_of(plot)}, {frame.domain}]({kept['svg']})"
            for plot, kept in zip(frame.plots, content["plots"], strict=True)
        ],
        "",
        *curve_lines(read_curves(content), frame.domain),
        *picture_lines(read_pictures(content), frame.domain),
        _made(content),
    ]
    return "\n".join(lines) + "\n"
