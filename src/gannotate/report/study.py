"""A study's page: one HTML file from its study.json alone, whatever became of its cells."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from gannotate.files import write_text
from gannotate.record import now
from gannotate.report.shell import PAGE, shell
from gannotate.report.study_cells import how_it_was_made, lacking, what_ran, without_value
from gannotate.report.study_plot import curve_svg, plot_svg
from gannotate.report.tables import clock, prose, scrolled
from gannotate.report.verdicts import badge
from gannotate.studies.comparison import NOISE
from gannotate.studies.current import as_declared
from gannotate.studies.curve_plot import curve_seeds_text
from gannotate.studies.curves import missing_text
from gannotate.studies.findings import Finding, Verdict
from gannotate.studies.pictures import picture_bytes
from gannotate.studies.plot import has_figures, seeds_text
from gannotate.studies.reading import Ended, read_study
from gannotate.studies.tables import Grid, difference_format, difference_text, grid, named, note, published, signed
from gannotate.studies.writing import otherwise_than_asked
from gannotate.wording import span

MOST_LETTERS = 100
"""Letters beside each other that fit on a sheet of paper as large as tables are printed there (see page.css)."""
APART, APART_NARROW = 1.7, 1.2
"""What is left free between two columns of a printed table, and of one that needs its room, in letters."""
SMALL = 0.84
"""Size of the letters of what stands in brackets, as a part of the others'."""
NO_FIGURE = {"failed": "against", "not run": "none"}
"""What stands in a table instead of a figure, and how it looks."""
LEAST_NAME, BADGE = 12, 4
"""Letters that a column of names takes at least; that a badge has around its text."""


def write_study_page(folder: str | Path) -> Path:
    """Writes STUDY/report/index.html, replacing an older one, and returns its path.

    Raises:
        UsageError: not a study's folder. GannotateError: its study.json is damaged, or the page cannot be written.
    """
    path = Path(folder) / PAGE
    write_text(path, study_page(as_declared(read_study(folder))))
    return path


def study_page(ended: Ended) -> str:
    """The whole page. It asks nothing of the network."""
    sections = (
        _opening(ended),
        _paper(ended),
        _claims(ended),
        _measured(ended),
        _published(ended),
        what_ran(ended),
        how_it_was_made(ended),
    )
    written = escape(str(ended.content.get("written", "at an unknown time")))
    made = f"Made by gannotate from study.json of {written} at {now()}; <code>gannotate report</code> makes it again."
    return shell(f"{ended.frame.title}, {ended.frame.domain}", sections, made)


def _opening(ended: Ended) -> str:
    content, frame = ended.content, ended.frame
    paper = content.get("paper", {})
    quick = (
        ' <b class="verdict partly">quick form</b> Fewer values, steps and pictures than the study asks for: its '
        "figures show that it runs, not what is true."
    )
    numbers = "".join(f"<div><b>{value}</b><span>{escape(text)}</span></div>" for value, text in _numbers(ended))
    return (
        f'<header><h1>{escape(frame.title)}</h1><p class="lead">{escape(_source(paper))}. Here on: '
        f'{escape(frame.domain)}.{quick if frame.quick else ""}</p><div class="numbers">{numbers}</div></header>'
    )


def _source(paper: Mapping[str, str]) -> str:
    return f"{paper.get('of', 'an unknown paper')}: {paper.get('where', '?')}"


