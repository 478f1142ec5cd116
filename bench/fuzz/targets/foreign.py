"""Checkpoints of other programs: pickles that nothing is run of, torch's files, weights."""

from __future__ import annotations

import importlib.util
import io
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.fuzz.guard import ROOT
from bench.fuzz.target import Target, put
from bench.fuzz.targets.pictures import both
from gannotate.generators.checkpoints.importing import read_average
from gannotate.generators.checkpoints.opening import plan_of
from gannotate.generators.checkpoints.torch_files import read_pickle, read_torch
from gannotate.metrics.weights import read_state
from gannotate.segmenters.start_weights import fill


def writers() -> Any:
    """The tests' module that writes our generators as others do."""
    path = ROOT / "tests" / "unit" / "generators" / "checkpoints" / "foreign.py"
    spec = importlib.util.spec_from_file_location("foreign_writers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def checkpoints(folder: Path) -> Target:
    """Generators of others, recognised and renamed."""
    made = writers()
    network = made.random_generator("stylegan2", size=8)
    seeds = {
        "official.pkl": [made.official(network)],
        "tensorflow.pkl": [made.tensorflow(network)],
        "rosinality.pt": [made.rosinality(network)],
        "legacy.pkl": [made.to_file({"g_ema": dict(network.state_dict())}, zipped=False)],
        "saic.pt": [made.saic(network)],
    }
    return Target(
        about="generators.checkpoints.opening.plan_of",
        seeds=seeds,
        read=lambda kind, data: plan_of(memoryview(data or b"\0")),
    )


def pickles(folder: Path) -> Target:
    """The pickle machine alone, on small pickles of every protocol."""
    content = {
        "a": [1, -2, 2**40, 1.5, None, True, "text", b"bytes", (1,), {2, 3}],
        "array": np.arange(4, dtype=np.float32),
        "ordered": OrderedDict(b=np.float64(2)),
        "é": {"x": {"y": [[[]]]}},
    }
    seeds = [pickle.dumps(content, protocol) for protocol in range(6)]
    torch_files = []
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save({"w": torch.zeros(2, 3), "i": 3}, buffer, _use_new_zipfile_serialization=zipped)
        torch_files.append(buffer.getvalue())

    def read(kind: str, data: bytes) -> None:
        view = memoryview(data or b"\0")
        return void(read_pickle(view)) if kind == "a.pkl" else void(read_torch(view))

    return Target(
        about="generators.checkpoints: the pickle machine, torch's containers",
        seeds={"a.pkl": seeds, "a.pt": torch_files[:1], "legacy.pkl": torch_files[1:]},
        read=read,
    )


def void(value: object) -> None:
    """Drops a value."""


def weights(folder: Path) -> Target:
    """Weights that encoders begin with, feature spaces, and average latents."""
    from safetensors.torch import save

    network = torch.nn.Sequential(OrderedDict(encoder=torch.nn.Linear(2, 2), head=torch.nn.Linear(2, 1)))
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    buffer, array = io.BytesIO(), io.BytesIO()
    torch.save(state, buffer)
    np.save(array, np.zeros((4, 8), np.float32))

    def read(kind: str, data: bytes) -> None:
        path = put(folder, kind, data)
        if kind.endswith(".npy"):
            return void(read_average(path, 8))
        both(lambda: void(read_state(path, "lpips")), lambda: fill(network, str(path), "linear"))

    return Target(
        about="segmenters.start_weights, metrics.weights, checkpoints.importing.read_average",
        seeds={"w.safetensors": [save(state)], "w.pt": [buffer.getvalue()], "average.npy": [array.getvalue()]},
        read=read,
    )


TARGETS = {"checkpoint": checkpoints, "pickle": pickles, "weights": weights}
