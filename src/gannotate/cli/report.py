"""`gannotate report`: a project or a study as one HTML page; a generated dataset's card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.flags import Common, settings
from gannotate.data.manifest import MANIFEST
from gannotate.errors import UsageError
from gannotate.project import Project
from gannotate.report.shell import PAGE
from gannotate.studies.reading import is_study
from gannotate.wording import quoted

PROJECT = "project.yaml"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReportFlags(Common):
    """Flags of `report`; the card of a dataset has these three, which no file can know."""

    licence: str = ""
    """Licence of the dataset, e.g. CC-BY-4.0."""
    creator: str = ""
    """Who made the dataset."""
    url: str = ""
    """Where the dataset will be found."""


def report(folder: Path, /, *, flags: ReportFlags = ReportFlags()) -> int:
    """Write a page with pictures, figures and how it was made: FOLDER/report/index.html, one file.

    Of a generated dataset README.md, its card as Hugging Face reads it, and croissant.json are written.

    Args:
        folder: a project's folder; a study's, as `gannotate study run` leaves it; or a generated dataset's.
    """
    if (folder / MANIFEST).is_file():
        return _card(folder, flags)
    told = [f"--{name}" for name in ("licence", "creator", "url") if getattr(flags, name)]
    if told:
        are, them = ("are", "them") if len(told) > 1 else ("is", "it")
        raise UsageError(
            f"{' and '.join(told)} {are} for the card of a dataset, and {folder} has no {MANIFEST}; leave {them} out"
        )
    opened = None if is_study(folder) else _open(folder)
    if flags.dry_run:
        return show.plan(flags, [f"write {folder / PAGE}"], settings(flags))
    if opened is None:
        from gannotate.report.study import write_study_page  # pages load matplotlib, which takes a second

        path = write_study_page(folder)
    else:
        from gannotate.report.page import write_report

        path = write_report(opened)
    result = {"page": str(path), "bytes": path.stat().st_size}
    text = f"{path}, {max(1, round(result['bytes'] / 1e3)):,} kB"
    return show.finish(flags, result, text, f"open {quoted(path)} in a browser")


def _card(folder: Path, flags: ReportFlags) -> int:
    from gannotate.report.dataset_card import CARD, CROISSANT, dataset_facts, write_dataset_card

    above = folder.resolve().parent.parent
    project = Project.open(above) if (above / PROJECT).exists() else None
    told = {"licence": flags.licence, "creator": flags.creator, "url": flags.url}
    if flags.dry_run:
        dataset_facts(folder, project)
        return show.plan(flags, [f"write {folder / CARD} and {folder / CROISSANT}"], settings(flags))
    card, croissant = write_dataset_card(folder, project, **told)
    result: dict[str, Any] = {"card": str(card), "croissant": str(croissant)}
    missing = [f"--{name}" for name, value in told.items() if not value]
    if missing:
        names = ", ".join(name.removeprefix("--") for name in missing)
        show.say(flags, f"not stated: {names}; give {' and '.join(missing)}")
    return show.finish(flags, result, f"{card} and {croissant}")


def _open(folder: Path) -> Project:
    if not folder.exists():
        raise UsageError(
            f"{folder} is not there; give the folder of a project, of a study (in the --out of `study run`) or of a "
            "generated dataset"
        )
    if not (folder / PROJECT).exists():
        studies = sorted(path.parent for path in folder.glob("*/study.json"))
        hint = f"; it holds studies, give one of them, e.g. {studies[0]}" if studies else ""
        raise UsageError(
            f"{folder} is neither a project (no {PROJECT}) nor a study's folder (no study.json) nor a dataset (no "
            f"{MANIFEST}){hint or '; give one that `gannotate new`, `study run` or `synthesize` made'}"
        )
    return Project.open(folder)
