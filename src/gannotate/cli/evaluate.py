"""`gannotate evaluate`: scores on pictures that were not learned from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.evaluate_decoder import (
    Scored,
    asked,
    check_decoder_flags,
    decoder_of,
    examples_of,
    floors_of,
    read_test,
    score_decoder,
)
from gannotate.cli.flags import Common, settings
from gannotate.cli.runs import drop_unfinished
from gannotate.cli.simulate import segmenter_folder, segmenters_in
from gannotate.cli.training_data import check_side, read_all
from gannotate.data.benchmarks.exporting import protocol_of
from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError
from gannotate.files import write_text
from gannotate.fitting.simulate import about_training, check_classes
from gannotate.metrics.confusion import Absent
from gannotate.metrics.protocols import Protocol, find_protocol
from gannotate.project import Project
from gannotate.record import recorded
from gannotate.report.plots import reliability_svg
from gannotate.segmenters.evaluate import Choice, choose_segmenter
from gannotate.segmenters.evaluate import evaluate as evaluate_segmenter
from gannotate.segmenters.kept import called
from gannotate.segmenters.loading import load_predictor
from gannotate.segmenters.predict import Predictor
from gannotate.segmenters.scored import EVALUATION, write_scores
from gannotate.wording import counted, listed, quoted


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EvaluateFlags(Common):
    """Flags of `evaluate`."""

    of: Literal["segmenter", "decoder"] = "segmenter"
    """segmenter: on --test; decoder: on the annotated pool pictures that it was not fitted to, or on --test through
    what it reads (a generator has to find each picture first, which takes a while)."""
    test: Path | None = None
    """Folder or zip of test pictures in images/ and their label maps in masks/."""
    most: int | None = None
    """Score on only so many of the test pictures, drawn with --seed."""
    steps: int | None = None
    """Of a generator's decoder with --test: optimisation steps for a picture; 1000, or 100 with --encoder, when not
    given."""
    encoder: Path | None = None
    """Of a generator's decoder with --test: folder of the encoder that gives the start, from `gannotate invert`."""
    segmenter: Path | None = None
    """Segmenter to score: its folder, or its name in the project; the newest one when not given."""
    decoder: str | None = None
    """Decoder to score: its name in the project; the newest one that the other flags fit when not given."""
    labelled: Annotated[tuple[Path, ...], Parameter(negative="")] = ()
    """Labelled pictures (images/ and masks/) from which the two floors are made, to stand beside the scores: majority
    (the most common class at each place) and pixels (a small net that sees one pixel at a time)."""
    floors: Annotated[bool, Parameter(negative="")] = False
    """Of a decoder without --test: make the two floors, from the annotations that it was fitted to."""
    shots: int | None = None
    """Use only so many of the labelled pictures for the floors, drawn with --seed."""
    size: int | None = None
    """Side in px at which is scored; the project's own when not given."""
    absent: Absent | None = None
    """A class that is neither in truth nor prediction: skip it in averages, or count it as zero; skip when not given,
    or as --protocol says."""
    protocol: str | None = None
    """Average as a paper does, e.g. lagm-fg or datasetgan-cv; a wrong name lists them all."""
    among: Annotated[tuple[Path, ...], Parameter(negative="")] = ()
    """Segmenters to choose from, as the protocol chooses, in the order of their making; may be given several times. The
    folder kept of a training (train --keep-every) stands for all that are in it."""
    validation: Path | None = None
    """Folder or zip of other labelled pictures to choose on."""


def evaluate(project: Path, /, *, flags: EvaluateFlags = EvaluateFlags()) -> int:
    """Score a segmentation network on labelled test pictures, or a decoder on held-out annotations.

    mIoU is the mean over the classes of overlap by union; IoU by area weighs each class by its true pixels. The
    calibration error is how far, on average, the probabilities are from the part that is right: 0 is best. A floor is
    what anybody reaches without a model; one that is not above both has learned nothing of use.

    Args:
        project: the project's folder.
    """
    opened = Project.open(project)
    _check(project, flags)
    folders = [decoder_of(opened, flags)] if flags.of == "decoder" else _candidates(opened, flags)
    scored = ", ".join(map(str, folders))
    config = settings(flags, **{flags.of: scored})
    if flags.dry_run:
        on = flags.test or "the annotations that it was not fitted to"
        choose = f"choose among {len(folders)} segmenters, then " if len(folders) > 1 else ""
        return show.plan(flags, [f"{choose}score {scored} on {on}", "note the scores in a new folder in runs"], config)
    begin, device = time.monotonic(), prepare(flags)
    labelled = _labelled(opened, flags)  # first: were it refused after the scoring, this would be lost
    if flags.of == "decoder":
        found, keep_examples = score_decoder(opened, folders[0], flags, device)
    else:
        found, keep_examples = _score_segmenter(opened, folders, flags, device)
    if labelled is not None:
        found["floors"] = _floors(opened, labelled, flags)
    if flags.protocol is None:
        _hint(flags)
    elif "floors" in found:
        found["protocol"]["notes"].append(
            "the floors leave absent classes out of their averages, whatever the protocol"
        )
    drop_unfinished(opened, "runs", "evaluate")
    folder = opened.next_folder("runs", "evaluate")
    with recorded(folder, "evaluate", config, flags.seed, begin) as record:
        keep_examples(folder / "examples")
        write_text(folder / "reliability.svg", reliability_svg(found["calibration"], standalone=True))
        record.result = found
    result = {"run": str(folder), **record.result, "seconds": record.wall_s}
    for note in result.get("protocol", {}).get("notes", ()):
        show.say(flags, note)
    next_step = f"gannotate predict {quoted(project)} PICTURES --out DIR" if flags.of == "segmenter" else ""
    return show.finish(flags, result, as_text(result), next_step)


