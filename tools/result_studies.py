"""Sections of docs/results.md that are studies: decoders, filters, costs, every way to train a segmenter."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from result_cells import TITLES, in_text, spread
from result_papers import HERE, beside, said

from gannotate.studies.documents import Scalar
from gannotate.wording import counted

DECODERS = ("light", "cnn", "mlp", "ensemble", "fpn", "linear")


def decoders(name: str, folder: Path, title: str = "Decoders") -> list[str]:
    """The section of all kinds of decoder, or of one with several settings, on one project's pool."""
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
        f"## {title}, {in_text(name)}",
        "",
        "64 px; mIoU on the pool pictures that were not learned from, against their simulated annotator; mean over "
        f"{counted(max(len(runs) for runs in rows.values()), 'seed')} (smallest-largest), the same shots for every "
        "decoder. Our schedules. Made by `runs/decoders.sh`.",
        "",
        "| decoder | "
        + " | ".join(f"{shots} labelled" for shots in columns)
        + " | parameters | "
        + " | ".join(f"fit s, {shots}" for shots in columns)
        + " | peak MB | calibration error, "
        + f"{columns[-1]} |",
        "|---|" + "---|" * (2 * len(columns) + 3),
    ]
    kinds = dict.fromkeys(kind for kind, _ in rows)
    # the kinds in their own order; settings of one (light+width=64) by its numbers
    for kind in sorted(kinds, key=lambda kind: (_place(kind), [int(n) for n in re.findall(r"\d+", kind)], kind)):
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
        lines.append(f"| {kind.replace('+', ', ')} | " + " | ".join(cells_of_row) + " |")
    lines.append("")
    if title != "Decoders":
        return [*lines, said("semantic-projection-width"), ""]
    return lines + (_decoders_beside(name, rows) if name == "portraits" else [])  # the paper's figures are of faces


def _decoders_beside(
    name: str, rows: Mapping[tuple[str, int], list[tuple[dict[str, Any], dict[str, Any]]]]
) -> list[str]:
    """Our kinds of decoder in the table of the paper that compares two, by its weighted IoU."""
    ours: dict[str, dict[Scalar, float]] = {}
    for (kind, shots), runs in sorted(rows.items(), key=lambda item: (_place(item[0][0]), item[0][1])):
        row = ours.setdefault(f"{HERE}{name}: {'mlp (that of DatasetGAN)' if kind == 'mlp' else kind}", {})
        row[shots] = statistics.fmean(tested["area_iou"] for _, tested in runs)
    return beside("few-shot-decoders", ours)


def _place(kind: str) -> int:
    return DECODERS.index(kind.partition("+")[0])


FILTERED = {"light": "light, by entropy", "ensemble": "ensemble, by disagreement"}


