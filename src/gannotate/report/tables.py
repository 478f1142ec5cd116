"""Tables and bars of a report, as HTML text. Figures are fractions; an absent class is '-', never 0."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from gannotate.labels import ClassInfo


@dataclass(frozen=True)
class Bar:
    """One bar of a comparison: what it is, how it was made, its mIoU, and whether it is the one that matters."""

    name: str
    about: str
    value: float | None
    main: bool = False


def prose(text: str) -> str:
    """Plain text as HTML; what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def figure(value: float | None) -> str:
    """A fraction with three digits, or '-'."""
    return "-" if value is None else f"{value:.3f}"


def clock(seconds: float) -> str:
    """Seconds as `8.4 s`, `1 min 05 s` or `2 h 07 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes} min {second:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def swatch(item: ClassInfo) -> str:
    """A small square of a class's colour."""
    return f'<i class="swatch" style="background:rgb{item.colour}"></i>'


def scrolled(table: str, name: str) -> str:
    """A table that scrolls by itself where the page is narrow, by keys too; `name` is plain text, for who hears it."""
    return f'<div class="scroll" role="group" tabindex="0" aria-label="{escape(name)}, table">{table}</div>'


def bars(items: Sequence[Bar]) -> str:
    """Bars from 0 to 1, in the order given."""
    rows = "".join(
        f'<li{" class=main" if item.main else ""}><div class="what"><b>{escape(item.name)}</b>'
        f"<span>{escape(item.about)}</span></div>"
        f'<div class="track"><i style="width:{100 * (item.value or 0):.1f}%"></i></div>'
        f"<output>{figure(item.value)}</output></li>"
        for item in items
    )
    return f'<ul class="bars">{rows}</ul>'


def class_table(classes: Sequence[ClassInfo], ious: Sequence[float | None], confusion: Sequence[Sequence[int]]) -> str:
    """IoU of each class with its share of the labelled test pixels, its recall and its precision."""
    total = max(1, sum(map(sum, confusion)))
    rows = []
    for index, (item, iou) in enumerate(zip(classes, ious, strict=True)):
        truth, found = sum(confusion[index]), sum(row[index] for row in confusion)
        right = confusion[index][index]
        meter = "" if iou is None else f'<div class="track"><i style="width:{100 * iou:.1f}%"></i></div>'
        rows.append(
            f'<tr><th scope="row">{swatch(item)}{escape(item.name)}</th><td class="wide">{meter}</td>'
            f"<td>{figure(iou)}</td><td>{figure(right / truth if truth else None)}</td>"
            f"<td>{figure(right / found if found else None)}</td><td>{100 * truth / total:.2f} %</td></tr>"
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("IoU", "recall", "precision", "of the pixels"))
    table = (
        '<table class="classes"><thead><tr><th scope="col">class</th><td class="wide"></td>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
    return scrolled(table, "Class by class")


def confusion_table(classes: Sequence[ClassInfo], confusion: Sequence[Sequence[int]]) -> str:
    """Where each true class (row) went, in percent of its pixels; a class without pixels has a row of '-'."""
    head = "".join(f'<th scope="col"><span>{escape(item.name)}</span></th>' for item in classes)
    rows = "".join(
        f'<tr><th scope="row">{swatch(item)}{escape(item.name)}</th>{_confusion_cells(counts, index)}</tr>'
        for index, (item, counts) in enumerate(zip(classes, confusion, strict=True))
    )
    table = (
        f'<table class="confusion" style="--count:{len(classes)}"><caption>Rows are the truth, columns the prediction; '
        f"percent of the row's pixels.</caption><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
    return scrolled(table, "What is taken for what")


def most_confused(classes: Sequence[ClassInfo], confusion: Sequence[Sequence[int]], most: int = 5) -> str:
    """The confusions that cost the most pixels, in words; nothing where all pixels are right."""
    total = sum(map(sum, confusion))
    found = [
        (count, truth, taken)
        for truth, counts in enumerate(confusion)
        for taken, count in enumerate(counts)
        if count and truth != taken
    ]
    if not found:
        return ""
    items = "".join(
        f"<li>{escape(classes[truth].name)} taken for {escape(classes[taken].name)}: {_part(count / total)} of all "
        f"pixels, {_part(count / sum(confusion[truth]))} of its own</li>"
        for count, truth, taken in sorted(found, key=lambda one: (-one[0], one[1:]))[:most]
    )
    return f'<p>What costs the most pixels:</p><ol class="plain">{items}</ol>'


def _part(part: float) -> str:
    return f"{100 * part:.1f} %" if part >= 0.0005 else "&lt;0.1 %"


def _confusion_cells(counts: Sequence[int], diagonal: int) -> str:
    total = sum(counts)
    if not total:
        return "<td>-</td>" * len(counts)
    cells = []
    for index, count in enumerate(counts):
        part = count / total
        text = "" if not count else f"{100 * part:.0f}" if part >= 0.005 else "&lt;1"
        kind = "right" if index == diagonal else "wrong"
        # a square root, so that confusions of a few percent can be seen
        cells.append(f'<td class="{kind}" style="--part:{part**0.5:.3f}">{text}</td>')
    return "".join(cells)


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values as a list of definitions; the values are HTML already."""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f'<dl class="facts">{items}</dl>'
