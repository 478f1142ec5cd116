"""Every segmentation network: parameters, and what labelling one picture takes, PyTorch against the exported file.

    python bench/segmenters.py [--architectures unet lraspp] [--size 256] [--threads 1 2] [--repeats 10]

Random weights, RGB, 8 classes. Each network and number of threads runs in a process of its own and prints a line of
JSON: the median pass of `Segmenter.predict` and of `OnnxSegmenter.predict` in wall and CPU seconds (on a busy machine
the CPU seconds are the ones to compare), the part of pixels with the same class in both on noise pictures, and the
file's size.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any, get_args

import torch
from measure import How, Work, in_child, passes, show
from parts import CLASSES, OURS, SIZES, Part

from gannotate.segmenters.architectures import Architecture
from gannotate.segmenters.build import SegmenterConfig, build_network, save_segmenter
from gannotate.segmenters.export import parity, random_pictures, to_onnx
from gannotate.segmenters.onnx_runtime import OnnxSegmenter
from gannotate.segmenters.predict import Segmenter


def prepare(way: str, how: How, architecture: Architecture, size: int, classes: int) -> Work:
    """Labelling one picture from uint8 to uint8, by the exported file or by the network itself."""
    network, config = random_network(architecture, size, classes)
    one = random_pictures(config)[0][None]
    made = exported(network, config, how.threads)[0] if way == OURS else Segmenter(network.to(how.device), config)
    return Work([(lambda: made.predict(one), 1)])


PART = Part(
    title="Labelling a picture by a segmenter",
    unit="picture",
    ways={OURS: "the exported file in ONNX Runtime", "eager": "PyTorch"},
    prepare=prepare,
    cases=[
        {"architecture": "unet", "size": 64, "classes": 11},
        {"architecture": "unet", "size": 256, "classes": 11},
        {"architecture": "lraspp", "size": 256, "classes": 11},
    ],
    growth={"size": SIZES, "classes": CLASSES},
    quick={"architecture": "unet", "size": 64},
    on_cuda=False,
)


def random_network(architecture: Architecture, size: int, classes: int) -> tuple[torch.nn.Module, SegmenterConfig]:
    """A network with random weights for RGB pictures."""
    config = SegmenterConfig(classes=classes, image_channels=3, size=size, architecture=architecture)
    return build_network(config).eval(), config


def exported(network: torch.nn.Module, config: SegmenterConfig, threads: int) -> tuple[OnnxSegmenter, int]:
    """The network in ONNX Runtime, and the file's size in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        save_segmenter(folder, network, config)
        model = to_onnx(folder, {})
    return OnnxSegmenter(model, config.architecture, threads), len(model)


def main() -> None:
    """All networks, each in a child process."""
    flags = parse()
    for name in flags.architectures:
        for threads in flags.threads:
            show(in_child(both, name=name, threads=threads, flags=flags))


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--architectures", nargs="+", default=list(get_args(Architecture)))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--classes", type=int, default=8)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=10, help="timed passes; the median counts")
    return parser.parse_args()


def both(name: Architecture, threads: int, flags: argparse.Namespace) -> dict[str, Any]:
    """One network with one number of threads."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network, config = random_network(name, flags.size, flags.classes)
    onnx, file_bytes = exported(network, config, threads)
    segmenter, pictures = Segmenter(network, config), random_pictures(config)
    one = pictures[0][None]
    return {
        "architecture": name,
        "encoder": config.encoder,
        "depth": config.depth,
        "million_parameters": round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 3),
        "file_mb": round(file_bytes / 1e6, 1),
        "size_px": flags.size,
        "threads": threads,
        "pytorch": passes(lambda: segmenter.predict(one), flags.repeats),
        "onnx": passes(lambda: onnx.predict(one), flags.repeats),
        "same_class": parity(segmenter, onnx, pictures[:1]).equal,
    }


if __name__ == "__main__":
    main()