def filters(folder: Path) -> list[str]:
    """The section of datasets without their least certain pictures (runs/filter.sh)."""
    rows: dict[tuple[str, str], dict[float, list[float]]] = {}
    for path in sorted((folder / "cells").glob("*-evaluate.json")):
        domain, decoder, keep, _, _ = path.stem.split("-")
        miou = json.loads(path.read_text())["miou"]
        rows.setdefault((domain, decoder), {}).setdefault(float(keep.removeprefix("keep")), []).append(miou)
    columns = sorted({keep for row in rows.values() for keep in row}, reverse=True)
    lines = [
        "## Leaving the least certain pictures out",
        "",
        "mIoU of the segmenter on the test pictures; five labelled generated pictures, 2,000 pictures kept, 300 steps. "
        "`synthesize --keep PART` draws more and keeps the most certain. Made by `runs/filter.sh`.",
        "",
        "| pictures | decoder | " + " | ".join("all" if keep == 1 else f"{keep:.0%}" for keep in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for (domain, decoder), row in rows.items():
        values = [spread(row[keep]) if keep in row else "-" for keep in columns]
        lines.append(f"| {in_text(domain)} | {FILTERED[decoder]} | " + " | ".join(values) + " |")
    return [*lines, "", said("filter"), ""]


def costs(path: Path) -> list[str]:
    """The section of what fits cost, from the lines that bench/decoder_fit.py printed."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    whole = [row for row in rows if "wall_s" in row]
    ratios = [row for row in rows if "times_faster" in row]
    lines = [
        "## What fits cost",
        "",
        "Generators with random weights, 10 classes, our schedules, CPU seconds and the memory that a fit adds. "
        "Printed by `bench/decoder_fit.py`.",
        "",
        "| decoder | generator | px | shots | threads | CPU s | wall s | added MB | parameters |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in whole:
        lines.append(
            f"| {row['decoder']} | {row['preset']} | {row['size']} | {row['shots']} | {row.get('threads', 1)} | "
            f"{row['fit_cpu_s']:.0f} | {row['wall_s']:.0f} | {row['added_mb']:,} | {row['parameters']:,} |"
        )
    if ratios:
        lines += [
            "",
            "Against the same steps on features at picture size, held in half precision:",
            "",
            "| decoder | px | shots | times faster | times less memory |",
            "|---|---|---|---|---|",
        ]
        columns = ("decoder", "size", "shots", "times_faster", "times_less_memory")
        lines += ["| " + " | ".join(str(row[column]) for column in columns) + " |" for row in ratios]
    return [*lines, ""]


METHODS = {
    "supervised": "supervised, real labels",
    "supervised-slow": "supervised, a quarter of the step size",
    "layermatch": "LayerMatch start, that step size too",
    "pseudo-labels": "pseudo-labels",
    "adversarial": "adversarial (Hung et al.)",
    "mean-teacher": "mean teacher",
    "s4gan": "s4GAN",
    "gct": "guided collaborative training",
    "semantic-gan": "SemanticGAN",
    "algorithm2": "algorithm 2 (hard labels)",
    "auto-shot": "auto-shot (soft labels, strong warps)",
    "ours": "ours (soft labels, small warps)",
    "online": "online",
    "mixed": "ours + the real labels, mixed",
}
"""Ways to train a segmenter, in the order of the table."""


FEW = 5
"""Labels at which all rivals of LayerMatch were run."""

SAME_CLASSES = {"eye glasses": "glasses", "hair": "hair", "nose": "nose"}
"""Classes of LayerMatch's table, and what they are called here."""

Found = dict[tuple[str, int], list[dict[str, Any]]]
"""(way, number of labels) -> what its seeds scored, with how they were trained."""


def methods(folder: Path) -> list[str]:
    """The section of every way to train a segmenter (runs/methods.sh)."""
    found: dict[str, Found] = {}
    for path in sorted((folder / "cells").glob("*-evaluate.json")):
        rest, shots, _, _ = path.stem.rsplit("-", 3)
        domain, _, method = rest.partition("-")
        train = json.loads(path.with_name(path.name.replace("-evaluate", "-train")).read_text())
        runs = found.setdefault(domain, {}).setdefault((method, int(shots)), [])
        runs.append(json.loads(path.read_text()) | {"train": train})
    lines = ["## Every way to train a segmenter", ""]
    for domain in [name for name in TITLES if name in found]:
        lines += _methods_of(domain, found[domain], folder / "cells")
    return [*lines, "### Every way, beside the papers", "", *_methods_beside(found)]


def _methods_beside(found: Mapping[str, Found]) -> list[str]:
    """The papers' tables of generated labels against real ones, of few labels and of LayerMatch, with ours in them."""
    pairs: dict[str, dict[Scalar, float]] = {"20 labelled pictures": {}, "algorithm 2": {}}
    curves: dict[str, dict[Scalar, float]] = {}
    classes: dict[str, dict[Scalar, float]] = {}
    pictures = {run["train"]["pictures"] for own in found.values() for run in own.get(("algorithm2", 20), ())}
    for domain, own in ((name, found[name]) for name in TITLES if name in found):
        title = f"{HERE}{in_text(domain)}"
        if {("supervised", 20), ("algorithm2", 20)} <= set(own):
            pairs["20 labelled pictures"][title] = _mean_of(own["supervised", 20], "miou")
            pairs["algorithm 2"][title] = _mean_of(own["algorithm2", 20], "miou")
        for way in ("supervised", "auto-shot"):
            for shots in sorted(count for name, count in own if name == way):
                curves.setdefault(f"{title}: {METHODS[way]}", {})[shots] = _mean_of(own[way, shots], "area_iou")
        for way in ("supervised", "supervised-slow", "adversarial", "pseudo-labels", "layermatch"):
            runs = own.get((way, FEW), [])
            if runs and "glasses" in runs[0]["per_class"]:
                classes[f"{title}: {METHODS[way]}"] = {
                    "pixAcc": _mean_of(runs, "pixel_accuracy"),
                    "mIoU": _mean_of(runs, "miou"),
                    **{paper: _class_of(runs, name) for paper, name in SAME_CLASSES.items()},
                }
    most = f"{max(pictures):,}" if pictures else ""
    lines = beside("algorithm2", pairs, {"count": most}) if pairs["algorithm 2"] else []
    lines += beside("supervised-labels", curves) if curves else []
    return lines + (beside("layermatch-classes", classes, {"labels": FEW}) if classes else [])


def _mean_of(runs: Sequence[Mapping[str, Any]], figure: str) -> float:
    return statistics.fmean(run[figure] for run in runs)


def _class_of(runs: Sequence[Mapping[str, Any]], name: str) -> float:
    """Mean IoU of a class; an absent one has none in a run."""
    return statistics.fmean(run["per_class"][name] or 0.0 for run in runs)


def _methods_of(domain: str, found: Found, cells: Path) -> Iterator[str]:
    columns = sorted({shots for _, shots in found})
    a_run = next(iter(found.values()))[0]
    rare = "glasses" in a_run["per_class"]
    yield f"### {TITLES[domain]}"
    yield ""
    yield (
        f"64 px, U-Net on ResNet-18 from random weights, {a_run['pictures']} test pictures; mIoU, mean over "
        f"{counted(max(len(runs) for runs in found.values()), 'seed')}. Floors and the first ways learn from labels of "
        "real pictures (those from pseudo-labels to SemanticGAN with unlabelled ones beside), the ways from algorithm "
        "2 on from as many labels of generated pictures, as their decoder does. SemanticGAN trains a generator of its "
        "own from random weights, as published (here 1,200 steps); the others with one have that of the project. "
        "Seconds are wall time on a machine shared with other jobs. Made by `runs/methods.sh`."
    )
    yield ""
    heads = [f"{shots} labelled" for shots in columns] + ["train s", "peak MB"] + [f"glasses, {FEW} labelled"] * rare
    yield "| way | " + " | ".join(heads) + " |"
    yield "|---|" + "---|" * len(heads)
    for row in [*_floors(found, columns), _teacher(domain, columns, cells)]:
        yield row + " - |" * (2 + rare)
    for method in [name for name in METHODS if any(key[0] == name for key in found)]:
        runs = [found.get((method, shots), []) for shots in columns]
        trained = [run["train"] for cell in runs for run in cell]
        values = [spread([run["miou"] for run in cell]) if cell else "-" for cell in runs]
        values.append(f"{statistics.median(train['seconds'] for train in trained):.0f}")
        most = [train["peak_rss_mb"] for train in trained if "peak_rss_mb" in train]
        values.append(f"{max(most):.0f}" if most else "-")
        values += [_rare(found.get((method, FEW), []))] if rare else []
        yield f"| {METHODS[method]} | " + " | ".join(values) + " |"
    yield ""
    yield from _worth(found, columns)


def scales(folders: list[Path]) -> list[str]:
    """The section of several unaligned things at several scales (runs/scales.sh), from the newest table of each run."""
    found = {}
    for folder in folders:
        tables = sorted((folder / "cells-scales").glob("scales-*.json"), key=lambda path: path.stat().st_mtime)
        if tables:
            found[folder.name] = json.loads(tables[-1].read_text())
    if not found:
        return []
    first = next(iter(found.values()))
    rows = next(iter(first["found"].values()))
    lines = [
        "## Several things, unaligned, at several scales",
        "",
        f"mIoU on {first['scenes']} composed scenes of {first['size_px']} px with exact label maps, 2 to 4 things "
        "each: all of one scale, or from 0.5 to 2 in one scene (mixed). The same network learned from the same "
        "soft-labelled dataset of single, centred things, with RepurposeGAN's warps (auto-shot) and without any; it "
        "sees scenes in overlapping "
        "tiles of its own size. One seed. Made by `runs/scales.sh`.",
        "",
        "| pictures | trained | " + " | ".join(f"scale {row}" if row != "mixed" else row for row in rows) + " |",
        "|---|---|" + "---|" * len(rows),
    ]
    titles = {"repurpose": "auto-shot's warps", "none": "no warps"}
    for name, one in found.items():
        for way, cells in one["found"].items():
            values = " | ".join(f"{cells[row]['miou']:.3f}" for row in rows)
            lines.append(f"| {in_text(name)} | {titles.get(way, way)} | {values} |")
    return [*lines, ""]


def _floors(found: Found, columns: list[int]) -> Iterator[str]:
    titles = {"majority": "floor: majority label map", "pixels": "floor: per-pixel net"}
    for floor, title in titles.items():
        known = [[run["floors"][floor]["miou"] for run in found.get(("supervised", shots), []) if "floors" in run]
                 for shots in columns]  # fmt: skip
        yield f"| {title} | " + " | ".join(spread(values) if values else "-" for values in known) + " |"


def _teacher(domain: str, columns: list[int], cells: Path) -> str:
    """The decoder that labelled the datasets, on generated pictures that it did not learn from."""
    known = [
        [
            json.loads(path.read_text())["miou"]
            for path in sorted(cells.glob(f"{domain}-generated-{shots}-seed*-decoder.json"))
        ]
        for shots in columns
    ]
    values = " | ".join(spread(one) if one else "-" for one in known)
    return f"| decoder, held-out generated pictures | {values} |"


def _rare(runs: list[dict[str, Any]]) -> str:
    return f"{_class_of(runs, 'glasses'):.3f}" if runs else "-"


def _worth(found: Found, columns: list[int]) -> Iterator[str]:
    """How many real labels the supervised network needs for what so many generated ones give."""
    curve = [(shots, statistics.fmean(run["miou"] for run in found[key]))
             for shots in columns if (key := ("supervised", shots)) in found]  # fmt: skip
    if len(curve) < 3:
        return
    for shots in columns:
        if runs := found.get(("ours", shots)):
            reached = statistics.fmean(run["miou"] for run in runs)
            gives = f"{counted(shots, 'generated label')} {'gives' if shots == 1 else 'give'} {reached:.3f}"
            yield f"{gives}: the supervised network {_reaches(curve, reached)}."
    yield ""


def _reaches(curve: Sequence[tuple[int, float]], reached: float) -> str:
    """Between which numbers of real labels the supervised network comes to a figure."""
    place = next((place for place, (_, miou) in enumerate(curve) if miou >= reached), None)
    if place is None:
        return f"does not reach that with {counted(curve[-1][0], 'real one')} ({curve[-1][1]:.3f})"
    real, miou = curve[place]
    if place == 0:
        return f"reaches that with {counted(real, 'real one')} ({miou:.3f})"
    before, less = curve[place - 1]
    return f"reaches that between {before} and {real} real ones ({less:.3f} and {miou:.3f})"
