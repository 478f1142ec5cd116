"""The claims and what we found as rows, as Markdown and as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from gannotate.studies.claims import Claim, OnDomain, Part, count_verdicts
from gannotate.studies.comparison import NOISE
from gannotate.studies.findings import Finding
from gannotate.studies.tables import difference_text
from gannotate.wording import counted

COLUMNS: tuple[str, ...] = ("paper", "where", "study", "claim", "part", "finding", "told")

LEGEND: tuple[str, ...] = (
    "- Holds partly: it holds at some values of the other axes or on some pictures, but not at all.",
    f"- {NOISE}",
    "- Differences are those of the means over the seeds that both sides have, plus when the claim's side is ahead "
    "(smallest to largest over the places in brackets).",
    "- Reduced: other steps, pictures or values than the study asks for.",
    "- A quick form shows that a study runs, not what is true, and counts only where nothing else was run.",
)
"""What the words of the table mean, as a Markdown list."""


def as_rows(claims: Sequence[Claim]) -> list[dict[str, str]]:
    """One row a part: paper, where, study, claim, part, finding, told."""
    return [
        {
            "paper": claim.paper.of,
            "where": claim.paper.where,
            "study": claim.name,
            "claim": claim.text,
            "part": part.text,
            "finding": finding_text(part),
            "told": told(part) or "no folder of this study",
        }
        for claim in claims
        for part in claim.parts
    ]


def as_csv(claims: Sequence[Claim]) -> str:
    """Comma-separated values with a heading, one line a part."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(as_rows(claims))
    return out.getvalue()


def finding_text(one: Part | Claim) -> str:
    """The verdict; whether it stands on quick forms alone; of a claim, how much of it was looked up."""
    quick = ", quick form" if one.quick else ""
    if isinstance(one, Part) or not one.looked_up or len(one.looked_up) == len(one.own):
        return f"{one.verdict.value}{quick}"
    return f"{one.verdict.value}{quick}, as far as looked at ({len(one.looked_up)} of {len(one.own)} parts)"


def told(part: Part) -> str:
    """On what a verdict stands: every domain with its own, the difference and the seeds; or why there is none.

    Empty where there is no folder of the study.
    """
    if part.seen is not None and part.see is not None:
        return f"{part.why} {part.see.study}: {told(part.seen) or 'no folder of this study'}"
    if part.why:
        return part.why
    return "; ".join(dict.fromkeys(_said(one) for one in part.counted or part.found))


def _said(one: OnDomain) -> str:
    where = f"{one.domain}{', quick form' if one.quick else ', reduced' if one.reduced else ''}"
    if not one.finding.places:
        return f"{where}: {one.finding.why or 'its figures are missing'}"
    seeds = f"{one.seeds} seed{'' if one.seeds == 1 else 's'}"
    older = ", from before a change of ours" if one.superseded else ""
    missing = f"; {one.finding.why}" if one.finding.why else ""
    return f"{where}: {places_text(one.finding)}{difference_text(one.finding, one.frame)}, {seeds}{older}{missing}"


def places_text(one: Finding) -> str:
    """Of a claim that was looked up at several places, at how many it held and at how many that is open."""
    unlearned = f"{one.unlearned} left out as the rival learned nothing there, " if one.unlearned else ""
    if one.places == 1:
        return unlearned
    close = one.places - one.held - one.lost
    return f"{one.held} of {one.places} places{f', {close} too close' if close else ''}, {unlearned}"


def as_markdown(claims: Sequence[Claim], pages: Mapping[str, str] | None = None) -> str:
    """A table for each paper: every claim in bold, its parts below it; studies that have one of `pages` as links."""
    lines = ["## What the papers claim, and what we found", "", summary(claims), "", *LEGEND, ""]
    by_paper: dict[str, list[Claim]] = {}
    for claim in claims:
        by_paper.setdefault(claim.paper.of, []).append(claim)
    for paper, own in by_paper.items():
        lines += [f"### {paper}", "", "| claim | our finding | on what it stands | study |", "|---|---|---|---|"]
        lines += [line for claim in own for line in _markdown_rows(claim, pages or {})]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def summary(claims: Sequence[Claim]) -> str:
    """How many parts came to which verdict."""
    counts = count_verdicts(claims)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    quick = sum(part.quick for claim in claims for part in claim.parts)
    alone = f" ({quick} by quick forms alone)" if quick else ""
    ours = sum(part.ours for claim in claims for part in claim.parts)
    asked = f" {ours} more parts are questions of ours, and have no say in a claim's own verdict." if ours else ""
    linked = sum(part.seen is not None for claim in claims for part in claim.own)
    if linked:
        more = counted(linked, "part is", "parts are")
        asked += f" {more} asked by another study than the claim's, and counted there."
    older = sum(part.superseded for claim in claims for part in claim.parts if part.seen is None)
    if older:
        more = counted(older, "part stands", "parts stand")
        asked += (
            f" {more} on figures from before a change of ours, which the study's page names, and may come to another."
        )
    parts = f"{counted(sum(counts.values()), 'part')} of {counted(len(claims), 'claim')}"
    return f"{parts}: {told}{alone}.{asked}"


def _markdown_rows(claim: Claim, pages: Mapping[str, str]) -> Iterator[str]:
    if not claim.name:
        (part,) = claim.parts
        yield table_row(claim.text, part.verdict.value, told(part), claim.paper.where)
        return
    ran = "" if claim.ran else "no folder of this study"
    study = f"[`{claim.name}`]({pages[claim.name]})" if claim.name in pages else f"`{claim.name}`"
    yield table_row(f"**{claim.text}**", f"**{finding_text(claim)}**", ran, f"{study}: {claim.paper.where}")
    for part in claim.parts:
        yield table_row(f"- {part.text}{' (our question)' if part.ours else ''}", finding_text(part), told(part), "")


def table_row(*cells: str) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def as_json(claims: Sequence[Claim]) -> list[Mapping[str, object]]:
    """All of it, ready for json."""
    return [
        {
            "study": claim.name or None,
            "paper": claim.paper.of,
            "where": claim.paper.where,
            "claim": claim.text,
            "finding": claim.verdict.value,
            "quick": claim.quick,
            "parts": [
                {
                    "text": part.text,
                    "finding": part.verdict.value,
                    "quick": part.quick,
                    "ours": part.ours,
                    "why": part.why,
                    "found": [
                        {
                            "folder": one.folder,
                            "domain": one.domain,
                            "quick": one.quick,
                            "seeds": one.seeds,
                            "finding": one.finding.verdict.value,
                            "reduced": one.reduced,
                            "superseded": one.superseded,
                            "held": one.finding.held,
                            "lost": one.finding.lost,
                            "places": one.finding.places,
                            "differences": list(one.finding.differences),
                            "why": one.finding.why,
                        }
                        for one in part.found
                    ],
                }
                for part in claim.parts
            ],
        }
        for claim in claims
    ]
