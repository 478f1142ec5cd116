"""Inverting real pictures: an encoder's start against the projector, the gate over domains, labels against the truth.

    python bench/inversion.py speed --generator DIR --encoder DIR --pictures ZIP [--count 16] [--sheet FILE.png]
    python bench/inversion.py gate --domain NAME GENERATOR ENCODER CALIBRATION TEST --domain ... [--count 100]
    python bench/inversion.py labels --predicted DIR --test ZIP --size 64 --classes 3

Each prints one JSON object. `speed`: the projector's 1,000 steps, the encoder's start alone, and that plus 100 steps,
on the same pictures in one process, by the same loss; on a busy machine the CPU seconds are the ones to compare.
`gate`: for every domain's generator a gate from CALIBRATION, real pictures that neither trained it nor are in TEST,
and how many of every domain's TEST it refuses; ENCODER is `-` to begin at the average latent. `labels`: scores of the
masks/ that `gannotate predict --through generator` wrote.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gannotate.data.labelled import read_labelled
from gannotate.data.pictures import load_pictures
from gannotate.data.writing import encode_picture
from gannotate.files import write_bytes
from gannotate.generators.base import to_uint8
from gannotate.inversion.gate import REFUSALS, STATISTICS, calibrate
from gannotate.inversion.inverter import Inverter, usual_config
from gannotate.inversion.many import BATCH
from gannotate.inversion.projector import InversionConfig, Inverted
from gannotate.labels import read_label_map
from gannotate.metrics.confusion import confusion, scores
from gannotate.seeding import numpy_stream
from gannotate.viz import contact_sheet, enlarge


def main() -> None:
    """One of the three."""
    flags = parse()
    torch.set_num_threads(flags.threads)
    torch.set_flush_denormal(True)
    result = {"speed": speed, "gate": gate, "labels": labels}[flags.what](flags)
    about = {"threads": flags.threads, "load_average": os.getloadavg()[0], "torch": torch.__version__}
    sys.stdout.write(json.dumps(result | about, indent=1) + "\n")


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    what = parser.add_subparsers(dest="what", required=True)
    one = what.add_parser("speed")
    one.add_argument("--generator", type=Path, required=True)
    one.add_argument("--encoder", type=Path, required=True)
    one.add_argument("--pictures", type=Path, required=True)
    one.add_argument("--count", type=int, default=BATCH)
    one.add_argument("--space", default="w+")
    one.add_argument("--steps", type=int, default=1000)
    one.add_argument("--refine", type=int, nargs="+", default=[100])
    one.add_argument("--sheet", type=Path, help="PNG: the pictures, then a row for each way")
    two = what.add_parser("gate")
    words = ("NAME", "GENERATOR", "ENCODER", "CALIBRATION", "TEST")
    two.add_argument("--domain", nargs=5, action="append", required=True, metavar=words)
    two.add_argument("--count", type=int, default=100, help="pictures of each kind, at most")
    two.add_argument("--space", default="w+")
    two.add_argument("--steps", type=int, default=None)
    two.add_argument("--refusals", type=float, default=REFUSALS)
    three = what.add_parser("labels")
    three.add_argument("--predicted", type=Path, required=True)
    three.add_argument("--test", type=Path, required=True)
    three.add_argument("--size", type=int, required=True)
    three.add_argument("--classes", type=int, required=True)
    return parser.parse_args()


def speed(flags: argparse.Namespace) -> dict[str, Any]:
    """Reconstruction and seconds of each way."""
    ways: dict[str, tuple[InversionConfig, bool]] = {
        f"projector, {flags.steps} steps": (usual_config(flags.space, flags.steps), False),
        **{f"encoder + {n} steps": (usual_config(flags.space, n, encoder=True), True) for n in flags.refine},
    }
    rows, sheet, pictures = {}, [], None
    for name, (config, start) in ways.items():
        inverter = Inverter.load(flags.generator, config, encoder=flags.encoder if start else None)
        if pictures is None:
            pictures = _some(flags.pictures, inverter, flags.count)
            sheet += list(pictures)
            first = Inverter.load(flags.generator, config, encoder=flags.encoder).projection(pictures).finish()
            rows["encoder alone"] = _figures(first, pictures)
            sheet += list(to_uint8(first.pictures))
        wall, cpu = time.perf_counter(), time.process_time()
        found = inverter.invert(pictures)
        seconds = {"wall_s": round(time.perf_counter() - wall, 1), "cpu_s": round(time.process_time() - cpu, 1)}
        rows[name] = _figures(found, pictures) | seconds
        sheet += list(to_uint8(found.pictures))
    projector = rows[f"projector, {flags.steps} steps"]
    for name, row in rows.items():
        if name.startswith("encoder +"):
            row["part_of_the_projectors_cpu_time"] = round(row["cpu_s"] / projector["cpu_s"], 3)
            row["distance_to_the_projectors"] = round(row["distance"] / projector["distance"], 3)
    if flags.sheet:
        assert pictures is not None
        write_bytes(flags.sheet, encode_picture(enlarge(contact_sheet(sheet, len(pictures)), 2)))
    return {"generator": str(flags.generator), "space": flags.space, "pictures": flags.count, "ways": rows}


def gate(flags: argparse.Namespace) -> dict[str, Any]:
    """Part of every domain's pictures that every domain's gate refuses."""
    rows: dict[str, Any] = {}
    for name, generator, encoder, calibration, _ in flags.domain:
        start = None if encoder == "-" else encoder
        config = usual_config(flags.space, flags.steps, start is not None)
        inverter = Inverter.load(generator, config, encoder=start)
        begin = time.perf_counter()
        held_out = _statistics(inverter, _some(calibration, inverter, flags.count))
        found = calibrate(held_out, flags.refusals, inverter.settings)
        refused, medians = {}, {}
        for other, *_, test in flags.domain:
            statistics = _statistics(inverter, _some(test, inverter, flags.count))
            refused[other] = round(float(1 - found.accepts(statistics).mean()), 4)
            medians[other] = {key: round(float(np.median(values)), 4) for key, values in statistics.items()}
        rows[name] = {
            "calibrated_on": found.pictures,
            "loss": inverter.loss.name,
            "steps": config.steps,
            "refused": refused,
            "medians": medians,
            "wall_s": round(time.perf_counter() - begin, 1),
        }
        sys.stderr.write(f"{name}: {json.dumps(rows[name])}\n")
    return {"refusals": flags.refusals, "space": flags.space, "gates": rows}


def labels(flags: argparse.Namespace) -> dict[str, Any]:
    """mIoU of predicted label maps, scored at the truth's size."""
    test = read_labelled(flags.test, flags.classes, flags.size)
    counts = np.zeros((flags.classes, flags.classes), np.int64)
    for name, label_map in zip(test.names, test.label_maps, strict=True):
        stem = Path(name).with_suffix("").as_posix().removeprefix("images/")
        predicted = read_label_map(flags.predicted / "masks" / f"{stem}.png", flags.classes)
        step = predicted.shape[0] // flags.size
        counts += confusion(label_map[None], predicted[step // 2 :: step, step // 2 :: step][None], flags.classes)
    found = scores(counts)
    return {"pictures": len(test.names), "miou": round(found.miou, 4), "per_class": found.per_class}


def _some(path: str | Path, inverter: Inverter, count: int) -> np.ndarray:
    """At most `count` pictures, drawn by a fixed stream, as the generator would draw them."""
    generator = inverter.generator
    pictures = load_pictures(path, generator.size, generator.image_channels).pictures
    return pictures[np.sort(numpy_stream("bench", "inversion").permutation(len(pictures))[:count])]


def _statistics(inverter: Inverter, pictures: np.ndarray) -> dict[str, np.ndarray]:
    parts = [
        inverter.gate_statistics(inverter.invert(pictures[first : first + BATCH]))
        for first in range(0, len(pictures), BATCH)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in STATISTICS}


def _figures(found: Inverted, pictures: np.ndarray) -> dict[str, Any]:
    assert len(found.psnr) == len(pictures)
    return {"psnr": round(float(found.psnr.mean()), 2), "distance": round(float(found.distance.mean()), 5)}


if __name__ == "__main__":
    main()