def as_text(result: dict[str, Any]) -> str:
    """Scores and floors as a table, one row a class, and the averages."""
    columns = {result["of"]: result} | result.get("floors", {})
    rows = [("IoU", *columns)]
    for name in result["per_class"]:
        rows.append((name, *(show.fraction(column["per_class"][name]) for column in columns.values())))
    averages = {"miou": "mIoU", "fg_miou": "mIoU, foreground", "area_iou": "IoU by area", "pixel_accuracy": "accuracy"}
    rows += [(title, *(show.fraction(column[key]) for column in columns.values())) for key, title in averages.items()]
    rows.append(("calibration error", *(calibration_error(column) for column in columns.values())))
    note = "left out of the averages" if result["absent"] == "skip" else "counted as 0"
    pictures = f"{counted(result['pictures'], 'picture')} of {result['size_px']} px ({result['test']})"
    heading = f"{result['scored']} on {pictures}; absent classes are {note}"
    return f"{heading}\n{show.table(rows)}\n{floors_text(result)}{protocol_text(result)}\n{confusion_text(result)}"


def floors_text(result: dict[str, Any]) -> str:
    """A sentence where the scores are not above both floors; empty above them, and without floors."""
    found, floors = result["miou"], result.get("floors", {})
    higher = {name: floor["miou"] for name, floor in floors.items() if found <= floor["miou"]}
    if not higher:
        return ""
    above = [f"{name} (mIoU {show.fraction(value)})" for name, value in higher.items()]
    return f"mIoU {show.fraction(found)} is not above the floor {' and '.join(above)}: this is no model yet\n"


def protocol_text(result: dict[str, Any]) -> str:
    """The figure of the protocol, and how the segmenter was chosen; empty without a protocol."""
    told = result.get("protocol")
    if told is None:
        return ""
    lines = [f"{told['name']}: {told['title']} {told.get('spread') or show.fraction(told['value'])}"]
    choice = result.get("choice")
    if choice and choice["validation"]:
        for name, value in zip(choice["among"], choice["validation"], strict=True):
            lines.append(f"  {show.fraction(value)} on {choice['on']}: {name}")
    for number, fold in enumerate(told.get("folds", ()), 1):
        chosen = f"{fold['test']:.3f} in the test part of fold {number}, {fold['validation']:.3f} in the other"
        lines.append(f"  {chosen}: {choice['among'][fold['chosen']]}" if choice else f"  {chosen}")
    return "\n".join(lines) + "\n"


def calibration_error(column: dict[str, Any]) -> str:
    """The expected calibration error; a floor has no probabilities."""
    return show.fraction(column["calibration"]["ece"]) if "calibration" in column else "-"


def confusion_text(result: dict[str, Any]) -> str:
    """The confusion matrix in percent of each class's true pixels: a row is the truth, a column the answer."""
    names = list(result["per_class"])
    rows = [("% of truth seen as", *names)]
    for name, counts in zip(names, result["confusion"], strict=True):
        total = sum(counts)
        rows.append((name, *(f"{100 * count / total:.1f}" if total else "-" for count in counts)))
    return show.table(rows)


def _check(project: Path, flags: EvaluateFlags) -> None:
    if flags.of == "segmenter" and flags.test is None:
        raise UsageError(
            "there are no test pictures; give a folder or zip of images/ and masks/, e.g. gannotate evaluate "
            f"{project} --test DIR"
        )
    check_side("--size", flags.size)
    check_decoder_flags(flags)
    if flags.of == "decoder" and (flags.among or flags.validation):
        raise UsageError("--among and --validation choose between segmenters; leave them out for a decoder")
    if flags.protocol and flags.absent:
        raise UsageError(f"the protocol {flags.protocol} says how absent classes count; leave --absent out")
    if flags.among and (flags.segmenter or not flags.protocol):
        raise UsageError("--among gives segmenters to choose from by --protocol NAME; give that, and no --segmenter")
    if flags.protocol:
        find_protocol(flags.protocol)
    if flags.shots is not None and not flags.labelled:
        raise UsageError("--shots draws from labelled pictures; give them with --labelled, or leave --shots out")


