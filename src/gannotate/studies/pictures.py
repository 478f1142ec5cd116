"""Pictures that a study's commands drew, beside its table: copied from the cells, and read again.

study.json may be anybody's: of a picture it tells a name, which is one beside it or refused, and what is read has to be
a PNG of a bearable size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gannotate.errors import GannotateError
from gannotate.files import write_bytes
from gannotate.picture_files import open_picture
from gannotate.studies.cell_files import NoFile, find_file
from gannotate.studies.documents import Scalar
from gannotate.studies.made import MadeFile
from gannotate.studies.plan import Plan, Row
from gannotate.studies.runner import Outcomes
from gannotate.studies.shown import Picture
from gannotate.studies.tables import named

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.png")
"""Names of pictures beside study.json."""

MOST_BYTES = 4 << 20
"""A larger picture is not taken: a page has all of them in it."""


@dataclass(frozen=True)
class ShownPicture:
    """A picture of a study's folder. file: its name there; missing: why there is none. cell, of: what left it."""

    title: str
    file: str = ""
    missing: str = ""
    at: Mapping[str, Scalar] = field(default_factory=dict)
    seed: int = 0
    cell: str = ""
    of: str = ""

    def __post_init__(self) -> None:
        if self.file and not NAME.fullmatch(self.file):
            raise ValueError(f"the picture {self.file!r} is no name of a PNG beside it")
        if not isinstance(self.seed, int) or not all(isinstance(one, str) for one in (self.title, self.missing)):
            raise TypeError("a picture's seed is no whole number, or its title no text")


def read_pictures(content: Mapping[str, Any]) -> tuple[ShownPicture, ...]:
    """The pictures that study.json tells of; none in those of earlier versions.

    Raises:
        ValueError, TypeError: it tells something else, or a picture that is not beside it.
    """
    own = {one.name for one in fields(ShownPicture)}
    told = [{name: value for name, value in one.items() if name in own} for one in content.get("pictures", ())]
    return tuple(ShownPicture(**one) for one in told)


def picture_bytes(folder: Path, picture: ShownPicture) -> bytes | None:
    """The PNG of a study's folder; None where there is none, a link to elsewhere, or something else."""
    path = folder / picture.file
    try:
        if not picture.file or path.resolve().parent != folder.resolve():
            return None
        return png_bytes(path)
    except (OSError, GannotateError):
        return None


def png_bytes(path: Path) -> bytes:
    """A picture file's bytes.

    Raises:
        GannotateError: it is no PNG, or too large; says why, to stand behind what it is. OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise GannotateError(f"{path.name} has more than {MOST_BYTES >> 20} MB")
    kind = open_picture(data, load=False).format
    if kind != "PNG":
        raise GannotateError(f"{path.name} is a {kind}, and no PNG")
    return data


def write_pictures(folder: Path, own: Path, plan: Plan, outcomes: Outcomes) -> list[ShownPicture]:
    """Copies the pictures of the first seed from their cells into the study's folder, `own`."""
    wanted = [(one, rows, several) for one in plan.study.pictures for rows, several in _apart(plan, one)]
    shown = []
    for number, (picture, rows, several) in enumerate(wanted, start=1):
        made, title = rows[0].files[picture.source], picture.title
        if several and (place := _place(plan, rows)):
            title += f": {place}"
        about = {"at": dict(rows[0].at), "seed": rows[0].seed, "cell": made.origin.cell, "of": made.name}
        name = "picture.png" if len(wanted) == 1 else f"picture-{number}.png"
        try:
            write_bytes(own / name, _bytes(folder, plan, outcomes, made))
            shown.append(ShownPicture(title, file=name, **about))
        except NoFile as missing:
            shown.append(ShownPicture(title, missing=str(missing), **about))
    return shown


def _bytes(folder: Path, plan: Plan, outcomes: Outcomes, made: MadeFile) -> bytes:
    known = outcomes.pictures.get((made.origin.cell, made.name))
    if known is not None and made.origin.cell not in outcomes.made:
        return known
    path = find_file(folder, plan, outcomes, made)
    try:
        return png_bytes(path)
    except (OSError, GannotateError) as odd:
        raise NoFile(" ".join(str(odd).split())) from odd


def _apart(plan: Plan, picture: Picture) -> Iterator[tuple[list[Row], bool]]:
    """The first seed's rows of each file, and whether there are several files."""
    by_file: dict[MadeFile, list[Row]] = {}
    for row in plan.rows:
        if row.seed == plan.seeds[0]:
            by_file.setdefault(row.files[picture.source], []).append(row)
    yield from ((rows, len(by_file) > 1) for rows in by_file.values())


def _place(plan: Plan, rows: Sequence[Row]) -> str:
    """The values that all these rows have on axes of several values."""
    shared = []
    for name, axis in plan.axes.items():
        values = {str(row.at[name]) for row in rows}
        if len(axis.values) > 1 and len(values) == 1:
            shared.append(named(name, axis, axis.find(rows[0].at[name])))
    return ", ".join(shared)


def picture_lines(pictures: Sequence[ShownPicture], domain: str) -> list[str]:
    """The pictures of a domain in Markdown, and what is said of those that are not there."""
    lines = []
    for one in pictures:
        text = one.title.replace("[", "(").replace("]", ")")
        lines.append(f"![{text}, {domain}]({one.file})" if one.file else f"No picture, {text}: {one.missing}.")
        lines.append("")
    return lines
