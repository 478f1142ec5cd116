"""`gannotate simulate`: annotations by a segmenter instead of a person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, settings
from gannotate.fitting.simulate import about_segmenter, to_simulate
from gannotate.fitting.simulate import simulate as simulate_annotations
from gannotate.project import Project
from gannotate.segmenters.kept import holds_kept, kept_networks
from gannotate.segmenters.loading import load_predictor
from gannotate.wording import counted, quoted


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SimulateFlags(Common):
    """Flags of `simulate`."""

    segmenter: Path
    """The segmenter that plays the annotator: its folder, or its name in the project, e.g. 0001-unet-supervised."""
    count: Annotated[int | None, Parameter(name=["--count", "-n"])] = None
    """Label only so many pool pictures; all without an annotation when not given."""
    replace: Annotated[bool, Parameter(negative="")] = False
    """Label those again that have a simulated annotation; a person's are always kept."""


def simulate(project: Path, /, *, flags: SimulateFlags) -> int:
    """Label pool pictures with a segmenter trained on other labels; the annotations say that they are simulated.

    Args:
        project: the project's folder.
    """
    opened = Project.open(project)
    folder = segmenter_folder(opened, flags.segmenter)
    about = about_segmenter(folder)
    seeds = to_simulate(opened, flags.count, flags.replace)
    if flags.dry_run:
        return show.plan(flags, [f"label {len(seeds)} pool pictures with {folder}"], settings(flags, about=about))
    if about["miou"] is None:
        show.say(
            flags,
            f"how good {folder} is is not known: `gannotate evaluate {quoted(project)} --test DIR` tells and notes it",
        )
    with opened.changing():
        seeds = to_simulate(opened, flags.count, flags.replace)  # another command may just have labelled some
        segmenter = load_predictor(folder, prepare(flags))
        done = list(simulate_annotations(opened, segmenter, seeds, about))
    result = {"project": str(project), "seeds": done, "source": "simulated", "about": about}
    text = (
        f"{counted(len(done), 'simulated annotation')} by {about['network']} trained on {about['labels']} labels "
        f"(its own mIoU {show.fraction(about['miou'])})"
    )
    return show.finish(flags, result, text, f"gannotate fit {quoted(project)}")


def segmenter_folder(project: Project, given: Path | None) -> Path:
    """A segmenter by its folder or by its name in the project; the newest one when not given.

    Raises:
        UsageError: neither.
    """
    for place in _places(project, given):
        if (place / "config.json").exists():
            return place
    return project.find("segmenters", None if given is None else str(given))


def segmenters_in(project: Project, given: Path) -> list[Path]:
    """All segmenters in a folder of kept networks, e.g. 0001-unet/kept, or else the one that `segmenter_folder` finds.

    Raises:
        UsageError: there are none.
    """
    kept = next((place for place in _places(project, given) if holds_kept(place)), None)
    return [segmenter_folder(project, given)] if kept is None else kept_networks(kept)


def _places(project: Project, given: Path | None) -> tuple[Path, ...]:
    return () if given is None else (given, project.folder / "segmenters" / given)
