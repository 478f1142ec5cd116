"""A segmenter as one ONNX file that runs anywhere: pictures of any size in, label maps and probabilities out.

The file has one input, `pictures` uint8 (n, height, width, c), and two outputs of the pictures' own size: `label_maps`
uint8 (n, height, width) and `probabilities` float32 (n, classes, height, width). What `Segmenter.predict` does around
the network is inside: bringing pictures to the network's size, scaling them to [-1, 1], softmax, bringing the
probabilities back, and taking the most probable class. n, height and width are free; c is 1 (grey) or 3 (RGB).
The metadata are JSON: classes, colours, mirror, size_px, image_channels, provenance, segmenter (its whole config).
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

import gannotate
from gannotate.errors import GannotateError, UsageError
from gannotate.segmenters.build import SegmenterConfig, load_segmenter
from gannotate.segmenters.onnx_runtime import FORMAT_VERSION, OnnxSegmenter, need_packages
from gannotate.segmenters.predict import BATCH, Predictor, Segmenter
from gannotate.segmenters.resample import resize_like_pillow
from gannotate.segmenters.upsampled import folded
from gannotate.training.loop import Progress
from gannotate.wording import last_name

OPSETS = (18, 19, 20, 21)
"""Versions of the ONNX operators that can be written; the first, which the most programs read, unless asked."""

LEAST_EQUAL = 0.9999
"""Part of the pixels that must have the same class as in PyTorch; below it nothing is written."""


class ExportedNetwork(nn.Module):
    """The network with all that is around it; see the module's text."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network = network
        self.size = size

    def forward(self, pictures: UInt8[Tensor, "n h w c"]) -> tuple[UInt8[Tensor, "n h w"], Float[Tensor, "n k h w"]]:
        logits = self.network(resize_like_pillow(pictures, self.size) / 127.5 - 1)
        # softmax by its parts: ONNX Runtime takes several times as long for Softmax over any axis but the last
        powers = (logits - logits.amax(1, keepdim=True)).exp()
        small = powers / powers.sum(1, keepdim=True)
        shape = (pictures.shape[1], pictures.shape[2])
        probabilities = F.interpolate(small, shape, mode="bilinear", align_corners=False)
        return probabilities.argmax(1).to(torch.uint8), probabilities


@dataclass(frozen=True)
class Parity:
    """How far two predictors agree.

    pictures, pixels: compared. equal: part of the pixels with the same class. largest_difference: of probabilities.
    """

    pictures: int
    pixels: int
    equal: float
    largest_difference: float


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one picture of the network's own size, the fastest of some passes, with so many threads."""

    size_px: int
    threads: int
    pytorch_ms: float
    onnx_ms: float


def to_onnx(folder: str | Path, provenance: dict[str, Any], opset: int = OPSETS[0]) -> bytes:
    """The ONNX file of the segmenter in `folder`; `provenance` (json-able) goes into its metadata.

    Raises:
        UsageError: not a segmenter folder, or no such opset. GannotateError: damaged, or packages are missing.
    """
    check_opset(opset)
    need_packages("onnx", "onnxscript")
    import onnx

    network, config = load_segmenter(folder)
    with _without_chatter():
        model = _exported(network, config, opset)
    onnx.helper.set_model_props(model, metadata(config, provenance))
    model.producer_name, model.producer_version = "gannotate", gannotate.__version__
    model.doc_string = "Pictures uint8 (n, height, width, channels) of any size to label maps; by gannotate export."
    onnx.checker.check_model(model)
    return model.SerializeToString()


def check_opset(opset: int) -> None:
    """Checks that this version of the operators can be written.

    Raises:
        UsageError: it cannot.
    """
    if opset not in OPSETS:
        raise UsageError(f"opset {opset} was asked for; use {OPSETS[0]} to {OPSETS[-1]}")


def metadata(config: SegmenterConfig, provenance: dict[str, Any]) -> dict[str, str]:
    """What the file says of itself: each value is JSON."""
    classes = config.class_infos
    about = {
        "format_version": FORMAT_VERSION,
        "gannotate_version": gannotate.__version__,
        "classes": [item.name for item in classes],
        "colours": [list(item.colour) for item in classes],
        "mirror": provenance.get("mirror"),
        "size_px": config.size,
        "image_channels": config.image_channels,
        "segmenter": asdict(config) | {"weights": last_name(config.weights)},
        "provenance": provenance,
    }
    return {name: json.dumps(value) for name, value in about.items()}