def _candidates(project: Project, flags: EvaluateFlags) -> list[Path]:
    """The segmenter to score, or those to choose from: of these as many of the last ones as the protocol looks at.

    Raises:
        UsageError: no such segmenter, or nothing to choose from where validation pictures were given.
    """
    if flags.among:
        found = [folder for name in flags.among for folder in segmenters_in(project, name)]
    else:
        found = [segmenter_folder(project, flags.segmenter)]
    if flags.validation and len(found) < 2:
        raise UsageError("--validation chooses between segmenters; give two or more with --among, or leave it out")
    last = find_protocol(flags.protocol).last if flags.protocol else None
    if last is not None and len(found) > last:
        show.say(flags, f"the protocol {flags.protocol} looks at the last {last} of {len(found)} segmenters")
        return found[-last:]
    return found


def _score_segmenter(project: Project, folders: Sequence[Path], flags: EvaluateFlags, device: str) -> Scored:
    protocol = find_protocol(flags.protocol) if flags.protocol else None
    test, there = read_test(flags, project)
    choice = Choice(0) if protocol is None else _choose(project, folders, protocol, test, flags, device)
    folder = folders[choice.index]
    segmenter = load_predictor(folder, device)
    check_classes(project, segmenter)
    result = {"of": "segmenter", "scored": str(folder), "test": str(flags.test), **about_training(folder)}
    answers = asked(flags, segmenter, test)
    result |= {"size_px": test.label_maps.shape[-1]}
    result |= evaluate_segmenter(segmenter, test, flags.absent or "skip", answers, protocol)
    if protocol is not None:
        _note_choice(result, choice, folders, flags)
    _keep_scores(project, folder, result, there, flags)
    return result, examples_of(project, test, answers, flags)


def _keep_scores(project: Project, folder: Path, result: dict[str, Any], there: int, flags: EvaluateFlags) -> None:
    """Keeps the scores beside the segmenter, but those of a part of the test pictures, or at another size.

    They stand for the segmenter in its model card and beside the labels that it makes.
    """
    seen, own = result["size_px"], project.config.size
    odd = [f"are of {result['pictures']} of the {there} test pictures"] if result["pictures"] < there else []
    odd += [f"are at {seen} px, the project's {own} px"] if seen != own else []
    if odd:
        show.say(flags, f"not kept in {folder / EVALUATION} for the model card, as these scores {listed(odd)}")
        return
    write_scores(folder, {name: value for name, value in result.items() if name != "scored"})


def _choose(
    project: Project, folders: Sequence[Path], protocol: Protocol, test: LabelledSet, flags: EvaluateFlags, device: str
) -> Choice:
    def opened(folder: Path) -> Predictor:
        show.say(flags, f"asking {called(folder)}")
        segmenter = load_predictor(folder, device)
        check_classes(project, segmenter)
        return segmenter

    validation = None
    if flags.validation:
        if flags.test and flags.validation.resolve() == flags.test.resolve():
            raise UsageError("--validation and --test are the same pictures; nothing is chosen on test pictures")
        validation = read_all(flags, project, [flags.validation], None, flags.size)
    return choose_segmenter([partial(opened, folder) for folder in folders], protocol, test, validation)


def _note_choice(result: dict[str, Any], choice: Choice, folders: Sequence[Path], flags: EvaluateFlags) -> None:
    """Adds to the result how the segmenter was chosen, and the folds where there are some."""
    names = [called(folder) for folder in folders]
    result["choice"] = {"among": names, "validation": choice.validation, "on": str(flags.validation or "")}
    if choice.folds:
        told = result["protocol"]
        told |= {"all_pictures": told["value"], **choice.folds.as_dict(), "spread": str(choice.folds.spread)}


def _hint(flags: EvaluateFlags) -> None:
    named = protocol_of(flags.test) if flags.test else None
    if named:
        show.say(
            flags, f"{flags.test} is of a benchmark whose papers score otherwise; add --protocol {named} to compare"
        )


def _labelled(project: Project, flags: EvaluateFlags) -> LabelledSet | None:
    """What the floors are made from; None where none are asked for, or of the decoder's own annotations."""
    return read_all(flags, project, flags.labelled, flags.shots, flags.size) if flags.labelled else None


def _floors(project: Project, labelled: LabelledSet, flags: EvaluateFlags) -> dict[str, Any]:
    test, _ = read_test(replace(flags, quiet=True), project)  # notes were shown
    shared = count_shared(test.pictures, labelled.pictures)
    if shared:
        show.say(
            flags,
            f"--test and --labelled have {counted(shared, 'picture')} in common, and scores on pictures that were "
            "learned from say little; give others to --test",
        )
    return floors_of(project, labelled, test, flags)


def count_shared(test: np.ndarray, others: np.ndarray) -> int:
    """How many of the pictures uint8 (n, h, w, c) in `test` are in `others` too, by their content."""
    known = {picture.tobytes() for picture in others}
    return sum(picture.tobytes() in known for picture in test)
