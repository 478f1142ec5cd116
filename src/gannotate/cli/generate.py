"""`gannotate generate`: pictures of a generator, by seed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, settings
from gannotate.data.writing import Add, check_new, encode_picture, new_pictures
from gannotate.errors import UsageError
from gannotate.files import write_bytes
from gannotate.generators.base import DrawOptions, Generator, draw, to_uint8
from gannotate.generators.build import load_generator
from gannotate.project import Project
from gannotate.viz import contact_sheet
from gannotate.wording import counted

MOST_SHEET_PX = 100_000_000
"""A sheet of more pixels is refused: it would fill the memory, and hardly any viewer opens it."""


COUNT = 64
"""Pictures when nobody says how many."""

MOST_SEEDS = 1_000_000
"""One command takes no more seeds: a longer range is most likely a slip."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class GenerateFlags(Common):
    """Flags of `generate`."""

    out: Path | None = None
    """New folder, or zip when it ends with .zip: SEED.png, and pictures.json with how they were drawn."""
    sheet: Path | None = None
    """New PNG with all the pictures side by side; alone or beside --out."""
    count: Annotated[int | None, Parameter(name=["--count", "-n"])] = None
    """Number of pictures, from --first-seed on; 64 when neither this nor --seeds is given."""
    first_seed: int = 0
    """Seed of the first picture, the others follow."""
    seeds: str | None = None
    """Which seeds instead, e.g. 0-63 or 1,5,20-25."""
    psi: float = 1.0
    """Truncation: 1 draws the full variety, 0 the average picture."""
    cutoff: int | None = None
    """Truncate only the first so many styles; all when not given."""
    noise: Literal["const", "seeded", "none"] = "const"
    """Per-pixel noise: const (one for all), seeded (each picture its own) or none."""
    label: int | None = None
    """Class to draw, for a class-conditional generator."""

    def numbers(self) -> list[int]:
        """The seeds, in order.

        Raises:
            UsageError: told in two ways, or none, or too many.
        """
        if self.seeds is None:
            count = COUNT if self.count is None else self.count
            if not 1 <= count <= MOST_SEEDS:
                raise UsageError(f"-n is {count}; give the number of pictures, 1 to {MOST_SEEDS:,}")
            return list(range(self.first_seed, self.first_seed + count))
        if self.count is not None or self.first_seed:
            raise UsageError("--seeds says which pictures are drawn; leave -n and --first-seed out, or --seeds")
        return parse_seeds(self.seeds)


def generate(generator: Path, /, *, flags: GenerateFlags = GenerateFlags()) -> int:
    """Draw pictures of a generator by seed.

    Args:
        generator: the generator's folder, or a project.
    """
    folder = generator_folder(generator)
    seeds = flags.numbers()
    options = DrawOptions(psi=flags.psi, cutoff=flags.cutoff, noise=flags.noise)
    places = _places(flags)
    if flags.dry_run:
        return show.plan(flags, [f"draw {len(seeds)} pictures of {folder} into {places}"], settings(flags))
    network = load_generator(folder, prepare(flags))
    check_cutoff(flags.cutoff, network)
    check_label(flags.label, network)
    check_sheet("--sheet", flags.sheet, len(seeds), network.size)
    about = {"generator": str(folder), "seeds": seeds, "options": asdict(options), "label": flags.label}
    if flags.out is None:
        pictures = _draw(network, seeds, options, flags)
    else:
        with new_pictures(flags.out) as add:
            pictures = _draw(network, seeds, options, flags, add)
            add("pictures.json", json.dumps(about, indent=1).encode())
    if flags.sheet is not None:
        sheet = contact_sheet(pictures, columns=int(np.ceil(len(seeds) ** 0.5)))
        write_bytes(flags.sheet, encode_picture(sheet))
    return show.finish(flags, _result(flags, about), f"{counted(len(seeds), 'picture')} in {places}")


def generator_folder(path: Path) -> Path:
    """The generator of a project, or the folder itself."""
    return Project.open(path).generator_folder if (path / "project.yaml").exists() else path


