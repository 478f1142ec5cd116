"""`gannotate demo`: the whole loop on portraits that ship, to see it work."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.ending import as_by_ctrl_c
from gannotate.cli.flags import Common, settings
from gannotate.demo import DemoConfig, read_result, run_demo, shipped_portraits
from gannotate.errors import GannotateError
from gannotate.report.page import PAGE
from gannotate.wording import quoted

NAMES = {
    "floor_majority": "floor: majority label map",
    "floor_pixels": "floor: pixel net",
    "supervised": "supervised, as many exact labels",
    "segmenter": "segmenter, from generated pictures",
    "decoder": "decoder, on held-out pool pictures",
}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DemoFlags(Common):
    """Flags of `demo`."""

    shots: int = DemoConfig.shots
    """Annotated pictures to learn from; --seed chooses which."""
    out: Path | None = None
    """New folder for the project; gannotate-demo, or gannotate-demo-2 and so on, when not given."""


class Stopped(GannotateError):
    """Ctrl-C or SIGTERM: unlike other commands, the demonstration does not go on where it was."""

    exit_code = 130


def demo(*, flags: DemoFlags = DemoFlags()) -> int:
    """Go from a shipped generator and 5 annotations to a segmentation network, in some minutes."""
    folder = flags.out or fresh_folder(Path("gannotate-demo"))
    config = DemoConfig(shots=flags.shots, seed=flags.seed)
    if flags.dry_run:
        steps = [f"make a project in {folder} from {shipped_portraits()}", "fit, synthesize, train, test, report"]
        return show.plan(flags, steps, settings(flags, out=str(folder), **vars(config)))
    try:
        with as_by_ctrl_c(), contextlib.closing(run_demo(folder, config, prepare(flags))) as running:
            for stage, steps in groupby(running, key=lambda step: step.stage):
                show.follow(steps, stage, flags.quiet)
    except KeyboardInterrupt as error:
        raise Stopped("stopped; nothing is left behind, and the same command starts anew") from error
    result = read_result(folder)
    return show.finish(flags, result, as_text(folder, result), f"open {quoted(folder / PAGE)} in a browser")


def fresh_folder(path: Path) -> Path:
    """`path`, or the first of path-2, path-3, ... that does not exist."""
    number, fresh = 1, path
    while fresh.exists():
        number += 1
        fresh = path.with_name(f"{path.name}-{number}")
    return fresh


def as_text(folder: Path, result: dict[str, Any]) -> str:
    """The figures as a table."""
    rows = [("mean IoU", ""), *((title, show.fraction(result["miou"][name])) for name, title in NAMES.items())]
    minutes = show.clock(sum(result["seconds"].values()))
    return (
        f"{result['shots']} labelled pictures; tested on {result['test_pictures']} rendered portraits that nothing has "
        f"seen\n{show.table(rows)}\n{minutes} min, {result['peak_rss_mb']:.0f} MB; the project is in {folder}"
    )
