"""The section of docs/results.md that says what became of the papers' claims."""

from __future__ import annotations

from pathlib import Path

from gannotate.studies.claims import Claim, all_claims
from gannotate.studies.claims_table import finding_text, summary, table_row
from gannotate.studies.reading import find_studies, read_study


def claims(path: Path) -> list[str]:
    """A row a claim of the papers, from the folders of studies in `path`; the parts are in study-results.md."""
    found = all_claims([read_study(folder) for folder in find_studies([path])])
    lines = [
        "## What the papers claim, and what we found",
        "",
        f"{summary(found)} Every part, on what it stands, and what the words mean: "
        "[study-results.md](study-results.md#what-the-papers-claim-and-what-we-found). What a study does "
        "otherwise than its paper, and the paper's own figures beside ours, are on the study's page.",
        "",
        "| paper | claim | our finding | study |",
        "|---|---|---|---|",
    ]
    for one in found:
        study = f"[`{one.name}`](study-results/{one.name}.md)" if one.ran else f"`{one.name}`" if one.name else "none"
        lines.append(table_row(f"{short_name(one)}: {one.paper.where}", one.text, finding_text(one), study))
    return [*lines, ""]


def short_name(claim: Claim) -> str:
    """A paper without its title."""
    return claim.paper.of.partition(",")[0]
