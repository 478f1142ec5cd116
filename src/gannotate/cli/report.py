"""`gannotate report`: a project as one HTML page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.flags import Common, settings
from gannotate.project import Project
from gannotate.report.page import PAGE, write_report


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReportFlags(Common):
    """Flags of `report`."""


def report(project: Path, /, *, flags: ReportFlags = ReportFlags()) -> int:
    """Write a page with pictures, figures and how it was made: PROJECT/report/index.html, one file.

    Args:
        project: the project's folder.
    """
    opened = Project.open(project)
    if flags.dry_run:
        return show.plan(flags, [f"write {opened.folder / PAGE}"], settings(flags))
    path = write_report(opened)
    result = {"page": str(path), "bytes": path.stat().st_size}
    text = f"{path}, {result['bytes'] / 1e6:.1f} MB"
    return show.finish(flags, result, text, f"open {path} in a browser")
