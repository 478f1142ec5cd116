"""What became of a claim, as a mark on a page."""

from __future__ import annotations

from gannotate.studies.findings import Verdict

LOOKS = {
    Verdict.HOLDS: "holds",
    Verdict.PARTLY: "partly",
    Verdict.CLOSE: "none",
    Verdict.AGAINST: "against",
    Verdict.NOT_RUN: "none",
    Verdict.NOTHING: "none",
    Verdict.UNTESTABLE: "none",
    Verdict.UNTESTED: "none",
}


def badge(verdict: Verdict) -> str:
    """The verdict as a mark, told apart by its words and not by colour alone."""
    return f'<b class="verdict {LOOKS[verdict]}">{verdict.value}</b>'