def _numbers(ended: Ended) -> list[tuple[str, str]]:
    content, own = ended.content, _own(ended)
    figures = [figure for point in ended.points for figure in point.figures.values()]
    empty = sum(without_value(one) for one in figures)
    there, asked = sum(one.count for one in figures), sum(one.asked for one in figures) - empty
    numbers = []
    if own:
        findings = [one for one in own if one.places]
        held, partly = (sum(one.verdict is kind for one in findings) for kind in (Verdict.HOLDS, Verdict.PARTLY))
        unseen, untestable = len(own) - len(findings), content.get("untestable", ())
        elsewhere = sum(bool(one.get("see")) for one in untestable)
        undone = sum(bool(one.get("possible")) for one in untestable)
        more = f", {partly} more in part" if partly else ""
        rest = f"; {unseen} could not be looked up" if findings and unseen else ""
        left = len(untestable) - elsewhere - undone
        rest += f"; {left} more cannot be tested here" if left else ""
        rest += f"; {undone} more {'was' if undone == 1 else 'were'} not tested here" if undone else ""
        rest += f"; {elsewhere} more {'is' if elsewhere == 1 else 'are'} asked by another study" if elsewhere else ""
        if findings:
            numbers.append((f"{held} of {len(findings)}", f"parts of the claim hold here{more}{rest}"))
        else:
            numbers.append((f"0 of {len(own)}", f"parts of the claim could be looked up{rest}"))
    gone = lacking(ended)
    numbers.append((f"{there:,} of {asked:,}", f"figures are there{f', {gone}' if gone else ''}"))
    seeds = len(content.get("seeds", ()))
    numbers.append((str(seeds), f"seed{'' if seeds == 1 else 's'}, each with draws of its own"))
    if scored := content.get("scored_pictures"):
        numbers.append((span(*scored), "pictures scored on"))
    seconds, machine = content.get("cells_s"), content.get("hardware", {})
    if seconds:
        numbers.append((clock(seconds), f"for all commands together, on {machine.get('cores', '?')} cores"))
    return numbers


def _own(ended: Ended) -> list[Finding]:
    """What became of the parts that the paper claims, without the questions that are ours."""
    ours = {one.text for one in ended.frame.expect if one.ours}
    return [one for one in ended.findings if one.text not in ours]


def _paper(ended: Ended) -> str:
    content = ended.content
    differences = str(content.get("differences", ""))
    about = str(content.get("domain", {}).get("about", ""))
    told = f"<p><b>Otherwise than there.</b> {prose(differences)}</p>" if differences else ""
    if otherwise := otherwise_than_asked(content):
        told += f"<p><b>Otherwise than the study asks for.</b> {escape('; '.join(otherwise))}.</p>"
    told += "".join(f"<p><b>{escape(one)}</b></p>" for one in content.get("superseded", ()))
    told += f"<p><b>{escape(ended.frame.domain)}.</b> {escape(about)}</p>" if about else ""
    return (
        f"<section><h2>What the paper says</h2><blockquote>{prose(str(content.get('claim', '')))}</blockquote>"
        f"{told}</section>"
    )


def _claims(ended: Ended) -> str:
    untestable = ended.content.get("untestable", ())
    if not ended.findings and not untestable:
        return ""
    items = [_claim(one, ended) for one in ended.findings]
    items += map(_unasked, untestable)
    spread = any(item.get("seeds", 1) > 1 for one in ended.findings for item in one.differences)
    over = " over seeds" if spread else ""
    return (
        "<section><h2>What becomes of it here</h2><p>Each part of the claim that can be looked up, at every value of "
        f"the other axes. The difference is that of the means{over}, plus when the claim's side is ahead. "
        f"{escape(NOISE)}</p>"
        f'<ul class="claims">{"".join(items)}</ul></section>'
    )


def _unasked(one: Mapping[str, Any]) -> str:
    """A part that the study does not ask: what another one found, or why nobody asks it."""
    why = f"<p>{prose(one['why'])}</p>"
    mark = badge(Verdict.UNTESTED if one.get("possible") else Verdict.UNTESTABLE)
    if see := one.get("see"):
        mark = f'<b class="verdict">see {escape(see["study"])}</b>'
        why += f"<p>{escape(see['study'])} asks it: {escape(see['part'])}.</p>"
    return f"<li>{mark}<div><b>{prose(one['text'])}</b>{why}</div></li>"


