"""The sections of a study's page that say what ran, what failed or is missing, and how it was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from html import escape
from statistics import median
from typing import Any

from gannotate.report.tables import clock, facts, scrolled
from gannotate.studies.findings import Figure
from gannotate.studies.reading import Ended

MOST_ROWS = 60
"""Missing figures that are listed one by one."""


def lacking(ended: Ended) -> str:
    """How many figures failed, were not run or have no value (of a class that is nowhere); empty when all are there."""
    figures = [figure for point in ended.points for figure in point.figures.values()]
    failed, missing = sum(one.failed for one in figures), sum(one.not_run for one in figures)
    counts = {"failed": failed, "not run": missing, "of classes that are nowhere": sum(map(without_value, figures))}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def without_value(figure: Figure) -> int:
    """Of how many seeds it has no value though all was run: of a class that is nowhere in these pictures."""
    return figure.asked - figure.count - figure.failed - figure.not_run


def what_ran(ended: Ended) -> str:
    """Which commands ran, failed or are missing, step by step, and the figures that are missing because of it."""
    cells = _wanted(ended)
    if not cells:
        told = f"{ended.content.get('cell_count', 'some')} commands, which study.json does not tell one by one."
        return f"<section><h2>What ran</h2><p>{told}</p>{_missing(ended)}</section>"
    steps = dict.fromkeys(cell["step"] for cell in cells.values())
    rows = "".join(_step_row(step, [cell for cell in cells.values() if cell["step"] == step]) for step in steps)
    idle = len(ended.content.get("cells", {})) - len(cells)
    gone = (
        f" {idle} more {'was' if idle == 1 else 'were'} not needed: what follows from them is there already."
        if idle
        else ""
    )
    states = Counter(cell["status"] for cell in cells.values())
    lines = ", ".join(f"{states[state]} {state}" for state in ("done", "failed", "not run") if states[state])
    head = "".join(f'<th scope="col">{name}</th>' for name in ("done", "failed", "not run", "median", "together"))
    table = (
        f'<table class="figures"><thead><tr><th scope="col">step</th>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )
    return (
        f"<section><h2>What ran</h2><p>{len(cells)} commands: {lines}.{gone} A command that several rows or studies "
        f"share runs once.</p>{scrolled(table, 'What ran')}{_failures(cells)}{_missing(ended)}</section>"
    )


def how_it_was_made(ended: Ended) -> str:
    """Command, settings, seeds, wall time, machine, versions, and every command with its time and memory."""
    content = ended.content
    machine, versions = content.get("hardware", {}), content.get("versions", {})
    settings = ", ".join(f"{name} {value}" for name, value in content.get("settings", {}).items())
    axes = "".join(
        _axis(name, axis.title, [one.shown for one in axis.values]) for name, axis in ended.frame.axes.items()
    )
    peaks = [cell["peak_mb"] for cell in content.get("cells", {}).values() if cell.get("peak_mb")]
    rows = [
        ("command", f"<code>{escape(str(content.get('command', '-')))}</code>"),
        ("varied", f"<ul>{axes}</ul>"),
        ("settings", escape(settings or "none of its own")),
        ("seeds", escape(", ".join(map(str, content.get("seeds", ()))))),
        ("wall time", escape(_times(content))),
        *([("most memory of a command", f"{max(peaks):,.0f} MB")] if peaks else []),
        ("hardware", escape(_machine(machine))),
        ("software", escape(", ".join(f"{name} {version}" for name, version in versions.items()) or "unknown")),
        ("classes", escape(", ".join(content.get("domain", {}).get("classes", ())) or "-")),
    ]
    return f"<section><h2>How it was made</h2>{facts(rows)}{_all_cells(ended)}</section>"


def _times(content: Mapping[str, Any]) -> str:
    together, last = content.get("cells_s"), content.get("wall_s")
    parts = [f"{clock(together)} for all commands together"] if together is not None else []
    parts += [f"{clock(last)} the last time that the study was run"] if last else []
    return ", ".join(parts) or "unknown"


def _machine(known: Mapping[str, Any]) -> str:
    if not known:
        return "unknown"
    card = f", {known['gpu']}" if "gpu" in known else ""
    memory = f", {known['memory_mb']:,} MB of memory" if known.get("memory_mb") else ""
    system = f", {known['system']}" if known.get("system") else ""
    return f"{known.get('cores', '?')} cores of {known.get('processor', '?')}{card}{memory}{system}"


def _axis(name: str, title: str, values: list[str]) -> str:
    return f"<li>{escape(title or name)}: {escape(', '.join(values))}</li>"


def _wanted(ended: Ended) -> dict[str, Mapping[str, Any]]:
    """All cells but those that did not run and that nothing missing waits for."""
    cells: Mapping[str, Mapping[str, Any]] = ended.content.get("cells", {})
    read = {cell for row in ended.content.get("rows", ()) for cell in row.get("cells", {}).values()}
    wanted, open_ends = set[str](), [cell for cell in read if cell in cells]
    while open_ends:
        cell = open_ends.pop()
        if cell not in wanted:
            wanted.add(cell)
            open_ends += cells[cell].get("uses", ()) if cells[cell]["status"] != "done" else ()
    return {name: cell for name, cell in cells.items() if cell["status"] != "not run" or name in wanted}


def _step_row(step: str, cells: list[Mapping[str, Any]]) -> str:
    states = Counter(cell["status"] for cell in cells)
    seconds = [cell["seconds"] for cell in cells if cell["seconds"] is not None]
    counts = "".join(f"<td>{states[state] or '-'}</td>" for state in ("done", "failed", "not run"))
    times = [clock(median(seconds)), clock(sum(seconds))] if seconds else ["-", "-"]
    return f'<tr><th scope="row">{escape(step)}</th>{counts}{"".join(f"<td>{time}</td>" for time in times)}</tr>'


def _failures(cells: Mapping[str, Mapping[str, Any]]) -> str:
    failed = {name: cell for name, cell in cells.items() if cell["status"] == "failed"}
    if not failed:
        return ""
    items = "".join(
        f"<li><b>{escape(cell['step'])}</b> {escape(_at(cell['at']))}: {escape(cell.get('error', 'no reason known'))}"
        f"<br><code>{escape(cell['command'])}</code> (cells/{escape(name)})</li>"
        for name, cell in failed.items()
    )
    return f'<h3>Failed</h3><ul class="plain">{items}</ul>'


def _missing(ended: Ended) -> str:
    rows = [row for row in ended.content.get("rows", ()) if row["status"] != "done"]
    if not rows:
        return ""
    shown = "".join(
        f'<tr><th scope="row">{escape(_at(row["at"]))}</th><td>{row["seed"]}</td><td>{escape(row["status"])}</td>'
        f"<td>{escape('; '.join(dict.fromkeys(row.get('errors', {}).values())) or 'its turn has not come')}</td></tr>"
        for row in rows[:MOST_ROWS]
    )
    more = f'<p class="note">And {len(rows) - MOST_ROWS} more.</p>' if len(rows) > MOST_ROWS else ""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("at", "seed", "what", "why"))
    table = f'<table class="runs"><thead><tr>{head}</tr></thead><tbody>{shown}</tbody></table>'
    return f"<h3>Rows with missing figures</h3>{scrolled(table, 'Rows with missing figures')}{more}"


def _all_cells(ended: Ended) -> str:
    if not ended.content.get("cells"):
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(cell["step"])}</th><td><code>{escape(cell["command"] or "-")}</code></td>'
        f'<td>{escape(cell["status"])}</td><td class="number">'
        f"{'-' if cell['seconds'] is None else clock(cell['seconds'])}</td></tr>"
        for cell in ended.content.get("cells", {}).values()
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("step", "command", "state"))
    table = (
        f'<table class="runs"><thead><tr>{head}<th scope="col" class="number">wall time</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
    return f'<details class="all"><summary>every command</summary>{scrolled(table, "Every command")}</details>'


def _at(at: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in at.items())
