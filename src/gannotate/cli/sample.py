"""`gannotate sample`: pictures for the pool, drawn by seed or read from files (real_pool.py)."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gannotate.annotate.order import Order
from gannotate.cli import show
from gannotate.cli.flags import Common, settings
from gannotate.cli.real_pool import add_pictures
from gannotate.data.writing import encode_picture
from gannotate.errors import UsageError
from gannotate.project import FIRST_REAL, PoolPicture, Project, is_real
from gannotate.wording import counted, quoted

COUNT = 20
"""Pictures to draw when nobody says how many."""

CANDIDATES = 8
"""Seeds to choose among, for each picture wanted."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SampleFlags(Common):
    """Flags of `sample`."""

    count: Annotated[int | None, Parameter(name=["--count", "-n"])] = None
    """Number of pictures to add to the pool; 20 when not given, with --pictures all."""
    pictures: Path | None = None
    """Add real pictures of this folder or zip in place of drawn ones; with -n so many, drawn with --seed."""
    crop: Annotated[bool, Parameter(negative="")] = False
    """Take the central square of --pictures that are not square."""
    first_seed: int | None = None
    """Seed of the first picture, the others follow; after the pool's last one when not given."""
    order: Order = "random"
    """Which seeds: random (one after the other, as good as by chance), diverse (those that cover all others and the
    pool best) or uncertain (where a model of the labels so far is unsure, far from the pool)."""
    candidates: int | None = None
    """With diverse and uncertain: seeds to choose among; 8 a picture when not given."""


def sample(project: Path, /, *, flags: SampleFlags = SampleFlags()) -> int:
    """Draw pictures of the pool that is offered for labelling, or add real ones to it.

    Args:
        project: the project's folder.
    """
    opened = Project.open(project)
    if flags.pictures is not None:
        return _sample_real(opened, flags, flags.pictures)
    if flags.crop:
        raise UsageError("--crop cuts real pictures; give them with --pictures DIR, or leave it out")
    count = COUNT if flags.count is None else flags.count
    with contextlib.nullcontext() if flags.dry_run else opened.changing():
        return _sample_drawn(opened, flags, count)


def _sample_drawn(opened: Project, flags: SampleFlags, count: int) -> int:
    project, offered = opened.folder, next_seeds(opened, flags, count)
    if flags.dry_run:
        chosen_of = "" if flags.order == "random" else f"the {count} most {flags.order} of "
        steps = [f"draw {chosen_of}{named(list(offered))} into {project}/pool"]
        return show.plan(flags, steps, settings(flags, first_seed=offered[0]))
    # torch takes seconds to load, so whatever is wrong is told before
    from gannotate.annotate.choosing import choose_seeds
    from gannotate.cli.device import prepare
    from gannotate.generators.base import DrawOptions, draw, to_uint8
    from gannotate.generators.build import load_generator

    generator = load_generator(opened.generator_folder, prepare(flags))
    seeds = choose_seeds(opened, generator, offered, count, flags.order)
    there = {picture.seed for picture in opened.pool()}
    chosen = opened.config.draw.model_dump()
    drawn = [
        (PoolPicture(seed, chosen), encode_picture(to_uint8(drawing.picture)[0]))
        for seed, drawing in draw(generator, seeds, DrawOptions(**chosen))
    ]
    opened.add_to_pool(drawn)
    again = sorted(there & set(seeds))
    result = {"project": str(project), "seeds": seeds, "order": flags.order, "pool": len(opened.pool("any"))}
    result["drawn_again"] = again
    text = f"{told(seeds, again)}; the pool has {result['pool']}"
    return show.finish(flags, result, text, f"gannotate annotate {quoted(project)}")


def _sample_real(project: Project, flags: SampleFlags, pictures: Path) -> int:
    if flags.order != "random" or flags.first_seed is not None or flags.candidates is not None:
        raise UsageError("--order, --first-seed and --candidates choose drawn pictures; leave them out with --pictures")
    if flags.dry_run:
        count = "all" if flags.count is None else str(flags.count)
        return show.plan(flags, [f"add {count} pictures of {pictures} to {project.folder}/pool"], settings(flags))
    with project.changing():
        added = add_pictures(project, pictures, flags, flags.count)
    result = {"project": str(project.folder), "seeds": added, "order": "random", "pool": len(project.pool("any"))}
    text = f"{counted(len(added), 'real picture')} added; the pool has {result['pool']}"
    return show.finish(flags, result, text, f"gannotate annotate {quoted(project.folder)}")


def told(seeds: list[int], again: list[int]) -> str:
    """How many pictures are new, and which were in the pool before and were drawn once more."""
    new = [seed for seed in seeds if seed not in again]
    parts = [f"{counted(len(new), 'picture')} added, {named(new)}"] if new else ["no picture added"]
    return ", ".join([*parts, *([f"{named(again)} drawn again"] if again else [])])


def named(seeds: list[int]) -> str:
    """Seeds for a person: `seeds 3 to 7` when they follow each other, else all of them."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seeds {', '.join(str(seed) for seed in seeds)}"


def next_seeds(project: Project, flags: SampleFlags, count: int) -> range:
    """The seeds to draw, or to choose among.

    Raises:
        UsageError: a count below 1, fewer candidates than that, or candidates where nothing is chosen.
    """
    if count < 1:
        raise UsageError(f"-n is {count}; give the number of pictures, 1 or more")
    if flags.candidates is not None and (flags.order == "random" or flags.candidates < count):
        raise UsageError(
            f"--candidates is {flags.candidates}; give at least -n ({count}) of them, and --order diverse or "
            "uncertain to choose"
        )
    pool = project.pool()
    first = flags.first_seed if flags.first_seed is not None else (pool[-1].seed + 1 if pool else 0)
    offered = range(first, first + (count if flags.order == "random" else flags.candidates or CANDIDATES * count))
    if is_real(offered[-1]):
        raise UsageError(f"--first-seed is {first}; seeds end at {FIRST_REAL - 1}, the numbers above are real pictures")
    return offered
