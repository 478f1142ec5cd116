"""`gannotate data`: annotations from and to other tools' formats, and the papers' public datasets."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from gannotate.annotate import exporting
from gannotate.annotate.importing import Importer, name_of, parse_map
from gannotate.cli import benchmark_domain, benchmarks, show
from gannotate.cli.flags import Common, settings
from gannotate.data.formats.base import Blended
from gannotate.data.formats.build import FORMATS, FormatName, load_format
from gannotate.data.formats.files import Files
from gannotate.data.writing import check_new
from gannotate.project import Project, is_real
from gannotate.wording import counted, quoted

data = cyclopts.App(help="Bring annotations to and from other tools' formats, and read public datasets.")
data.command(benchmarks.benchmarks_verb, name="benchmarks")
data.command(benchmarks.check_verb, name="check")
data.command(benchmarks.export_benchmark_verb, name="export-benchmark")
data.command(benchmark_domain.domain_verb, name="domain")
data.command(benchmarks.label_verb, name="label")

FORMAT_HELP = " ".join(f"{name}: {about}." for name, (_, about) in FORMATS.items())

TOLD_EVERY = 100
"""Annotations between two lines of progress."""

MadeBy = Literal["person", "simulated", "exact", "imported", "unknown"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportFlags(Common):
    """Flags of `data export`."""

    format: Annotated[FormatName, Parameter(help=FORMAT_HELP)]
    """The format."""
    out: Path
    """New folder, or new zip when it ends with .zip."""
    only: Literal["generated", "real", "any"] = "any"
    """Of which pictures: those that the generator drew, the real ones, or any."""
    made_by: Annotated[tuple[MadeBy, ...], Parameter(negative="")] = ()
    """Only annotations by these: person, simulated, exact, imported or unknown; may be given several times."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ImportFlags(Common):
    """Flags of `data import`."""

    format: Annotated[FormatName, Parameter(help=FORMAT_HELP)]
    """The format."""
    map: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """OLD=NEW: the source's class OLD (its name, id or colour rrggbb) is the project's class NEW, or ignore (not
    labelled); may be given several times. Classes of the same name need none."""
    replace: Annotated[bool, Parameter(negative="")] = False
    """Take these label maps also for pictures that have one; the old ones stay in annotations/history."""
    crop: Annotated[bool, Parameter(negative="")] = False
    """Take the central square of new real pictures that are not square."""
    blended: Blended = "refuse"
    """Mask pixels between the classes' values, as smoothed borders and JPEGs have: refuse (and every JPEG), ignore (not
    labelled) or nearest (the class with the nearest value)."""


@data.command(name="export")
def export_verb(project: Path, /, *, flags: ExportFlags) -> int:
    """Write a project's annotations with their pictures in another tool's format.

    Args:
        project: the project's folder.
    """
    opened = Project.open(project)
    check_new(flags.out)
    chosen = exporting.choose(opened, flags.only, flags.made_by)
    count = len(chosen.pairs)
    if flags.dry_run:
        return show.plan(flags, [f"write {count} annotations into {flags.out}"], settings(flags))
    notes = exporting.export(opened, chosen, load_format(flags.format), flags.out)
    if chosen.without:
        shown = ", ".join(map(str, chosen.without[:5])) + (", ..." if len(chosen.without) > 5 else "")
        notes.append(
            f"{counted(len(chosen.without), 'annotation was', 'annotations were')} left out, not in the pool: {shown}"
        )
    for note in notes:
        show.say(flags, note)
    real = sum(is_real(picture.seed) for picture, _ in chosen.pairs)
    result = {"out": str(flags.out), "format": flags.format, "annotations": count, "real": real, "notes": notes}
    train = f"gannotate train {quoted(project)} --labelled {quoted(flags.out)}"
    step = train if flags.format in ("palette", "folder") else ""
    return show.finish(flags, result, f"{counted(count, 'annotation')} ({real} of real pictures) in {flags.out}", step)


@data.command(name="import")
def import_verb(project: Path, source: Path, /, *, flags: ImportFlags) -> int:
    """Take label maps of another tool for pool pictures, by their name; new pictures come in as real ones.

    Args:
        project: the project's folder.
        source: folder or zip in that format; for coco and label-studio also the JSON itself.
    """
    opened = Project.open(project)
    with contextlib.nullcontext() if flags.dry_run else opened.changing():
        return _import(opened, source, flags)


def _import(opened: Project, source: Path, flags: ImportFlags) -> int:
    project, kind = opened.folder, load_format(flags.format)
    importer = Importer(opened, parse_map(flags.map), flags.replace, flags.crop)
    entries = kind.read(Files(source, kind.single), importer.options(flags.blended))
    plan = importer.plan(entries, str(source))
    new = sum(one.seed is None for one in plan.taken)
    if flags.dry_run:
        steps = [f"add {new} real pictures to the pool", f"write {len(plan.taken)} annotations"]
        return show.plan(flags, steps, settings(flags))
    for note in plan.notes:
        show.say(flags, note)
    seeds: list[int] = []
    for seed in importer.carry_out(plan, {"format": flags.format, "from": name_of(source)}):
        seeds.append(seed)
        if len(seeds) % TOLD_EVERY == 0:
            show.say(flags, f"import: {len(seeds)}/{len(plan.taken)}")
    result = {
        "project": str(project),
        "imported": len(seeds),
        "new_pictures": new,
        "unchanged": plan.same,
        "seeds": seeds,
        "notes": plan.notes,
    }
    step = "fit" if opened.annotations() else "annotate"
    text = f"{counted(len(seeds), 'annotation')} imported, {new} of them with new real pictures"
    text += f"; {plan.same} were there already"
    return show.finish(flags, result, text, f"gannotate {step} {quoted(project)}")