def check_cutoff(cutoff: int | None, network: Generator) -> None:
    """Checks --cutoff against the generator's styles.

    Raises:
        UsageError: outside of them.
    """
    if cutoff is not None and not 0 <= cutoff <= network.style_count:
        raise UsageError(f"--cutoff is {cutoff}; this generator has {network.style_count} styles, give 0 to that")


def check_label(label: int | None, network: Generator) -> None:
    """Checks --label against the generator's classes.

    Raises:
        UsageError: missing, not wanted, or not one of them.
    """
    classes = network.label_dim
    if classes and label is None:
        raise UsageError(f"this generator draws {classes} classes; say which one, e.g. --label 0, up to {classes - 1}")
    if label is not None and not classes:
        raise UsageError(f"--label is {label}, but this generator has no classes; leave it out")
    if label is not None and not 0 <= label < classes:
        raise UsageError(f"--label is {label}; the {classes} classes of this generator are 0 to {classes - 1}")


def check_new_png(flag: str, path: Path) -> None:
    """Checks that `path` can become a new PNG.

    Raises:
        UsageError: it exists, or ends differently.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"{flag} is {path}; give the name of a new PNG, e.g. {path.with_suffix('.png')}")
    if path.exists():
        raise UsageError(f"{path} exists; give a new name to {flag}")


def check_sheet(flag: str, path: Path | None, pictures: int, size_px: int) -> None:
    """Checks that so many pictures fit on one sheet.

    Raises:
        UsageError: the sheet would be too large.
    """
    if path is not None and pictures * size_px**2 > MOST_SHEET_PX:
        most = MOST_SHEET_PX // size_px**2
        raise UsageError(
            f"{flag} takes at most {most} pictures of {size_px} px, these are {pictures}; give fewer seeds"
        )


def parse_seeds(text: str, flag: str = "--seeds") -> list[int]:
    """`1,5,20-25` to seeds, in the order given, each once; `flag` is named in errors.

    Raises:
        UsageError: not numbers and ranges, a range that ends before it begins, or more than a million seeds.
    """
    seeds: dict[int, None] = {}
    for word in text.split(","):
        first, dash, last = word.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"{flag} has {word.strip()!r}; give whole numbers and ranges like 1,5,20-25")
        end = int(last) if dash else int(first)
        if end < int(first):
            raise UsageError(f"{flag} has {word.strip()!r}, which ends before it begins; give e.g. 0-63")
        if len(seeds) + end - int(first) >= MOST_SEEDS:
            raise UsageError(f"{flag} has {word.strip()!r}; give at most {MOST_SEEDS:,} seeds at a time")
        seeds |= dict.fromkeys(range(int(first), end + 1))
    return list(seeds)


def _places(flags: GenerateFlags) -> str:
    """Where the pictures go, for a sentence."""
    if flags.out is not None:
        check_new(flags.out)
    if flags.sheet is not None:
        check_new_png("--sheet", flags.sheet)
    places = " and ".join(str(path) for path in (flags.out, flags.sheet) if path is not None)
    if not places:
        raise UsageError("there is no place for the pictures; add --out FOLDER, or --sheet FILE.png for one picture")
    return places


def _draw(
    network: Generator, seeds: list[int], options: DrawOptions, flags: GenerateFlags, add: Add | None = None
) -> list[np.ndarray]:
    """Adds each picture to the folder when there is one, and keeps them when there will be a sheet."""
    kept = []
    for seed, drawing in draw(network, seeds, options, label=flags.label):
        picture = to_uint8(drawing.picture)[0]
        if add is not None:
            add(f"{seed}.png", encode_picture(picture))
        if flags.sheet is not None:
            kept.append(picture)
    return kept


def _result(flags: GenerateFlags, about: dict[str, Any]) -> dict[str, Any]:
    written = {name: str(path) for name, path in (("out", flags.out), ("sheet", flags.sheet)) if path is not None}
    return {**written, **about}
