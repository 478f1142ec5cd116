"""From a project's annotations to the shots that a decoder learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gannotate.errors import GannotateError, UsageError
from gannotate.fitting.coverage import cover, embed
from gannotate.fitting.shot import Shot
from gannotate.generators.base import DrawOptions
from gannotate.generators.build import load_generator
from gannotate.project import Annotation, Project
from gannotate.seeding import numpy_stream
from gannotate.wording import quoted

Pick = Literal["cover", "random"]
"""How a few of many annotations are picked: those that cover the others best, or by chance."""

NOT_PNG = (".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy")
"""Endings of label maps that somebody may put where only PNGs are read."""


def choose(
    project: Project, count: int | None = None, only: Sequence[int] = (), seed: int = 0, pick: Pick = "cover"
) -> list[Annotation]:
    """The annotations to learn from, by seed: all, those of the pictures in `only`, or `count` picked with `seed`.

    `random` draws them; `cover` looks at a half of the annotated pictures, drawn with `seed`, and takes those that
    cover this half best (see coverage.py). Picks of one `seed` are nested: the 5 hold the 1, the 20 hold the 5.

    Raises:
        UsageError: there are none, or fewer than asked for.
    """
    annotations = project.annotations()
    if not annotations:
        if project.annotations("real"):
            raise UsageError(
                f"{project.folder} has labels of real pictures only, and a decoder learns from the generator's; train "
                f"on them: `gannotate data export {quoted(project.folder)} --only real --format palette --out DIR`, "
                f"then `gannotate train {quoted(project.folder)} --labelled DIR`"
            )
        raise UsageError(_none_yet(project))
    if only:
        return _those(annotations, only, project)
    if count is None:
        return annotations
    check_count(len(annotations), count)
    if pick == "random":
        return [annotations[index] for index in draw_some(len(annotations), count, seed)]
    half = draw_some(len(annotations), max(count, -(-len(annotations) // 2)), seed)
    offered = [annotations[index] for index in half]
    if len(offered) <= count:
        return [annotations[index] for index in draw_some(len(annotations), count, seed)]
    return [offered[index] for index in sorted(_cover(project, offered, count))]


def _cover(project: Project, offered: Sequence[Annotation], count: int) -> list[int]:
    generator = load_generator(project.generator_folder)
    options = DrawOptions(**project.config.draw.model_dump())
    return cover(embed(generator, [annotation.seed for annotation in offered], options), count)


def _none_yet(project: Project) -> str:
    """What to say where nothing is labelled; a file in annotations/ that is no PNG is named, as somebody put it there.

    Those in the folders there, and of other endings, belong to the annotator.
    """
    folder = quoted(project.folder)
    odd = [path.name for path in (project.folder / "annotations").glob("*") if path.suffix.lower() in NOT_PNG]
    other = f", and {min(odd)} is none: only SEED.png counts in annotations/" if odd else ""
    return (
        f"{project.folder} has no annotations{other}; label pictures with `gannotate annotate {folder}`, bring label "
        f"maps with `gannotate data import {folder} DIR --format palette`, or let a segmenter label with `gannotate "
        f"simulate {folder} --segmenter DIR`"
    )


def check_count(total: int, count: int, flag: str | None = None) -> None:
    """Checks that `count` shots, or whatever `flag` asks for, can be had of `total`.

    Raises:
        UsageError: fewer than one, or more than there are.
    """
    if not 1 <= count <= total:
        there = "is 1 labelled picture, give 1" if total == 1 else f"are {total} labelled pictures, give 1 to that many"
        asked = f"{count} shots were asked for" if flag is None else f"{flag} is {count}"
        raise UsageError(f"{asked}; there {there}")


def draw_some(total: int, count: int, seed: int, flag: str | None = None) -> list[int]:
    """`count` of the numbers 0 to total - 1, ascending, drawn with `seed`; draws of one seed are nested.

    Raises:
        UsageError: there are not so many.
    """
    check_count(total, count, flag)
    return sorted(numpy_stream(seed, "shots").permutation(total)[:count].tolist())


def load(project: Project, annotations: Sequence[Annotation]) -> list[Shot]:
    """Reads the label maps.

    Raises:
        GannotateError: a label map that cannot be used, or a pool picture drawn otherwise than project.yaml says.
    """
    drawn = {picture.seed: picture.options for picture in project.pool()}
    now = project.config.draw.model_dump()
    for annotation in annotations:
        options = drawn.get(annotation.seed, now)
        changed = [name for name in now if options[name] != now[name]]
        if changed:
            name = changed[0]
            raise GannotateError(
                f"pool picture {annotation.seed} was drawn with {name} {options[name]}, but project.yaml now says "
                f"{now[name]}, so its annotation fits no longer; set draw.{name} back"
            )
    return [Shot(annotation.seed, project.read_annotation(annotation.seed)) for annotation in annotations]


def _those(annotations: Sequence[Annotation], only: Sequence[int], project: Project) -> list[Annotation]:
    by_seed = {annotation.seed: annotation for annotation in annotations}
    missing = [seed for seed in only if seed not in by_seed]
    if missing:
        shown = ", ".join(str(seed) for seed in list(by_seed)[:10]) + (", ..." if len(by_seed) > 10 else "")
        raise UsageError(f"{project.folder} has no annotation of seed {missing[0]}; it has {shown}")
    return [by_seed[seed] for seed in only]
