"""`gannotate generate`: pictures of a generator, by seed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, settings
from gannotate.data.writing import check_new, encode_picture, new_pictures
from gannotate.errors import UsageError
from gannotate.generators.base import DrawOptions, draw, to_uint8
from gannotate.generators.build import load_generator


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class GenerateFlags(Common):
    """Flags of `generate`."""

    out: Path
    """New folder, or zip when it ends with .zip: SEED.png, and pictures.json with how they were drawn."""
    seeds: str = "0-63"
    """Seeds, e.g. 0-63 or 1,5,20-25."""
    psi: float = 1.0
    """Truncation: 1 draws the full variety, 0 the average picture."""
    cutoff: int | None = None
    """Truncate only the first so many styles; all when not given."""
    noise: Literal["const", "seeded", "none"] = "const"
    """Per-pixel noise: const (one for all), seeded (each picture its own) or none."""


def generate(generator: Path, /, *, flags: GenerateFlags) -> int:
    """Draw pictures of a generator by seed.

    Args:
        generator: the generator's folder, or a project.
    """
    folder = generator / "generator" if (generator / "project.yaml").exists() else generator
    seeds = parse_seeds(flags.seeds)
    options = DrawOptions(psi=flags.psi, cutoff=flags.cutoff, noise=flags.noise)
    check_new(flags.out)
    if flags.dry_run:
        return show.plan(flags, [f"draw {len(seeds)} pictures of {folder} into {flags.out}"], settings(flags))
    network = load_generator(folder, prepare(flags))
    with new_pictures(flags.out) as add:
        for seed, drawing in draw(network, seeds, options):
            add(f"{seed}.png", encode_picture(to_uint8(drawing.picture)[0]))
        about = {"generator": str(folder), "seeds": seeds, "options": asdict(options)}
        add("pictures.json", json.dumps(about, indent=1).encode())
    return show.finish(flags, {"out": str(flags.out), **about}, f"{len(seeds)} pictures in {flags.out}")


def parse_seeds(text: str) -> list[int]:
    """`1,5,20-25` to seeds, in the order given, each once.

    Raises:
        UsageError: not numbers and ranges, or a range that ends before it begins.
    """
    seeds: dict[int, None] = {}
    for word in text.split(","):
        first, dash, last = word.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"--seeds has {word.strip()!r}; give whole numbers and ranges like 1,5,20-25")
        end = int(last) if dash else int(first)
        if end < int(first):
            raise UsageError(f"--seeds has {word.strip()!r}, which ends before it begins; give e.g. 0-63")
        seeds |= dict.fromkeys(range(int(first), end + 1))
    return list(seeds)
