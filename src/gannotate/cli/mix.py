"""`gannotate mix`: pictures of some seeds with styles of others, on one sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, settings
from gannotate.cli.generate import check_label, check_new_png, check_sheet, generator_folder, parse_seeds
from gannotate.data.writing import encode_picture
from gannotate.errors import UsageError
from gannotate.files import write_bytes
from gannotate.generators.base import DrawOptions, Generator
from gannotate.generators.build import load_generator
from gannotate.generators.inspect import style_groups
from gannotate.generators.mixing import mix, mixing_sheet


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class MixFlags(Common):
    """Flags of `mix`."""

    out: Path
    """New PNG: the columns' pictures on top, the rows' on the left, the mixtures between them."""
    rows: str = "0-3"
    """Seeds of the rows, e.g. 0-3 or 1,5."""
    cols: str = "10-15"
    """Seeds of the columns."""
    styles: str | None = None
    """Taken from the columns: coarse, middle, fine, all, or numbers like 0-6; the coarsest group when not given."""
    psi: float = 1.0
    """Truncation of both: 1 draws the full variety, 0 the average picture."""
    label: int | None = None
    """Class to draw, for a class-conditional generator."""


def mix_verb(generator: Path, /, *, flags: MixFlags) -> int:
    """Draw one seed's pictures with styles of another: each row's with some of each column's.

    Args:
        generator: the generator's folder, or a project.
    """
    folder = generator_folder(generator)
    rows, cols = parse_seeds(flags.rows, "--rows"), parse_seeds(flags.cols, "--cols")
    options = DrawOptions(psi=flags.psi)
    check_new_png("--out", flags.out)
    if flags.dry_run:
        return show.plan(flags, [f"mix {len(rows)} by {len(cols)} seeds of {folder} into {flags.out}"], settings(flags))
    network = load_generator(folder, prepare(flags))
    check_sheet("--out", flags.out, (len(rows) + 1) * (len(cols) + 1), network.size)
    check_label(flags.label, network)
    styles = parse_styles(flags.styles, network)
    mixed = mix(network, rows, cols, styles, options, flags.label)
    write_bytes(flags.out, encode_picture(mixing_sheet(mixed)))
    result = {"out": str(flags.out), "rows": rows, "cols": cols, "styles": styles, "psi": flags.psi}
    text = f"{len(rows)} x {len(cols)} mixtures in {flags.out}: styles {', '.join(map(str, styles))} of the columns"
    return show.finish(flags, result, text)


def parse_styles(text: str | None, network: Generator) -> list[int]:
    """`coarse`, `middle,8`, `0-6` or `all` to numbers of styles, sorted; those of the coarsest group for None.

    Raises:
        UsageError: no such group or number in this generator.
    """
    groups = style_groups(network)
    text = next(iter(groups)) if text is None else text
    styles: set[int] = set()
    for word in (part.strip() for part in text.split(",")):
        if word == "all":
            styles |= set(range(network.style_count))
        elif word in groups:
            styles |= set(groups[word])
        elif word[:1].isdecimal():
            styles |= set(parse_seeds(word, "--styles"))
        else:
            known = ", ".join([*groups, "all"])
            raise UsageError(
                f"--styles has {word!r}; give numbers from 0 to {network.style_count - 1} like 0-6, or {known}"
            )
    return sorted(styles)
