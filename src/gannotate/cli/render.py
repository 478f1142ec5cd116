"""`gannotate render portraits`: pictures with exact label maps, without any training."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.flags import Common, settings
from gannotate.data.portraits import CLASSES, FINE_CLASSES, render_many
from gannotate.data.writing import check_new, encode_picture, new_pictures
from gannotate.errors import UsageError
from gannotate.labels import encode_label_map, make_classes
from gannotate.record import cores
from gannotate.wording import quoted


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RenderFlags(Common):
    """Flags of `render`."""

    out: Path
    """New folder, or new zip when it ends with .zip: images/NAME.png, masks/NAME.png and classes.json."""
    count: Annotated[int, Parameter(name=["--count", "-n"])] = 1000
    """Number of pictures."""
    size: int = 64
    """Side of a picture in pixels."""
    style: Literal["natural", "flat"] = "natural"
    """natural, or flat: other colours, no shading, plain background."""
    fine: Annotated[bool, Parameter(negative="")] = False
    """Give teeth and irises classes of their own (128 px or more)."""
    masks: bool = True
    """Write the label maps too; without them the pictures lie in the folder itself."""
    first_seed: int | None = None
    """Seed of the first picture, the others follow; --seed when not given."""
    workers: int | None = None
    """Processes that draw; one a processor core when not given."""


@dataclass(frozen=True)
class Rendered:
    """Progress of rendering."""

    done: int
    steps: int
    seconds: float
    eta_s: float
    metrics: dict[str, float]


def render(what: Literal["portraits"], /, *, flags: RenderFlags) -> int:
    """Render pictures with exact label maps.

    Args:
        what: portraits, faces drawn from parameters; a seed is a picture.
    """
    if flags.count < 1:
        raise UsageError(f"-n is {flags.count}; give the number of pictures, 1 or more")
    check_new(flags.out)
    if flags.dry_run:
        steps = [f"render {flags.count} {what} of {flags.size} px into {flags.out}"]
        return show.plan(flags, steps, settings(flags))
    last = show.follow(_render(flags), f"render {what}", flags.quiet)
    seconds = last.seconds if last else 0.0
    result = {
        "out": str(flags.out),
        "pictures": flags.count,
        "classes": list(FINE_CLASSES if flags.fine else CLASSES),
        "seconds": round(seconds, 2),
        "pictures_per_s": round(flags.count / max(seconds, 1e-9), 1),
    }
    text = f"{flags.count} {what} in {flags.out}, {result['pictures_per_s']} a second"
    return show.finish(flags, result, text, f"gannotate train-generator {quoted(flags.out)} --out DIR")


def _render(flags: RenderFlags) -> Iterator[Rendered]:
    first = flags.seed if flags.first_seed is None else flags.first_seed
    classes = make_classes(FINE_CLASSES if flags.fine else CLASSES)
    seeds = range(first, first + flags.count)
    begin = time.monotonic()
    portraits = render_many(seeds, flags.size, flags.style, flags.fine, flags.workers or cores())
    with new_pictures(flags.out) as add:
        for done, (seed, portrait) in enumerate(portraits, start=1):
            name = f"{seed:08d}.png"
            if flags.masks:
                add(f"images/{name}", encode_picture(portrait.picture))
                add(f"masks/{name}", encode_label_map(portrait.label_map, classes))
            else:
                add(name, encode_picture(portrait.picture))
            seconds = time.monotonic() - begin
            yield Rendered(done, flags.count, seconds, seconds / done * (flags.count - done), {})
        if flags.masks:
            names = {str(index): item.name for index, item in enumerate(classes)}
            add("classes.json", json.dumps({"classes": names, "size": flags.size}, indent=1).encode())