def _claim(one: Finding, ended: Ended) -> str:
    verdict = one.verdict
    if not one.places:
        return f"<li>{badge(verdict)}<div><b>{escape(one.text)}</b><p>{escape(_why(one))}</p></div></li>"
    where = [] if one.places == 1 else [f"at {one.held} of {one.places} places"]
    close = one.places - one.held - one.lost
    if close and one.places > 1 and any("noise" in item for item in one.differences):
        where.append(f"too close to tell at {close}")
    if one.unlearned:
        where.append(f"{one.unlearned} left out as the rival learned nothing there")
    where += [one.why] if one.why else []
    form = difference_format(one, ended.frame)
    by = next((asked.by for asked in ended.frame.expect if asked.text == one.text), 0.0)
    wanted = f", at least {signed(by, form)} is asked for" if by else ""
    told = f"{', '.join(where)}{'; ' if where else ''}difference {difference_text(one, ended.frame)}{wanted}"
    rows = "".join(
        f"<li>{escape(_place(item['at'], ended))}: <b>{signed(item['difference'], form)}</b></li>"
        for item in one.differences
    )
    places = f"<details><summary>place by place</summary><ul>{rows}</ul></details>" if one.places > 1 else ""
    ours = "" if one in _own(ended) else " <small>(our question, not the paper's)</small>"
    return f"<li>{badge(verdict)}<div><b>{escape(one.text)}</b>{ours}<p>{escape(told)}</p>{places}</div></li>"


def _why(one: Finding) -> str:
    return one.why or "nothing to compare: figures are missing"


def _place(at: Mapping[str, object], ended: Ended) -> str:
    """Where a comparison was made, in the words of the axes that have several values."""
    parts = []
    for axis, value in at.items():
        if axis not in ended.frame.axes:  # a class
            parts.append(str(value))
            continue
        found = ended.frame.axes[axis]
        shown = next((one.shown for one in found.values if str(one.value) == str(value)), str(value))
        parts.append(f"{found.title or axis} {shown}")
    return ", ".join(parts) or "everywhere"


def _measured(ended: Ended) -> str:
    frame, parts = ended.frame, []
    grids = [grid(frame, table, ended.points) for table in frame.tables]
    for table, filled in zip(frame.tables, grids, strict=True):
        title = f"<h3>{escape(table.title)}</h3>" if table.title else ""
        parts.append(f"{title}{grid_html(filled, table.title or 'What we measured')}")
    plots, lost = [], ""
    for plot in frame.plots:
        measure = frame.measures[plot.measure].title or plot.measure
        x = frame.axes[plot.x]
        alone = len(x.values) == 1 and plot.series
        name = f"{measure}, {named(plot.x, x, x.values[0])}" if alone else f"{measure} over {x.title or plot.x}"
        name = plot.title or name
        if not has_figures(frame, plot, ended.points):  # axes from 0 to 1 look like a result
            lost += f"<p>No plot, {escape(name)}: there is nothing to draw yet.</p>"
            continue
        svg = plot_svg(frame, plot, ended.points, f"{name}, {frame.domain}")
        plots.append(_plotted(svg, name, seeds_text(plot, ended.points)))
    for drawn in ended.curves:
        if any(line.points for line in drawn.lines):
            svg = curve_svg(frame, drawn, f"{drawn.curve.title}, {frame.domain}")
            plots.append(_plotted(svg, drawn.curve.title, curve_seeds_text(drawn)))
        lost += f"<p>{escape(text)}</p>" if (text := missing_text(drawn)) else ""
    uneven = " Means that lack seeds which others have are not compared." if any(one.uneven for one in grids) else ""
    drawings = f'<div class="plots">{"".join(plots)}</div>' if plots else ""
    return (
        f"<section><h2>What we measured</h2><p>{escape(note(ended.points))} Bold: the best of a column, and what is "
        f"within the noise of it.{uneven}</p>{''.join(parts)}{drawings}{lost}{_pictures(ended)}</section>"
    )


def _plotted(svg: str, name: str, seeds: str) -> str:
    """A drawing with its name and over how many seeds it is, which differs from plot to plot."""
    return f"<figure>{svg}<figcaption><span>{escape(name)}</span><span>{escape(seeds)}</span></figcaption></figure>"


