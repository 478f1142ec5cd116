"""Simulated annotators: pool pictures labelled by a segmenter that was trained on other labels.

The papers did so with ready networks, to try many settings without people. Such an annotation says what it is: which
network made it, how many labels that had seen, and how well it scores itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gannotate.data.pictures import read_picture
from gannotate.errors import GannotateError, UsageError
from gannotate.fitting.regions import Region
from gannotate.project import Project
from gannotate.record import read_record
from gannotate.segmenters.kept import training_of
from gannotate.segmenters.loading import describe
from gannotate.segmenters.predict import Predictor
from gannotate.segmenters.scored import read_scores
from gannotate.wording import quoted


def about_segmenter(folder: str | Path) -> dict[str, Any]:
    """What an annotation tells about the segmenter that made it.

    Returns:
        segmenter (its folder), network, labels (how many it learned from) and label_source, miou and miou_on; None
        for what its folder does not tell.

    Raises:
        GannotateError: a file there is damaged.
    """
    scores = read_scores(folder) or {}
    made = {"segmenter": str(folder), **about_training(folder)}
    return made | {"miou": scores.get("miou"), "miou_on": scores.get("test")}


def about_training(folder: str | Path) -> dict[str, Any]:
    """network, labels and label_source of `about_segmenter`: what does not depend on how it scores."""
    network, about = describe(folder)
    trained = about | ((read_record(training_of(Path(folder))) or {}).get("about") or {})
    return {
        "network": network,
        "labels": trained.get("labels", trained.get("pictures")),
        "label_source": trained.get("label_source"),
    }


def to_simulate(project: Project, count: int | None = None, replace: bool = False) -> list[int]:
    """Seeds of the pool pictures to label: those without an annotation, the first `count` of them.

    `replace` takes those with a simulated one too; what a person made is never replaced.

    Raises:
        UsageError: there are none, or fewer than `count`.
    """
    pool = [picture.seed for picture in project.pool("any")]
    if not pool:
        raise UsageError(f"{project.folder} has no pool pictures; add some with `{project.more_pictures}`")
    kept = {one.seed for one in project.annotations("any") if not (replace and one.source == "simulated")}
    seeds = [seed for seed in pool if seed not in kept]
    if not seeds or (count is not None and not 1 <= count <= len(seeds)):
        asked = "every pool picture is annotated" if not seeds else f"-n is {count}"
        raise UsageError(
            f"{asked}; {len(seeds)} of the {len(pool)} pool pictures can be labelled; give 1 to that many, or add more "
            f"with `{project.more_pictures}`"
        )
    return seeds[:count]


def simulate(
    project: Project, segmenter: Predictor, seeds: list[int], about: dict[str, Any], region: Region | None = None
) -> Iterator[int]:
    """Labels pool pictures with `segmenter`, and marks the annotations as simulated; yields each seed when it is done.

    With a region it is class 1 and all else is background; pictures that do not show it get no annotation.

    Raises:
        GannotateError: the segmenter has other classes than the project, or a pool picture cannot be read.
        UsageError: the region is of a class that the segmenter lacks, or the project has not two classes.
    """
    if region is None:
        check_classes(project, segmenter)
        rule = _all_classes
    else:
        check_two_classes(project)
        check_one_region(project, region)
        about = about | {"region": str(region)}
        rule = region.rule([item.name for item in segmenter.config.class_infos])
    for seed in seeds:
        (parts,) = segmenter.predict(_pool_picture(project, seed)[None])
        label_map = rule(parts)
        if label_map is not None:
            project.write_annotation(seed, label_map.astype(np.uint8), "simulated", about)
            yield seed


def _all_classes(parts: np.ndarray) -> np.ndarray:
    return parts


def check_two_classes(project: Project) -> None:
    """Checks that a project has the classes that a region is labelled with.

    Raises:
        UsageError: it has more than the background and one.
    """
    names = [item.name for item in project.classes]
    if len(names) != 2:
        raise UsageError(
            f"--region labels one region and the background, and {project.folder} has {len(names)} classes "
            f"({', '.join(names)}); make a project of two: `gannotate new DIR --classes background,region --generator "
            "DIR`"
        )


def check_one_region(project: Project, region: Region) -> None:
    """Checks that the simulated labels that are there are of this region: both would be the same class.

    Raises:
        UsageError: they are of another one, or of all classes.
    """
    found = {one.about.get("region") for one in project.annotations("any") if one.source == "simulated"}
    if others := sorted(str(one or "all classes") for one in found - {str(region)}):
        raise UsageError(
            f"{project.folder} has labels of {others[0]}, and its one class would mean {region} on other pictures; "
            "make another project for this region"
        )


def check_classes(project: Project, segmenter: Predictor) -> None:
    """Checks that a segmenter has the project's classes, by number and, where it has names, by name.

    Raises:
        GannotateError: it has others.
    """
    own, names = [item.name for item in project.classes], segmenter.config.class_names
    if segmenter.config.classes != len(own) or (names and list(names) != own):
        given = ", ".join(names) or f"{segmenter.config.classes} classes"
        raise GannotateError(f"the segmenter tells {given} apart, the project {', '.join(own)}; they must be the same")


def _pool_picture(project: Project, seed: int) -> np.ndarray:
    path = project.pool_picture_path(seed)
    try:
        image = read_picture(path).convert("L" if project.config.image_channels == 1 else "RGB")
    except GannotateError as error:
        raise GannotateError(
            f"{path} cannot be read ({error}); draw it again with `gannotate sample {quoted(project.folder)} -n 1 "
            f"--first-seed {seed}`"
        ) from error
    return np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
