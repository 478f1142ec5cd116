"""Every segmentation network: parameters, and what labelling one picture takes, PyTorch against the exported file.

    python bench/segmenters.py [--architectures unet lraspp] [--size 256] [--threads 1 2] [--repeats 10]

Random weights, RGB, 8 classes. Each network and number of threads runs in a process of its own and prints a line of
JSON: the fastest pass of `Segmenter.predict` and of `OnnxSegmenter.predict` in wall and CPU seconds (on a busy machine
the CPU seconds are the ones to compare), the part of pixels with the same class in both on noise pictures, and the
file's size.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any, get_args

import torch
from measure import fastest, in_child, show

from gannotate.segmenters.architectures import Architecture
from gannotate.segmenters.build import SegmenterConfig, build_network, save_segmenter
from gannotate.segmenters.export import parity, random_pictures, to_onnx
from gannotate.segmenters.onnx_runtime import OnnxSegmenter
from gannotate.segmenters.predict import Segmenter


def main() -> None:
    """All networks, or in a child process one of them."""
    flags = parse()
    if flags.child:
        show(measure(flags))
        return
    shared = {name: getattr(flags, name) for name in ("size", "classes", "repeats")}
    for name in flags.architectures:
        for threads in flags.threads:
            in_child(__file__, shared | {"architectures": name, "threads": threads, "child": 1})


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--architectures", nargs="+", default=list(get_args(Architecture)))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--classes", type=int, default=8)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=10, help="timed passes; the fastest counts")
    parser.add_argument("--child", type=int, default=0, help="measure the one network that is given, in this process")
    return parser.parse_args()


def measure(flags: argparse.Namespace) -> dict[str, Any]:
    """One network with one number of threads."""
    name, threads = flags.architectures[0], flags.threads[0]
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    config = SegmenterConfig(classes=flags.classes, image_channels=3, size=flags.size, architecture=name)
    network = build_network(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        save_segmenter(folder, network, config)
        model = to_onnx(folder, {})
    segmenter, exported = Segmenter(network, config), OnnxSegmenter(model, name, threads)
    pictures = random_pictures(config)
    one = pictures[0][None]
    found = parity(segmenter, exported, pictures[:1])
    return {
        "architecture": name,
        "encoder": config.encoder,
        "depth": config.depth,
        "million_parameters": round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 3),
        "file_mb": round(len(model) / 1e6, 1),
        "size_px": flags.size,
        "threads": threads,
        "pytorch": fastest(lambda: segmenter.predict(one), flags.repeats),
        "onnx": fastest(lambda: exported.predict(one), flags.repeats),
        "same_class": found.equal,
    }


if __name__ == "__main__":
    main()
