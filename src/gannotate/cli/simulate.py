"""`gannotate simulate`: annotations by a segmenter instead of a person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, settings
from gannotate.cli.next_steps import after_labels
from gannotate.errors import GannotateError, UsageError
from gannotate.fitting.regions import parse_region
from gannotate.fitting.simulate import about_segmenter, check_one_region, check_two_classes, to_simulate
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
    region: str | None = None
    """Label one region in place of all classes, made from what the segmenter sees: class:CLASS, left:CLASS or
    right:CLASS (one of two look-alikes), or star:PAIR:CLASS:NUMBER (a random shape in the frame of three things, as
    star:eyes:mouth:0). The project has two classes; pictures that do not show the region get no annotation."""

    def __post_init__(self) -> None:
        """Raises UsageError for a region that cannot be understood, or that would leave labels of another one."""
        super().__post_init__()
        if self.region is not None:
            parse_region(self.region)
        if self.region is not None and self.replace:
            raise UsageError(
                "--replace and --region were both given, and a picture that does not show the region would keep its "
                "old labels; leave one out, or make another project for this region"
            )


def simulate(project: Path, /, *, flags: SimulateFlags) -> int:
    """Label pool pictures with a segmenter trained on other labels; the annotations say that they are simulated.

    Args:
        project: the project's folder.
    """
    opened = Project.open(project)
    folder = segmenter_folder(opened, flags.segmenter)
    about = about_segmenter(folder)
    region = None if flags.region is None else parse_region(flags.region)
    if region is not None:
        check_two_classes(opened)
        check_one_region(opened, region)
    seeds = to_simulate(opened, flags.count, flags.replace)
    if flags.dry_run:
        what = f"label {len(seeds)} pool pictures with {folder}"
        step = what if region is None else f"{what}, those that show {region}"
        return show.plan(flags, [step], settings(flags, about=about))
    if about["miou"] is None:
        show.say(
            flags,
            f"nobody has measured {folder} yet: `gannotate evaluate {quoted(project)} --test DIR` tells how good it "
            "is, and notes it",
        )
    with opened.changing():
        seeds = to_simulate(opened, flags.count, flags.replace)  # another command may just have labelled some
        segmenter = load_predictor(folder, prepare(flags))
        done = list(simulate_annotations(opened, segmenter, seeds, about, region))
    result = {"project": str(project), "seeds": done, "source": "simulated", "about": about}
    text = (
        f"{counted(len(done), 'simulated annotation')} by {about['network']} trained on {about['labels']} labels "
        f"(its own mIoU {show.fraction(about['miou'])})"
    )
    if region is not None:
        if not done:
            raise GannotateError(
                f"{region} is on none of the {'' if flags.count is None else 'first '}"
                f"{counted(len(seeds), 'pool picture')} without an annotation; "
                + ("give a larger -n, or " if flags.count is not None else "")
                + f"draw more with `{opened.more_pictures}`"
            )
        without = [seed for seed in seeds if seed not in done]
        result |= {"region": str(region), "without": without}
        text += f", of {region}; not seen on {counted(len(without), 'other picture')}, which have no annotation"
    return show.finish(flags, result, text, after_labels(project, bool(opened.annotations("generated"))))


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
