"""The section of a project's page on its pool and labels: how many there are, who made them, and of which classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

from gannotate.labels import ClassInfo
from gannotate.project import PoolPicture
from gannotate.report.gather import MOST_COUNTED, Findings
from gannotate.report.pictures import annotated_cards
from gannotate.report.tables import facts, scrolled, swatch
from gannotate.report.wording import label_sources, provenance


def pool_and_labels(found: Findings) -> str:
    """What was offered, what was labelled, how often each class is in it, and the labelled pictures themselves."""
    if not found.pool and not found.annotations:
        return ""
    used = len(found.used)
    rows = [
        ("pool", escape(_pool(found.pool))),
        ("labelled", escape(f"{len(found.annotations)}: {label_sources(found.annotations)}")),
        ("learned from", f"{used} of them" if used else "none of them yet"),
    ]
    told = escape(provenance(found.annotations))
    return (
        f"<section><h2>Pool and labels</h2>{facts(rows)}{f'<p>{told}</p>' if told else ''}{_shares(found)}"
        f"{annotated_cards(found)}</section>"
    )


def _pool(pool: Sequence[PoolPicture]) -> str:
    real = sum(picture.real is not None for picture in pool)
    drawn = [picture for picture in pool if picture.real is None]
    parts = []
    if drawn:
        ways = Counter(_drawn(picture.options) for picture in drawn)
        how = ", ".join(way if len(ways) == 1 else f"{count} with {way}" for way, count in ways.items())
        parts.append(f"{len(drawn):,} drawn by the generator ({how})")
    if real:
        parts.append(f"{real:,} real pictures")
    return " and ".join(parts) or "empty"


def _drawn(options: dict[str, Any]) -> str:
    cut = "" if options.get("cutoff") is None else f" in the first {options['cutoff']} styles"
    return f"truncation {options.get('psi', '?')}{cut}, {options.get('noise', '?')} noise"


def _shares(found: Findings) -> str:
    """How large a part each class is of the labels, of the written dataset, and of the test pictures' truth."""
    classes = found.project.classes
    columns = {name: counts for name, counts in _columns(found).items() if counts and sum(counts)}
    if not columns:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    rows = "".join(_share_row(item, index, list(columns.values())) for index, item in enumerate(classes))
    absent = [item.name for index, item in enumerate(classes) if _only_in_test(index, columns)]
    names = escape(", ".join(absent))
    which = "in none of the labels that were learned from" if LEARNED in columns else "in no label"
    note = f'<p class="note">In the test pictures and {which}: {names}. Nothing was learned of it.</p>'
    of = f"the first {MOST_COUNTED} " if len(found.annotations) > MOST_COUNTED else ""
    title = "How much of each class there is"
    table = (
        f'<table class="figures"><caption>Percent of the labelled pixels{f", of {of}labels" if of else ""}.</caption>'
        f'<thead><tr><th scope="col">class</th>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )
    return f"<h3>{title}</h3>{scrolled(table, title)}{note if absent else ''}"


LEARNED, LABELS, WRITTEN, TEST = "learned from", "all labels", "written dataset", "test pictures"


def _columns(found: Findings) -> dict[str, Sequence[float]]:
    classes = found.project.classes
    shares = {} if found.dataset is None else found.dataset.result.get("class_share", {})
    confusion = [] if found.evaluation is None else found.evaluation.result.get("confusion", [])
    return {
        LEARNED: found.used_px,
        LABELS: found.annotated_px if len(found.annotations) > len(found.used) else (),
        WRITTEN: [float(shares.get(item.name, 0.0)) for item in classes] if shares else [],
        TEST: [sum(row) for row in confusion],
    }


def _only_in_test(index: int, columns: dict[str, Sequence[float]]) -> bool:
    taught = columns.get(LEARNED, columns.get(LABELS))
    return taught is not None and TEST in columns and not taught[index] and columns[TEST][index] > 0


def _share_row(item: ClassInfo, index: int, columns: Sequence[Sequence[float]]) -> str:
    cells = "".join(f"<td>{_percent(counts[index] / sum(counts))}</td>" for counts in columns)
    return f'<tr><th scope="row">{swatch(item)}{escape(item.name)}</th>{cells}</tr>'


def _percent(part: float) -> str:
    return "-" if not part else f"{100 * part:.2f}" if part >= 5e-5 else "&lt;0.01"
