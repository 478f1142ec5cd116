"""What a project folder has to tell: its runs, pictures and figures, read from its files alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gannotate.data.labelled import LabelledSet
from gannotate.data.manifest import Manifest
from gannotate.data.pictures import read_picture
from gannotate.data.shards import read_dataset
from gannotate.errors import GannotateError
from gannotate.jsonlines import read_rows
from gannotate.parsing import read_ours
from gannotate.project import Annotation, PoolPicture, Project
from gannotate.record import is_finished, read_record
from gannotate.report.examples import Example, Tested, read_examples, read_pictures
from gannotate.segmenters.kept import called, training_of

MOST_ANNOTATED, MOST_GENERATED = 20, 12
"""Pictures of a kind that a page shows at most."""

MOST_COUNTED = 500
"""Annotations whose classes are counted at most."""

EXAMPLES = "examples"
"""Folder of a test's kept pictures."""

EVALUATE = "evaluate"
"""Verb of the records that hold test figures."""


@dataclass(frozen=True)
class Run:
    """One finished run: its folder, its run.json, its log's rows and its config.json's `about` ({} without one)."""

    folder: Path
    record: dict[str, Any]
    log: list[dict[str, Any]]
    about: dict[str, Any]

    @property
    def name(self) -> str:
        """Kind and number, e.g. segmenters/0001-unet."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def result(self) -> dict[str, Any]:
        """What the run found."""
        return self.record.get("result", {})


@dataclass(frozen=True)
class Annotated:
    """An annotated pool picture uint8 (h, w, c) with its label map; `used` when the decoder learned from it."""

    annotation: Annotation
    picture: np.ndarray
    label_map: np.ndarray
    used: bool


@dataclass(frozen=True)
class Findings:
    """Everything that a project's page shows; None or empty for what was not made yet."""

    project: Project
    decoder: Run | None = None
    dataset: Run | None = None
    segmenter: Run | None = None
    evaluation: Run | None = None
    """The newest test of a segmenter, of one that learned from generated pictures when there is such a test."""
    others: tuple[Run, ...] = ()
    """The newest test of each other segmenter on the same pictures, and of the decoder shown."""
    compared: tuple[Run, ...] = ()
    """The segmenters of `others`."""
    annotated: tuple[Annotated, ...] = ()
    """The first of the annotations, those that the decoder learned from in front."""
    annotations: tuple[Annotation, ...] = ()
    """All of them."""
    generated: LabelledSet | None = None
    confidence: float | None = None
    """Of the decoder in all pictures of the dataset, as its card has it."""
    examples: tuple[Example, ...] = ()
    tested: tuple[Tested, ...] = ()
    """All test pictures of `evaluation`, one by one."""
    decoder_examples: tuple[Example, ...] = ()
    decoder_tested: tuple[Tested, ...] = ()
    """The same of the newest test of the decoder shown."""
    pool: tuple[PoolPicture, ...] = ()
    annotated_px: tuple[int, ...] = ()
    """Pixels of each class in the first of all annotations, see MOST_COUNTED."""
    used_px: tuple[int, ...] = ()
    """The same in the first of those that the decoder learned from."""

    @property
    def steps(self) -> list[Run]:
        """The runs behind the page that have a record, in the order of the work."""
        runs = (self.decoder, self.dataset, *self.compared, self.segmenter, *self.others, self.evaluation)
        return [run for run in runs if run is not None and run.record]

    def trained(self, test: Run) -> Run | None:
        """The training of the segmenter that a test is of, where its folder is still there."""
        segmenters = [run for run in (*self.compared, self.segmenter) if run is not None]
        return next((run for run in segmenters if _is_of(run, test)), None)

    @property
    def decoder_test(self) -> Run | None:
        """The newest test of the decoder shown."""
        return _of_decoder(self.others)

    @property
    def used(self) -> list[Annotation]:
        """The annotations that the decoder learned from."""
        seeds = shots_of(self.decoder)
        return [annotation for annotation in self.annotations if annotation.seed in seeds]


def gather(project: Project) -> Findings:
    """Reads a project's newest decoder, dataset, evaluation and its segmenter, and all finished runs' records.

    Raises:
        GannotateError: a file of the project is damaged.
    """
    runs = {kind: _finished(project, kind) for kind in ("decoders", "datasets", "segmenters", "runs")}
    tests = [run for run in runs["runs"] if run.record.get("verb") == EVALUATE]
    evaluation = _main_test(tests)
    decoder, dataset = (runs[kind][-1] if runs[kind] else None for kind in ("decoders", "datasets"))
    others = _other_tests(tests, evaluation, decoder)
    segmenter = _segmenter(runs["segmenters"], evaluation)
    return Findings(
        project=project,
        decoder=decoder,
        dataset=dataset,
        segmenter=segmenter,
        evaluation=evaluation,
        others=tuple(others),
        compared=tuple(
            run for run in runs["segmenters"] if run is not segmenter and any(_is_of(run, test) for test in others)
        ),
        annotated=tuple(_annotated(project, decoder)),
        annotations=tuple(project.annotations("any")),
        generated=_generated(project, dataset),
        confidence=None if dataset is None else Manifest.read(dataset.folder).confidence,
        examples=_examples(project, evaluation),
        tested=_tested(evaluation),
        decoder_examples=_examples(project, _of_decoder(others)),
        decoder_tested=_tested(_of_decoder(others)),
        pool=tuple(project.pool("any")),
        annotated_px=_class_pixels(project, project.annotations("any")),
        used_px=_class_pixels(project, [one for one in project.annotations("any") if one.seed in shots_of(decoder)]),
    )


