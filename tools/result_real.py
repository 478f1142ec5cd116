"""The sections of docs/results.md on labels of real pictures: gradient matching and its rivals, and inversion."""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from result_cells import TITLES, in_text, spread
from result_papers import HERE, beside, said

from gannotate.studies.documents import Scalar
from gannotate.wording import counted

sys.path.insert(0, str(Path(__file__).parents[1] / "runs"))

import real_labels as table_of_runs

TITLE = {**TITLES, "flat": "Portraits, labels of 50 flat ones only"}


def real_labels(folder: Path) -> list[str]:
    """A table a domain: the segmenter on test pictures, the decoder on annotated pool pictures, for each method."""
    found = table_of_runs.read_cells(folder / "cells")
    lines = [
        "## Labels of real pictures",
        "",
        "A decoder from a few labelled real pictures, by each method; then a dataset of 1,500 generated pictures, and "
        "a U-Net on ResNet-18 trained on it from random weights; 64 px. mIoU of this segmenter on the test pictures / "
        "of the decoder on annotated pool pictures. Supervised: the same U-Net on the real labels alone; the upper "
        'line has as many annotated generated pictures. "Started": the decoder first learns 300 steps from the labels '
        "of a U-Net that was trained on the real labels (or 200 from the labels at the activations that redraw their "
        "pictures), and is then matched against a new segmenter. One seed. "
        "Made by `COUNT=1500 SEEDS=0 runs/real_labels.sh`, with METHODS naming the rows.",
        "",
        "![Generated portraits labelled by decoders from ten real labels](images/real-labels-portraits.png)",
        "",
        "Ten labelled portraits: generated pictures, and what decoders say of them by pseudo-labels, gradient "
        "matching, gradient matching started from pseudo-labels, and from as many annotated generated pictures.",
        "",
        "![Generated portraits labelled by decoders from two real labels](images/real-labels-two-portraits.png)",
        "",
        "Two labelled portraits: pseudo-labels, inversion labels, gradient matching started from pseudo-labels, "
        "started from inversion labels, and as many annotated generated pictures.",
        "",
    ]
    for domain in (name for name in TITLE if any(key[0] == name for key in found)):
        lines += [f"### {TITLE[domain]}", "", *_table(found, domain), ""]
        if domain == "flat":
            lines += [
                "![Generated portraits labelled by decoders from flat portraits](images/real-labels-flat.png)",
                "",
                "Labels of 50 flat portraits: pseudo-labels, inversion labels, and gradient matching started from "
                "pseudo-labels, on generated portraits of the natural style.",
                "",
                said("out-of-domain"),
                "",
            ]
    return [*lines, "### Labels of real pictures, beside the papers", "", *_real_beside(found)]


IN_THE_PAPER = {
    "gradient matching": "gradient-matching",
    "inversion": "inversion",
    "pseudo-labels": "pseudo-labels",
    "1-step MAML": "maml1",
    "2-step MAML": "maml2",
}
"""Rows of the paper's table of ways, and what they are called in the runs."""

STARTED = {
    "gradient-matching": "",
    "gradient-matching-warm": ", started from pseudo-labels",
    "gradient-matching-inverted": ", started from inversion labels",
}
"""Our gradient matching, as it is and started, in words."""


def _real_beside(found: Any) -> list[str]:
    """The paper's tables of gradient matching over the number of labels, and of its rivals, with ours in them."""
    steps = max(fit.get("steps", 0) for cell in found.values() for fit in cell.get("fit", {}).values())
    over: dict[str, dict[Scalar, float]] = {}
    ways: dict[str, dict[Scalar, float]] = {row: {} for row in IN_THE_PAPER}
    known_domains = sorted(
        (key for key in found if key[0] in TITLES), key=lambda key: (list(TITLES).index(key[0]), key)
    )
    for domain, method, shots in known_domains:
        cell = found[domain, method, shots]
        if "evaluate" not in cell:
            continue
        title, runs = f"{HERE}{in_text(domain)}", list(cell["evaluate"].values())
        if method in STARTED:
            row = over.setdefault(f"{title}{STARTED[method]}", {})
            row[shots] = statistics.fmean(run["fg_miou"] for run in runs)
        for row in (row for row, way in IN_THE_PAPER.items() if way == method):
            column = f"{title}, {counted(shots, 'label')}"
            ways[row][column] = statistics.fmean(run["miou"] for run in runs)
    known = {"fit_most": f"{steps:,}"}
    lines = beside("gradient-matching", over, known, without=("SemanticGAN",)) if over else []
    return lines + (beside("real-label-methods", ways, known) if any(ways.values()) else [])


