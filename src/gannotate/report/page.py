"""A project's page: one HTML file with everything inside, made from the project's files alone."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from gannotate.files import write_text
from gannotate.project import Project
from gannotate.record import now
from gannotate.report.gather import Findings, gather
from gannotate.report.making import curves, making
from gannotate.report.pictures import decoder_predictions, generated_pictures, predictions
from gannotate.report.plots import FEW_PX, reliability_svg
from gannotate.report.pool import pool_and_labels
from gannotate.report.shell import PAGE, shell
from gannotate.report.tables import Bar, bars, class_table, clock, confusion_table, facts, figure, most_confused
from gannotate.report.wording import count_labels, hardware, labels_used, words_of_test
from gannotate.wording import listed


def write_report(project: Project) -> Path:
    """Writes PROJECT/report/index.html, replacing an older one, and returns its path.

    Raises:
        GannotateError: a file of the project is damaged, or the page cannot be written.
    """
    path = project.folder / PAGE
    write_text(path, page(gather(project)))
    return path


def page(found: Findings) -> str:
    """The whole page. It asks nothing of the network; what was not made yet is left out and named at the end."""
    sections = (
        _opening(found),
        _comparison(found),
        _classes(found),
        predictions(found),
        pool_and_labels(found),
        decoder_predictions(found),
        generated_pictures(found),
        curves(found),
        making(found),
    )
    made = f"Made by gannotate from the files of this project, {now()}; <code>gannotate report</code> makes it again."
    return shell(found.project.config.name, sections, made)


def _opening(found: Findings) -> str:
    config = found.project.config
    kind = "grey" if config.image_channels == 1 else "colour"
    text = (
        f"{len(config.classes)} classes on {kind} pictures of {config.size} px. A generator draws pictures, a decoder "
        "reads their labels off its activations after seeing a few, and a segmenter learns from what the two write."
    )
    numbers = "".join(f"<div><b>{value}</b><span>{escape(about)}</span></div>" for value, about in _numbers(found))
    return (
        f'<header><h1>{escape(config.name)}</h1><p class="lead">{escape(text)}</p>'
        f'<div class="numbers">{numbers}</div></header>'
    )


def _numbers(found: Findings) -> list[tuple[str, str]]:
    numbers = []
    if found.evaluation is not None:
        result = found.evaluation.result
        numbers.append((figure(result.get("miou")), f"mean IoU on {result.get('pictures', '?')} test pictures"))
        numbers.append((figure(result.get("pixel_accuracy")), "of the test pixels are right"))
    if found.decoder is not None:
        numbers.append(labels_used(found))
    if found.dataset is not None and "pictures" in found.dataset.result:
        numbers.append((f"{found.dataset.result['pictures']:,}", "labelled pictures written by generator and decoder"))
    made = [("decoder", found.decoder), ("dataset", found.dataset), ("segmenter", found.segmenter)]
    timed = {name: run.record["wall_s"] for name, run in made if run is not None and run.record.get("wall_s")}
    if timed:
        numbers.append((clock(sum(timed.values())), f"for {listed(list(timed))}, on {hardware(found)}"))
    return numbers


def _comparison(found: Findings) -> str:
    floors, (same, others) = _floors(found), _bars(found)
    if len([*floors, *same, *others]) < 2:
        return ""
    told = " The floors are what any method must beat." if floors else ""
    # a decoder reads the generator's activations: its pictures are drawn, and easier or harder than the test's
    apart = (
        f'<p class="note">On other pictures, so not to be held against those above:</p>{bars(others)}' if others else ""
    )
    return (
        f"<section><h2>Beside the alternatives</h2><p>Mean IoU over the classes.{told}</p>"
        f"{bars([*floors, *same])}{apart}</section>"
    )


def _floors(found: Findings) -> list[Bar]:
    """One of each kind and number of labels: the main test's own, else the first that another test measured."""
    floors: dict[tuple[str, Any], dict[str, Any]] = {}
    for test in (found.evaluation, *found.others):
        for name, floor in ({} if test is None else test.result.get("floors", {})).items():
            floors.setdefault((name, floor.get("labels")), floor)
    return [Bar(*_floor_words(name, floor), floor.get("miou")) for (name, _), floor in floors.items()]


def _bars(found: Findings) -> tuple[list[Bar], list[Bar]]:
    """The segmenters on the same test pictures, and the decoder on its own."""
    same, others = [], []
    for test in found.others:
        bar = Bar(*words_of_test(test, found.trained(test)), test.result.get("miou"))
        (others if test.result.get("of") == "decoder" else same).append(bar)
    if found.evaluation is not None:
        words = words_of_test(found.evaluation, found.trained(found.evaluation))
        same.append(Bar(*words, found.evaluation.result.get("miou"), main=True))
    return same, others


def _floor_words(name: str, floor: dict[str, Any]) -> tuple[str, str]:
    about = {
        "majority": "the most common class at each place",
        "pixels": "a small net that sees one pixel: colour, blurred colours, position",
    }
    return f"floor: {name}", f"{about.get(name, '')}, from {count_labels(floor.get('labels'))}"


def _classes(found: Findings) -> str:
    if found.evaluation is None or "confusion" not in found.evaluation.result:
        return ""
    result, classes = found.evaluation.result, found.project.classes
    ious = [result["per_class"].get(item.name) for item in classes]
    titles = {
        "miou": "mean IoU",
        "fg_miou": "without background",
        "area_iou": "weighted by area",
        "pixel_accuracy": "pixel accuracy",
    }
    summary = facts([(title, figure(result.get(key))) for key, title in titles.items()])
    absent = "left out of the mean" if result.get("absent", "skip") == "skip" else "counted as 0 in the mean"
    return (
        f"<section><h2>Class by class</h2><p>All pixels of all {result.get('pictures', '?')} test pictures "
        f"together; a class that is nowhere in truth or prediction shows '-' and is {absent}.</p>"
        f"{class_table(classes, ious, result['confusion'])}{summary}<h3>What is taken for what</h3>"
        f"{confusion_table(classes, result['confusion'])}{most_confused(classes, result['confusion'])}"
        f"{_calibration(result)}</section>"
    )


def _calibration(result: dict[str, Any]) -> str:
    if "calibration" not in result:  # an evaluation of an older version
        return ""
    calibration = result["calibration"]
    return (
        "<h3>How far its probabilities hold</h3><p>Pixels by the probability of the class that they were given, and "
        "how many of them are right; on the dashed line both are equal. Mean distance from it (expected calibration "
        f'error): {figure(calibration["ece"])}.</p><div class="curves"><figure>{reliability_svg(calibration)}'
        f"<figcaption>Pale: of fewer than {FEW_PX} pixels.</figcaption></figure></div>"
    )
