"""`gannotate study claims`: what the papers claim beside what the studies found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.flags import Common, settings
from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_text
from gannotate.studies.claims import Claim, all_claims, count_verdicts
from gannotate.studies.claims_table import as_csv, as_json, as_markdown
from gannotate.studies.reading import Ended, find_studies, read_study
from gannotate.wording import counted

STUDIES = Path("gannotate-studies")
"""Where `study run` writes when it is not told."""

KINDS = {".md": as_markdown, ".csv": as_csv, ".json": lambda claims: json.dumps(as_json(claims), indent=2) + "\n"}
"""What a table is written as, by the ending of its name."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ClaimsFlags(Common):
    """Flags of `study claims`."""

    write: Path | None = None
    """File for the table, .md, .csv or .json; one that is there is replaced."""


def claims_verb(*folders: Path, flags: ClaimsFlags = ClaimsFlags()) -> int:
    """Write a table of what the papers claim and what we found: every claim of every study, and on what it stands.

    Args:
        folders: what `gannotate study run` left in --out, or studies' folders in it; gannotate-studies when not given.
    """
    if flags.write and flags.write.suffix.lower() not in KINDS:
        raise UsageError(f"--write is {flags.write}; give a name that ends with {', '.join(KINDS)}")
    given = folders or ((STUDIES,) if STUDIES.is_dir() else ())
    found = find_studies(given)
    if flags.dry_run:
        steps = [f"read {folder}" for folder in found] + ([f"write {flags.write}"] if flags.write else [])
        return show.plan(flags, steps, settings(flags))
    ended, left_out = _read(found)
    for folder, why in left_out.items():
        show.say(flags, f"left out {folder}: {why}")
    claims = all_claims(ended)
    if flags.write:
        write_text(flags.write, KINDS[flags.write.suffix.lower()](claims))
    if not found:
        show.say(flags, f"there is no {STUDIES}; give folders that `gannotate study run` left, else all is not run")
    result = {"claims": as_json(claims), "verdicts": count_verdicts(claims)}
    result |= {"studies": [str(one.folder) for one in ended], "left_out": left_out}
    result |= {"file": str(flags.write) if flags.write else None}
    return show.finish(flags, result, _text(claims, len(ended), flags))


def _read(folders: Sequence[Path]) -> tuple[list[Ended], dict[str, str]]:
    """The studies, and why folders were left out: one that is damaged or newer takes no other with it.

    Raises:
        GannotateError: there is no other.
    """
    ended: list[Ended] = []
    left_out: dict[str, str] = {}
    for folder in folders:
        try:
            ended.append(read_study(folder))
        except GannotateError as error:
            if len(folders) == 1:
                raise
            left_out[str(folder)] = str(error)
    if left_out and not ended:
        raise GannotateError("; ".join(left_out.values()))
    return ended, left_out


def _text(claims: Sequence[Claim], count: int, flags: ClaimsFlags) -> str:
    if not flags.write:
        return as_markdown(claims)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in count_verdicts(claims).items() if count)
    folders = counted(count, "study's folder", "studies' folders")
    return f"{flags.write}: {counts}; from {folders}"
