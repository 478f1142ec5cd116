"""Writes docs/results.md from the json of runs.

    python tools/write_results.py demo=demo.json xray=OUT decoders-xray=CELLS ... > docs/results.md

Each OUT (xray, wbc, portraits) is a folder that runs/few_labels.sh filled, each CELLS one of runs/decoders.sh. No
figure in the page is typed by hand; run again to refresh it.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

TITLES = {"xray": "Chest X-rays", "wbc": "White blood cells", "portraits": "Portraits"}
NOTES = {
    "wbc": "The test's pictures come from another source than the unlabelled ones. Supervised networks train with "
    "photometric changes, those on generated labels without, which was chosen on the annotator's labels. ",
}
TARGETS = {"xray": {1: 0.87, 5: 0.89}, "wbc": {1: 0.75, 5: 0.83}}


def cells(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """Every cell's json whose file name matches, in the order of names."""
    return [json.loads(path.read_text()) for path in sorted((folder / "cells").glob(pattern))]


def shots_of(folder: Path) -> list[int]:
    names = {path.name.split("-")[0] for path in (folder / "cells").glob("shots*-evaluate.json")}
    return sorted(int(name.removeprefix("shots")) for name in names)


def spread(values: list[float]) -> str:
    """Mean, and smallest to largest in brackets when there are several."""
    mean = statistics.fmean(values)
    return f"{mean:.3f}" if len(values) == 1 else f"{mean:.3f} ({min(values):.3f}-{max(values):.3f})"


def domain(name: str, folder: Path) -> list[str]:
    """The section of one domain: what it is measured on, the table, per class, times."""
    annotator = cells(folder, "annotator-evaluate.json")[0]
    any_run = cells(folder, "shots*-evaluate.json")[0]
    lines = [
        f"## {TITLES.get(name, name)}",
        "",
        f"64 px, {any_run['pictures']} test pictures that nothing was picked on. mIoU over "
        f"{len(any_run['per_class'])} classes, background included, ignore not counted; mean over seeds "
        "(smallest-largest). The labels of generated pictures are simulated by a "
        f"{annotator['network']} trained on {annotator['labels']} real labels, whose own mIoU on the test pictures "
        f"is {annotator['miou']:.3f}: no segmenter taught by it can be expected to pass that by much. The shots are "
        "those that cover a random half of the pool best; the real labels are drawn at random. "
        f"Batches of 16 for every segmenter. {NOTES.get(name, '')}Made by `{_command(name, folder)}`.",
        "",
        "| labelled pictures | " + " | ".join(str(s) for s in shots_of(folder)) + " |",
        "|---|" + "---|" * len(shots_of(folder)),
    ]
    lines += _rows(name, folder)
    lines += ["", *_per_class(folder), "", *_times(folder), ""]
    return lines


def _command(name: str, folder: Path) -> str:
    """What makes the cells again, but for SEEDS."""
    run, annotator = cells(folder, "shots*-train.json")[0], cells(folder, "annotator-train.json")[0]
    steps = cells(folder, "supervised*-train.json")[0]["steps"]
    own = "" if run["steps"] == steps else f"SEGMENTER_STEPS={run['steps']} "
    return f"COUNT={run['pictures']} STEPS={steps} {own}ANNOTATOR_STEPS={annotator['steps']} runs/{name}.sh"


def _rows(name: str, folder: Path) -> list[str]:
    rows: dict[str, list[str]] = {}
    for shots in shots_of(folder):
        supervised = cells(folder, f"supervised{shots}-seed*-evaluate.json")
        runs = cells(folder, f"shots{shots}-seed*-evaluate.json")
        decoders = cells(folder, f"shots{shots}-seed*-decoder.json")
        table = {
            "floor: majority label map, real labels": [r["floors"]["majority"]["miou"] for r in supervised],
            "floor: per-pixel net, real labels": [r["floors"]["pixels"]["miou"] for r in supervised],
            "supervised U-Net, real labels": [r["miou"] for r in supervised],
            "decoder, held-out generated pictures": [r["miou"] for r in decoders],
            "**segmenter, generated labels**": [r["miou"] for r in runs],
        }
        for row, values in table.items():
            rows.setdefault(row, []).append(spread(values) if values else "-")
        if name in TARGETS:
            rows.setdefault("asked for", []).append(f"{TARGETS[name][shots]:.2f}" if shots in TARGETS[name] else "-")
        rows.setdefault("seeds", []).append(str(len(runs)))
    return [f"| {row} | " + " | ".join(values) + " |" for row, values in rows.items()]


