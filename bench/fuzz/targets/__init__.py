"""The readers that are given bad input, by name; a module is imported when it is asked for: torch takes seconds."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

from bench.fuzz.target import Target

SHARES = {
    "pictures": {"picture": 3.0, "mask": 3.0, "pictures-zip": 1.0, "video": 0.2},
    "formats": {
        "coco": 0.6,
        "label-studio": 0.6,
        "yolo": 0.4,
        "voc": 0.6,
        "palette": 0.6,
        "numpy": 0.6,
        "codes": 10.0,
        "matlab": 8.0,
        "benchmark": 0.5,
    },
    "foreign": {"checkpoint": 0.2, "pickle": 14.0, "weights": 1.0},
    "projects": {"project": 0.1, "dataset": 0.5},
    "texts": {"yaml": 0.2, "json": 8.0, "study": 0.2},
    "models": {"training": 4.0, "models": 0.2, "segmenter": 0.01, "onnx": 0.02},
    "server": {"http": 0.3},
}
"""Modules, their targets, and the part of the inputs that each gets: less for slow readers."""

SHARE = {name: share for targets in SHARES.values() for name, share in targets.items()}
"""All of them."""


def load_all(names: list[str]) -> None:
    """Imports what these targets need: processes that are forked then have it."""
    for room, targets in SHARES.items():
        if targets.keys() & names:
            importlib.import_module(f"bench.fuzz.targets.{room}")


def make(name: str, folder: Path) -> Target:
    """The target called `name`, in an empty folder."""
    pictures = importlib.import_module("bench.fuzz.targets.pictures")
    pictures.RANDOM.bit_generator.state = np.random.default_rng(0).bit_generator.state  # the same files every time
    room = next(room for room, targets in SHARES.items() if name in targets)
    return importlib.import_module(f"bench.fuzz.targets.{room}").TARGETS[name](folder)
