"""`gannotate sample`: pictures for the pool, by seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gannotate.annotate.choosing import choose_seeds
from gannotate.annotate.order import Order
from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, settings
from gannotate.data.writing import encode_picture
from gannotate.errors import UsageError
from gannotate.generators.base import DrawOptions, draw, to_uint8
from gannotate.generators.build import load_generator
from gannotate.project import PoolPicture, Project

CANDIDATES = 8
"""Seeds to choose among, for each picture wanted."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SampleFlags(Common):
    """Flags of `sample`."""

    count: Annotated[int, Parameter(name=["--count", "-n"])] = 20
    """Number of pictures to add to the pool."""
    first_seed: int | None = None
    """Seed of the first picture, the others follow; after the pool's last one when not given."""
    order: Order = "random"
    """Which seeds: random (one after the other, as good as by chance), diverse (those that cover all others and the
    pool best) or uncertain (where a model of the labels so far is unsure, far from the pool)."""
    candidates: int | None = None
    """With diverse and uncertain: seeds to choose among; 8 a picture when not given."""


def sample(project: Path, /, *, flags: SampleFlags = SampleFlags()) -> int:
    """Draw pictures of the pool that is offered for labelling.

    Args:
        project: the project's folder.
    """
    opened = Project.open(project)
    offered = next_seeds(opened, flags)
    if flags.dry_run:
        chosen_of = "" if flags.order == "random" else f"the {flags.count} most {flags.order} of "
        steps = [f"draw {chosen_of}seeds {offered[0]} to {offered[-1]} into {project}/pool"]
        return show.plan(flags, steps, settings(flags, first_seed=offered[0]))
    generator = load_generator(opened.generator_folder, prepare(flags))
    seeds = choose_seeds(opened, generator, offered, flags.count, flags.order)
    chosen = opened.config.draw.model_dump()
    drawn = [
        (PoolPicture(seed, chosen), encode_picture(to_uint8(drawing.picture)[0]))
        for seed, drawing in draw(generator, seeds, DrawOptions(**chosen))
    ]
    opened.add_to_pool(drawn)
    result = {"project": str(project), "seeds": seeds, "order": flags.order, "pool": len(opened.pool())}
    text = f"{len(seeds)} pictures added, seeds {named(seeds)}; the pool has {result['pool']}"
    return show.finish(flags, result, text, f"gannotate annotate {project}")


def named(seeds: list[int]) -> str:
    """Seeds for a person: `3 to 7` when they follow each other, else all of them."""
    if seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(str(seed) for seed in seeds)


def next_seeds(project: Project, flags: SampleFlags) -> range:
    """The seeds to draw, or to choose among.

    Raises:
        UsageError: a count below 1, fewer candidates than that, or candidates where nothing is chosen.
    """
    if flags.count < 1:
        raise UsageError(f"-n is {flags.count}; give the number of pictures, 1 or more")
    if flags.candidates is not None and (flags.order == "random" or flags.candidates < flags.count):
        raise UsageError(
            f"--candidates is {flags.candidates}; give at least -n ({flags.count}) of them, and --order diverse or "
            "uncertain to choose"
        )
    pool = project.pool()
    first = flags.first_seed if flags.first_seed is not None else (pool[-1].seed + 1 if pool else 0)
    chosen_among = flags.candidates or CANDIDATES * flags.count
    return range(first, first + (flags.count if flags.order == "random" else chosen_among))