def _per_class(folder: Path) -> list[str]:
    columns = {}
    for shots in shots_of(folder):
        columns[f"segmenter, {shots}"] = cells(folder, f"shots{shots}-seed*-evaluate.json")
        columns[f"supervised, {shots}"] = cells(folder, f"supervised{shots}-seed*-evaluate.json")
    columns = {title: runs for title, runs in columns.items() if runs}
    names = list(next(iter(columns.values()))[0]["per_class"])
    lines = ["| IoU, mean over seeds | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for name in names:
        values = [[r["per_class"][name] for r in runs if r["per_class"][name] is not None] for runs in columns.values()]
        lines.append(f"| {name} | " + " | ".join(f"{statistics.fmean(v):.3f}" if v else "-" for v in values) + " |")
    return lines


def _times(folder: Path) -> list[str]:
    generator = json.loads((folder / "project" / "generator" / "config.json").read_text())["about"]
    stages = {}
    for stage in ("fit", "synthesize", "train", "evaluate"):
        stages[stage] = [r["seconds"] for r in cells(folder, f"shots*-{stage}.json") if "seconds" in r]
    times = ", ".join(f"{stage} {statistics.median(v):.0f} s" for stage, v in stages.items() if v)
    quality = generator["figures"]
    return [
        f"Generator: {generator['kimg']:.0f} kimg on {generator['pictures_seen']} unlabelled pictures, "
        f"KID {quality['kid']:.3f}, precision {quality['precision']:.2f}, recall {quality['recall']:.2f} "
        f"(space `{generator['gauge_space']}`). "
        f"Median wall time a cell, on a machine shared with other jobs: {times}."
    ]


DECODERS = ("light", "cnn", "mlp", "ensemble", "fpn", "linear")


def decoders(name: str, folder: Path) -> list[str]:
    """The section of all kinds of decoder on one project's pool."""
    found = {path.name.removesuffix(".fit.json"): path for path in folder.glob("*.fit.json")}
    rows: dict[tuple[str, int], list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for cell, path in sorted(found.items()):
        tested = folder / f"{cell}.evaluate.json"
        if tested.exists():
            kind, shots, _ = cell.rsplit("-", 2)
            pair = json.loads(path.read_text()), json.loads(tested.read_text())
            rows.setdefault((kind, int(shots.removeprefix("shots"))), []).append(pair)
    columns = sorted({shots for _, shots in rows})
    lines = [
        f"## Decoders, {TITLES[name].lower()}",
        "",
        "64 px; mIoU on the pool pictures that were not learned from, against their simulated annotator; mean over "
        f"{max(len(runs) for runs in rows.values())} seeds (smallest-largest), the same shots for every decoder. "
        "Our schedules. Made by `runs/decoders.sh`.",
        "",
        "| decoder | "
        + " | ".join(f"{shots} labelled" for shots in columns)
        + " | parameters | "
        + " | ".join(f"fit s, {shots}" for shots in columns)
        + " | peak MB | calibration error, "
        + f"{columns[-1]} |",
        "|---|" + "---|" * (2 * len(columns) + 3),
    ]
    for kind in [kind for kind in DECODERS if any(key[0] == kind for key in rows)]:
        runs = [rows.get((kind, shots), []) for shots in columns]
        mious = [spread([tested["miou"] for _, tested in cell]) if cell else "-" for cell in runs]
        seconds = [f"{statistics.median(fit['seconds'] for fit, _ in cell):.0f}" if cell else "-" for cell in runs]
        fits = [fit for cell in runs for fit, _ in cell]
        ece = statistics.fmean(tested["calibration"]["ece"] for _, tested in runs[-1]) if runs[-1] else float("nan")
        cells_of_row = [
            *mious,
            f"{fits[0]['parameters']:,}",
            *seconds,
            str(max(fit["peak_rss_mb"] for fit in fits)),
            f"{ece:.3f}",
        ]
        lines.append(f"| {kind} | " + " | ".join(cells_of_row) + " |")
    return [*lines, ""]


def regions(path: Path) -> list[str]:
    """The section of regions that are no part (runs/regions.py)."""
    rows = json.loads(path.read_text())
    shots = sorted({row["shots"] for row in rows})
    lines = [
        "## Regions that are no part, portraits",
        "",
        f"64 px; IoU of the region on {max(row['tested'] for row in rows)} other generated portraits, mean over "
        f"{len({row['seed'] for row in rows})} draws (smallest-largest). Left eye: one of two look-alikes; shapes: "
        "random stars in the frame of eyes and mouth, which mean nothing. Made by `runs/regions.py`. A region that is "
        "not here (glasses) is on none of the 600 pictures: the generator does not draw it.",
        "",
        "| region | decoder | " + " | ".join(f"{count} labelled" for count in shots) + " |",
        "|---|---|" + "---|" * len(shots),
    ]
    for region, kind in dict.fromkeys((row["region"], row["decoder"]) for row in rows):
        own = [row for row in rows if (row["region"], row["decoder"]) == (region, kind)]
        values = [spread([row["iou"] for row in own if row["shots"] == count]) for count in shots]
        lines.append(f"| {region} | {kind} | " + " | ".join(values) + " |")
    return [*lines, ""]


def demo(path: Path) -> list[str]:
    """The section of the embedded demo."""
    result = json.loads(path.read_text())
    miou, seconds = result["miou"], result["seconds"]
    names = {
        "floor_majority": "floor: majority label map",
        "floor_pixels": "floor: per-pixel net",
        "supervised": "supervised U-Net, the same number of exact labels",
        "decoder": "decoder, held-out pool pictures",
        "segmenter": "**segmenter, generated labels**",
    }
    lines = [
        "## `gannotate demo`",
        "",
        f"{result['shots']} shots, {result['test_pictures']} fresh portraits, 64 px, 11 classes; one seed. The shots "
        "are picked to cover the pool and labelled by a simulated annotator; the supervised network has arbitrary "
        "renders with exact labels, the same architecture and augmentation. "
        f"{sum(seconds.values()):.0f} s in all, {result['peak_rss_mb']:.0f} MB at most.",
        "",
        "| | mIoU |",
        "|---|---|",
    ]
    lines += [f"| {title} | {miou[key]:.3f} |" for key, title in names.items()]
    return [*lines, "", "Seconds: " + ", ".join(f"{stage} {value:.0f}" for stage, value in seconds.items()) + ".", ""]


def main() -> None:
    lines = [
        "# Results",
        "",
        "Written by `tools/write_results.py` from the runs' json. Two shared CPU cores, no GPU.",
        "",
    ]
    for argument in sys.argv[1:]:
        name, _, path = argument.partition("=")
        kind, _, of = name.partition("-")
        if kind == "decoders":
            lines += decoders(of, Path(path))
        elif name in ("demo", "regions"):
            lines += {"demo": demo, "regions": regions}[name](Path(path))
        else:
            lines += domain(name, Path(path))
    print("\n".join(lines).rstrip())


if __name__ == "__main__":
    main()
