"""What `study run` left in a study's folder, read again: study.json as figures, and where such folders are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gannotate.errors import GannotateError, UsageError, newer_format
from gannotate.parsing import DAMAGED, load_json
from gannotate.studies.cell import CELLS
from gannotate.studies.comparison import verdict_of
from gannotate.studies.curves import DrawnCurve, read_curves
from gannotate.studies.findings import Figure, Finding, Point, Verdict
from gannotate.studies.folds import Folds
from gannotate.studies.frame import Frame, read_frame
from gannotate.studies.pictures import ShownPicture, read_pictures
from gannotate.studies.writing import FORMAT_VERSION, STUDY
from gannotate.studies.written import FindingTold, Written, check_written

Place = frozenset[tuple[str, str]]
"""Values of the axes, as texts."""


@dataclass(frozen=True)
class Ended:
    """A study's folder. content: all of study.json; the rest is read from it."""

    folder: Path
    content: Mapping[str, Any]
    frame: Frame
    points: tuple[Point, ...]
    findings: tuple[Finding, ...]
    pictures: tuple[ShownPicture, ...] = ()
    curves: tuple[DrawnCurve, ...] = ()

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.content["study"])


def is_study(folder: Path) -> bool:
    """Whether `study run` left a table in this folder."""
    return (folder / STUDY).is_file()


def read_study(folder: str | Path) -> Ended:
    """A study's folder.

    Raises:
        UsageError: there is no study.json. GannotateError: it is damaged, or of a newer version.
    """
    folder = Path(folder)
    path = folder / STUDY
    try:
        data = path.read_bytes()
        content = load_json(data)
        version = int(content["format_version"])
        if version <= FORMAT_VERSION:
            written = check_written(data)
            values = _values(written)
            points = [
                Point(
                    one.at,
                    {name: Figure(**figure.model_dump()) for name, figure in one.figures.items()},
                    values.get(_place(one.at), {}),
                    {name: Folds(**folds.model_dump()) for name, folds in one.folds.items()},
                )
                for one in written.points
            ]
            findings = [_finding(*both) for both in zip(written.findings, content["findings"], strict=True)]
            shown = read_pictures(content), read_curves(content)
            return Ended(folder, content, read_frame(content), tuple(points), tuple(findings), *shown)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(
            f"{folder} holds no {STUDY}; give what `gannotate study run NAME --out DIR` left, e.g. DIR/taps-portraits"
        ) from error
    except DAMAGED as error:
        raise GannotateError(
            f"{path} is damaged ({' '.join(str(error).split())}); `gannotate study run` writes it again"
        ) from error
    raise newer_format(path, version, FORMAT_VERSION)


def told_name(folder: Path) -> str:
    """The name of the study that a folder is of, without reading the rest; where it cannot be read, by the folder's."""
    try:
        return str(load_json((folder / STUDY).read_bytes())["study"])
    except DAMAGED:
        return folder.name.rpartition("-")[0]


def _values(written: Written) -> dict[Place, dict[str, dict[int, float]]]:
    """By place: of each measure, its value with every seed that has one."""
    values: dict[Place, dict[str, dict[int, float]]] = {}
    for row in written.rows:
        at_place = values.setdefault(_place(row.at), {})
        for name, value in row.figures.items():
            by_seed = at_place.setdefault(name, {})
            if value is not None:
                by_seed[row.seed] = value
    return values


def _place(at: Mapping[str, Any]) -> Place:
    return frozenset((axis, str(value)) for axis, value in at.items())


def _finding(one: FindingTold, content: Mapping[str, Any]) -> Finding:
    try:
        verdict = Verdict(one.verdict)
    except ValueError:  # earlier versions had other words for it
        verdict = verdict_of(one.held, one.places - one.held, one.places)
    differences = tuple(content["differences"])  # as they are: earlier versions did not tell the noise
    return Finding(**one.model_dump(exclude={"verdict", "differences"}), verdict=verdict, differences=differences)


def find_studies(folders: Sequence[Path]) -> list[Path]:
    """Those of the folders that are studies', and the studies' folders right below the others, each once.

    Raises:
        UsageError: a folder is not there, or holds neither.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        below = sorted(path.parent for path in folder.glob(f"*/{STUDY}") if path.parent.name != CELLS)
        own = [folder] if is_study(folder) else below
        if not own:
            there = "holds no study" if folder.is_dir() else "is not there"
            raise UsageError(f"{folder} {there}; give the --out of `gannotate study run`, or a study's folder in it")
        for one in own:
            found.setdefault(one.resolve(), one)
    return list(found.values())