class Comparison:
    """Compares the answers of two predictors on pictures uint8 (h, w, c) of any sizes, of which there are up to `most`.

    Going through it gives progress, a picture at a time, and leaves `parity`.

    Raises:
        UsageError: no pictures.
    """

    parity: Parity

    def __init__(self, ours: Predictor, other: Predictor, pictures: Iterable[np.ndarray], most: int) -> None:
        self.ours, self.other, self.pictures, self.most = ours, other, pictures, most

    def __iter__(self) -> Iterator[Progress]:
        count = pixels = equal = 0
        largest, begin = 0.0, time.monotonic()
        for batch in _batches(self.pictures):
            for one, two in zip(self.ours.iterate(batch), self.other.iterate(batch), strict=True):
                same = one.argmax(0) == two.argmax(0)
                count, pixels, equal = count + 1, pixels + same.size, equal + int(same.sum())
                largest = max(largest, float(np.abs(one - two).max()))
                yield Progress.since(begin, count, self.most)
        if not count:
            raise UsageError("there are no pictures to compare on; give a folder or zip with some")
        self.parity = Parity(count, pixels, equal / pixels, largest)


def parity(ours: Predictor, other: Predictor, pictures: Sequence[np.ndarray]) -> Parity:
    """What `Comparison` leaves, at once."""
    comparison = Comparison(ours, other, pictures, len(pictures))
    deque(comparison, maxlen=0)
    return comparison.parity


def check_parity(found: Parity, name: str) -> None:
    """Checks that the exported file says what the segmenter says.

    Raises:
        GannotateError: it does not.
    """
    if found.equal < LEAST_EQUAL:
        raise GannotateError(
            f"the exported network agrees with {name} on {100 * found.equal:.3f} % of the pixels of {found.pictures} "
            f"pictures, below {100 * LEAST_EQUAL:g} %: nothing was written"
        )


def random_pictures(config: SegmenterConfig, seed: int = 0) -> list[UInt8[np.ndarray, "h w c"]]:
    """Noise pictures: 4 each of the network's size, of twice that, and of odd sizes below and above it."""
    rng, size = np.random.default_rng(seed), config.size
    shapes = ((size, size), (2 * size, 2 * size), (size // 2 + 1, size - 1), (size + 3, 2 * size - 5))
    return [
        rng.integers(0, 256, (*shape, config.image_channels)).astype(np.uint8) for shape in shapes for _ in range(4)
    ]


def latency(segmenter: Segmenter, exported: OnnxSegmenter, repeats: int = 20) -> Latency:
    """Times both in turns, so that what else the machine does meets both."""
    size, channels = segmenter.config.size, segmenter.config.image_channels
    picture = np.random.default_rng(0).integers(0, 256, (1, size, size, channels)).astype(np.uint8)
    ways: Sequence[Predictor] = (segmenter, exported)
    spent: tuple[list[float], list[float]] = ([], [])
    for index in range(repeats + 2):
        for way, seconds in zip(ways, spent, strict=True):
            begin = time.perf_counter()
            way.predict(picture)
            if index >= 2:  # the first ones warm up
                seconds.append(time.perf_counter() - begin)
    pytorch_ms, onnx_ms = (round(1000 * min(seconds), 2) for seconds in spent)
    return Latency(size, torch.get_num_threads(), pytorch_ms, onnx_ms)


def _exported(network: nn.Module, config: SegmenterConfig, opset: int) -> Any:
    free = torch.export.Dim
    example = torch.zeros(2, config.size + 3, config.size + 5, config.image_channels, dtype=torch.uint8)
    program = torch.onnx.export(
        ExportedNetwork(folded(network), config.size).eval(),
        (example,),
        dynamo=True,
        opset_version=opset,
        input_names=["pictures"],
        output_names=["label_maps", "probabilities"],
        dynamic_shapes=({0: free("n"), 1: free("height"), 2: free("width")},),
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def _batches(pictures: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    batch: list[np.ndarray] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """The exporter warns of its own libraries' deprecations and prints what it converted: none of it is the user's."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
