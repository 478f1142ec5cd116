"""`gannotate sample`: pictures for the pool, by seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, settings
from gannotate.data.writing import encode_picture
from gannotate.errors import UsageError
from gannotate.generators.base import DrawOptions, draw, to_uint8
from gannotate.generators.build import load_generator
from gannotate.project import PoolPicture, Project


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SampleFlags(Common):
    """Flags of `sample`."""

    count: Annotated[int, Parameter(name=["--count", "-n"])] = 20
    """Number of pictures to add to the pool."""
    first_seed: int | None = None
    """Seed of the first picture, the others follow; after the pool's last one when not given."""


def sample(project: Path, /, *, flags: SampleFlags = SampleFlags()) -> int:
    """Draw pictures of the pool that is offered for labelling.

    Args:
        project: the project's folder.
    """
    opened = Project.open(project)
    seeds = next_seeds(opened, flags)
    if flags.dry_run:
        steps = [f"draw seeds {seeds[0]} to {seeds[-1]} into {project}/pool"]
        return show.plan(flags, steps, settings(flags, first_seed=seeds[0]))
    generator = load_generator(opened.generator_folder, prepare(flags))
    chosen = opened.config.draw.model_dump()
    drawn = [
        (PoolPicture(seed, chosen), encode_picture(to_uint8(drawing.picture)[0]))
        for seed, drawing in draw(generator, seeds, DrawOptions(**chosen))
    ]
    opened.add_to_pool(drawn)
    result = {"project": str(project), "seeds": list(seeds), "pool": len(opened.pool())}
    text = f"{len(seeds)} pictures added, seeds {seeds[0]} to {seeds[-1]}; the pool has {result['pool']}"
    next_step = (
        f"gannotate fit {project}, after labelling some in {project}/annotations/SEED.png or with gannotate simulate"
    )
    return show.finish(flags, result, text, next_step)


def next_seeds(project: Project, flags: SampleFlags) -> range:
    """The seeds to draw.

    Raises:
        UsageError: a count below 1.
    """
    if flags.count < 1:
        raise UsageError(f"-n is {flags.count}; give the number of pictures, 1 or more")
    pool = project.pool()
    first = flags.first_seed if flags.first_seed is not None else (pool[-1].seed + 1 if pool else 0)
    return range(first, first + flags.count)