def _pictures(ended: Ended) -> str:
    """The pictures that commands drew, inlined; of those that are not there, why."""
    shown, lost = [], []
    for one in ended.pictures:
        data = picture_bytes(ended.folder, one)
        if data is None:
            why = one.missing or f"{one.file} is not beside study.json, or is no PNG"
            lost.append(f"<p>No picture, {escape(one.title)}: {escape(why)}.</p>")
            continue
        inline, alt = base64.b64encode(data).decode(), escape(f"{one.title}, {ended.frame.domain}")
        seed = f"<span>seed {one.seed:d}</span>" if len(ended.content.get("seeds", ())) > 1 else ""
        shown.append(
            f'<figure><img alt="{alt}" src="data:image/png;base64,{inline}"><figcaption><span>{escape(one.title)}'
            f"</span>{seed}</figcaption></figure>"
        )
    figures = f'<div class="drawn">{"".join(shown)}</div>' if shown else ""
    return f"{figures}{''.join(lost)}"


def _published(ended: Ended) -> str:
    if not ended.frame.published:
        return ""
    tables = "".join(
        f"<h3>{escape(one.title)}</h3>{grid_html(published(one), one.title)}" for one in ended.frame.published
    )
    return f"<section><h2>The paper's own figures</h2><p>On other pictures, by its own protocol.</p>{tables}</section>"


def grid_html(table: Grid, title: str) -> str:
    """A table whose first columns name the rows; what a figure says in brackets stands smaller below it.

    Args:
        title: plain text, for those who cannot see what stands above it.
    """
    head = "".join(_head_html(name, place < table.names) for place, name in enumerate(table.heads))
    rows = []
    for number, row in enumerate(table.rows):
        names = "".join(f'<th scope="row">{escape(text)}</th>' for text in row[: table.names])
        cells = "".join(
            f"<td>{_figure_html(text, (number, place) in table.best)}</td>"
            for place, text in enumerate(row[table.names :], start=table.names)
        )
        rows.append(f"<tr>{names}{cells}</tr>")
    wide = _letters(table, heads=True) > MOST_LETTERS  # then its heads are turned, and the rest decides
    many = f' many" style="--letters:{_letters(table, heads=False):.0f}' if wide else ""
    return scrolled(
        f'<table class="figures{many}"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>', title
    )


def _letters(table: Grid, heads: bool) -> float:
    """How wide a table is at least, in letters: names and heads may go on below after a word, figures may not.

    Args:
        heads: whether those of the figures stand beside each other too, rather than turned.
    """
    total = 0.0
    for place, head in enumerate(table.heads):
        own, of_names = [row[place] for row in table.rows], place < table.names
        words = [word for text in ([head] if heads or of_names else []) for word in text.split()]
        if of_names:
            words += [word for text in own for word in text.split()]
        texts = [float(len(word)) for word in words] + [0.0 if of_names else _figure_letters(text) for text in own]
        total += max([LEAST_NAME if of_names else 0, *texts]) + (APART if heads else APART_NARROW)
    return total


def _figure_letters(text: str) -> float:
    if text in NO_FIGURE:
        return len(text) + BADGE
    mean, bracket, rest = text.partition(" (")
    return max(len(mean), SMALL * (len(rest) + 1 if bracket else 0))


def _head_html(name: str, of_names: bool) -> str:
    if not name:  # a head that says nothing is no head
        return "<td></td>"
    return f'<th scope="col"{" class=name" if of_names else ""}>{escape(name)}</th>'


def _figure_html(text: str, best: bool) -> str:
    if text in NO_FIGURE:
        return f'<span class="verdict {NO_FIGURE[text]}">{text}</span>'
    mean, bracket, rest = text.partition(" (")
    shown = f"<b>{escape(mean)}</b>" if best else escape(mean)
    return f"{shown}<small>({escape(rest)}</small>" if bracket else shown