def _table(found: Any, domain: str) -> list[str]:
    columns = sorted({key[2] for key in found if key[0] == domain})
    heads = " | ".join(f"{shots} labelled" for shots in columns)
    lines = [f"| method | {heads} | fit s |", "|---|" + "---|" * (len(columns) + 1)]
    for method, title in table_of_runs.METHODS.items():
        rows = [found.get((domain, method, shots), {}) for shots in columns]
        if not any("evaluate" in row for row in rows):
            continue
        base = method.removesuffix("-mixed")
        bases = [found.get((domain, base, shots), {}) for shots in columns]
        values = [_both(row, of) for row, of in zip(rows, bases, strict=True)]
        fits = [one["seconds"] for row in bases for one in row.get("fit", {}).values()]
        lines.append(f"| {title} | {' | '.join(values)} | {f'{statistics.median(fits):.0f}' if fits else '-'} |")
    return lines


def _both(row: dict[str, dict[int, dict[str, Any]]], base: dict[str, dict[int, dict[str, Any]]]) -> str:
    tested = spread([cell["miou"] for cell in row.get("evaluate", {}).values()]) if "evaluate" in row else "-"
    held_out = [cell["miou"] for cell in base.get("decoder", {}).values()]
    return f"{tested} / {spread(held_out)}" if held_out else tested


def inversion(folder: Path) -> list[str]:
    """What an encoder's start saves, what the gates refuse, and labels read through the generator."""
    lines = [
        "## Real pictures in the generator",
        "",
        "64 px, w+, loss without foreign weights; 16 held-out real pictures, CPU seconds of one thread. The encoders "
        "learned 1,500 steps from their generator's own pictures. Made by "
        "`ENCODER_STEPS=1500 COUNT=50 runs/inversion.sh`.",
        "",
        "| pictures | way | PSNR, dB | distance | against the projector's | its CPU time |",
        "|---|---|---|---|---|---|",
    ]
    ways: dict[str, None] = {}
    for name in ("xray", "wbc", "portraits"):
        path = folder / f"speed-{name}.json"
        for way, one in _read(path).get("ways", {}).items():
            ways[way] = None
            times, distance = one.get("part_of_the_projectors_cpu_time"), one.get("distance_to_the_projectors")
            lines.append(
                f"| {in_text(name)} | {way} | {one['psnr']:.1f} | {one['distance']:.4f} | "
                f"{f'{distance:.2f}' if distance else '-'} | {f'{times:.0%}' if times else '-'} |"
            )
    lines += ["", "![Portraits and how each way redraws them](images/inversion-portraits.png)", ""]
    lines.append("Portraits; then by the encoder alone, the projector, and the encoder with 100 and 200 steps.")
    lines += ["", said("inversion", _steps(ways))]
    return [*lines, "", *_gates(_read(folder / "gates.json")), *_labels(folder)]


def _steps(ways: Iterable[str]) -> dict[str, int]:
    """Steps of the projector, and of the encoder's short and longer way, from what the runs call their ways."""
    found = {way: int(number) for way in ways for number in re.findall(r"(\d+) steps", way)}
    projector = [steps for way, steps in found.items() if way.startswith("projector")]
    encoder = sorted(steps for way, steps in found.items() if way.startswith("encoder"))
    return dict(zip(("projector_steps", "short", "longer"), [*projector[:1], *encoder], strict=False))


def _gates(found: dict[str, Any]) -> list[str]:
    if not found:
        return []
    names = list(found["gates"])
    calibrated = [found["gates"][name]["calibrated_on"] for name in names]
    lines = [
        "Part of a domain's test pictures that each generator's gate refuses, calibrated on "
        f"{min(calibrated)} to {max(calibrated)} held-out real pictures; asked: at most 10 % of its own, at least "
        "90 % of the others'.",
        "",
        f"| gate of | {' | '.join(in_text(name) for name in names)} |",
        "|---|" + "---|" * len(names),
    ]
    for name in names:
        refused = found["gates"][name]["refused"]
        lines.append(f"| {in_text(name)} | {' | '.join(f'{refused[other]:.0%}' for other in names)} |")
    return [*lines, ""]


def _labels(folder: Path) -> list[str]:
    rows = []
    for name in ("xray", "wbc", "portraits"):
        scored, predicted = _read(folder / f"labels-{name}.json"), _read(folder / f"predict-{name}.json")
        segmenter = _read(folder.parent / name / "cells" / "shots5-seed0-evaluate.json")
        if scored and predicted and segmenter:
            each = predicted["seconds"] / predicted["pictures"]
            rows.append(
                f"| {in_text(name)} | {scored['miou']:.3f} | {each:.2f} | "
                f"{segmenter['miou']:.3f} | {segmenter['seconds'] / segmenter['pictures']:.3f} |"
            )
    if not rows:
        return []
    return [
        "Few-shot through the generator, each test picture inverted (encoder + 100 steps) and its taps read by the "
        "decoder of five labelled pictures (seed 0), beside the segmenter that learned from the same decoder:",
        "",
        "| pictures | through the generator | s a picture | segmenter | s a picture |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}
