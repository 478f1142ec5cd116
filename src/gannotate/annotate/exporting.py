"""A project's annotations in another tool's format, with their pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gannotate.data.formats.base import Format, Picture
from gannotate.data.pictures import read_picture
from gannotate.data.writing import new_pictures
from gannotate.errors import GannotateError, UsageError
from gannotate.project import Annotation, PoolPicture, Project, Source
from gannotate.wording import quoted


@dataclass(frozen=True)
class Chosen:
    """What is exported. pairs: pictures with their annotations. without: annotations whose picture is not there."""

    pairs: tuple[tuple[PoolPicture, Annotation], ...]
    without: tuple[int, ...]


def choose(project: Project, only: Source = "any", made_by: Collection[str] = ()) -> Chosen:
    """The annotations to export: of generated pictures, real ones or any, and made by any or some of the sources.

    Raises:
        UsageError: there are none.
    """
    pool = {picture.seed: picture for picture in project.pool(only)}
    annotations = [one for one in project.annotations(only) if not made_by or one.source in made_by]
    there = [one for one in annotations if one.seed in pool and project.pool_picture_path(one.seed).exists()]
    if not there:
        kind = "" if only == "any" else f" of {only} pictures"
        raise UsageError(
            f"{project.folder} has no annotations{kind}{' by ' + ', '.join(made_by) if made_by else ''} to export; "
            f"label some with `gannotate annotate {quoted(project.folder)}`"
        )
    missing = {one.seed for one in annotations} - {one.seed for one in there}
    return Chosen(tuple((pool[one.seed], one) for one in there), tuple(sorted(missing)))


def export(project: Project, chosen: Chosen, kind: Format, out: str | Path) -> list[str]:
    """Writes them to a new folder or zip, which appears whole or not at all; gives what the format could not hold.

    Raises:
        UsageError: `out` exists. GannotateError: a file of the project cannot be read, or the disk is full.
    """
    with new_pictures(out) as add:
        return kind.write(add, _pictures(project, chosen.pairs), project.classes)


def _pictures(project: Project, pairs: Sequence[tuple[PoolPicture, Annotation]]) -> Iterator[Picture]:
    for picture, annotation in pairs:
        pixels = read_pool_picture(project, picture.seed)
        yield Picture(picture.name, pixels, project.read_annotation(annotation.seed))


def read_pool_picture(project: Project, seed: int) -> UInt8[np.ndarray, "size size c"]:
    """A picture of the pool.

    Raises:
        GannotateError: it cannot be read.
    """
    path = project.pool_picture_path(seed)
    try:
        image = read_picture(path).convert("L" if project.config.image_channels == 1 else "RGB")
    except GannotateError as error:
        raise GannotateError(
            f"{path} cannot be read ({error}); add that picture again with `gannotate sample`"
        ) from error
    return np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