def shots_of(decoder: Run | None) -> list[int]:
    """Seeds of the annotated pictures that a decoder learned from."""
    seeds = told(decoder, "annotations").get("seeds")
    return list(seeds) if isinstance(seeds, list) else []


def told(decoder: Run | None, what: str) -> dict[str, Any]:
    """A part of what a decoder's config.json tells of its labels; nothing where there is none, or no dictionary."""
    found = {} if decoder is None else decoder.about.get(what)
    return found if isinstance(found, dict) else {}


def real_labels_of(decoder: Run | None) -> tuple[int, str] | None:
    """How many labelled real pictures a decoder learned from, and by which method; None for one taught by shots."""
    names = told(decoder, "labelled").get("names")
    return (len(names), str(decoder.about.get("method", ""))) if decoder and isinstance(names, list) and names else None


def scored(test: Run) -> str:
    """Name of what an evaluation is of, e.g. 0002-unet, or 0002-unet/kept/step-000300."""
    return called(_scored_folder(test))


def _is_of(training: Run, test: Run) -> bool:
    """Whether a test is of the network of a training, or of one that it kept on the way."""
    return training.folder.name == training_of(_scored_folder(test)).name


def _scored_folder(test: Run) -> Path:
    return Path(str(test.result.get("scored", "")))


def _finished(project: Project, kind: str) -> list[Run]:
    return [_read_run(folder) for folder in project.made(kind) if is_finished(folder)]


def _read_run(folder: Path) -> Run:
    path, about = folder / "config.json", {}
    if path.exists():
        about = read_ours(path, "delete that folder to go on without it", lambda found: dict(found.get("about", {})))
    return Run(folder, read_record(folder) or {}, read_rows(folder / "log.jsonl", ("step",)), about)


def _main_test(tests: list[Run]) -> Run | None:
    of_segmenters = [test for test in tests if test.result.get("of") == "segmenter"]
    generated = [test for test in of_segmenters if str(test.result.get("label_source", "")).startswith("decoder")]
    return next(reversed(generated or of_segmenters), None)


def _other_tests(tests: list[Run], main: Run | None, decoder: Run | None) -> list[Run]:
    newest: dict[tuple[str, str], Run] = {}
    for test in tests:
        kind, name = str(test.result.get("of")), scored(test)
        same_test = main is not None and test.result.get("test") == main.result.get("test") and name != scored(main)
        shown = decoder is not None and name == decoder.folder.name
        if (kind == "segmenter" and same_test) or (kind == "decoder" and shown):
            newest[kind, name] = test
    return list(newest.values())


def _of_decoder(tests: Sequence[Run]) -> Run | None:
    return next((test for test in tests if test.result.get("of") == "decoder"), None)


def _examples(project: Project, test: Run | None) -> tuple[Example, ...]:
    return () if test is None else tuple(read_examples(test.folder / EXAMPLES, _classes(project)))


def _tested(test: Run | None) -> tuple[Tested, ...]:
    return () if test is None else tuple(read_pictures(test.folder / EXAMPLES))


def _segmenter(segmenters: list[Run], evaluation: Run | None) -> Run | None:
    # the one that the figures are of; the newest while there are no figures
    if evaluation is not None:
        return next((run for run in segmenters if _is_of(run, evaluation)), None)
    return segmenters[-1] if segmenters else None


def _annotated(project: Project, decoder: Run | None) -> list[Annotated]:
    used = shots_of(decoder)
    there = [one for one in project.annotations("any") if project.pool_picture_path(one.seed).exists()]
    found = []
    for one in sorted(there, key=lambda one: (one.seed not in used, one.seed))[:MOST_ANNOTATED]:
        picture = _picture(project.pool_picture_path(one.seed))
        found.append(Annotated(one, picture, project.read_annotation(one.seed), one.seed in used))
    return found


def _class_pixels(project: Project, annotations: Sequence[Annotation]) -> tuple[int, ...]:
    counts = np.zeros(_classes(project), np.int64)
    for one in annotations[:MOST_COUNTED]:
        counts += np.bincount(project.read_annotation(one.seed).ravel(), minlength=256)[: len(counts)]
    return tuple(counts.tolist())


def _generated(project: Project, dataset: Run | None) -> LabelledSet | None:
    if dataset is None or not Manifest.read(dataset.folder).samples:
        return None
    return read_dataset(dataset.folder, _classes(project), most=MOST_GENERATED)


def _picture(path: Path) -> np.ndarray:
    try:
        image = read_picture(path)
        return np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    except GannotateError as error:
        raise GannotateError(f"{path} is damaged ({error}); draw the pool again with `gannotate sample`") from error


def _classes(project: Project) -> int:
    return len(project.config.classes)
