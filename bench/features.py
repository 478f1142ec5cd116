"""Projecting taps before upsampling against the papers' full-resolution stack: time and peak memory.

    python bench/features.py [--sizes 256 512] [--presets paper256 stylegan2] [--outputs 64] [--repeats 3] [--threads 1]

A first layer of 1x1 to `outputs` maps over all taps of one picture of a StyleGAN2 with random weights (stylegan2 is
config-f). Prints a line of JSON for each network and way, then one with the ratios to the stack. Each way runs in a
process of its own; ratios are of CPU time. `peak_mb` is the largest resident memory of that process once the picture is
drawn, and `before_mb` what it was before the head. The stack of a 512 px picture takes 12 GB.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, get_args

import torch
import torch.nn.functional as F
from measure import How, Work, in_child, show
from naive import stack_mb
from parts import CLASSES, OURS, SIZES, Part, measure
from torch import Tensor

from gannotate.features.interpolation import Interpolation
from gannotate.features.projection import ProjectedLinear
from gannotate.features.stack import stack
from gannotate.generators.adversarial.presets import preset
from gannotate.generators.stylegan2 import StyleGAN2

WAYS = ("stack", *get_args(Interpolation))
"""The naive head with bilinear upsampling, then ours with each interpolation."""


def prepare(way: str, how: How, network: str, size: int, classes: int) -> Work:
    """The layer to `classes` maps on one picture's taps; `way` is one of WAYS, or ours, which is bilinear."""
    with torch.inference_mode():
        generator = StyleGAN2(preset(network, size, 3).network).to(how.device).eval()
        names = [tap.name for tap in generator.taps]
        taps = generator.synthesize(generator.map(generator.latents([0])), taps=names).taps
    interpolation: Interpolation = "bilinear" if way in ("stack", OURS) else way  # pyright: ignore[reportAssignmentType]
    layer = ProjectedLinear(generator.taps, classes, size, interpolation).to(how.device)
    head = naive_head(layer) if way == "stack" else layer

    @torch.inference_mode()
    def run() -> None:
        head(taps)

    return Work([(run, 1)])


def naive_head(layer: ProjectedLinear) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """The same layer on the stack."""
    weight, bias = layer.stacked_weight()[:, :, None, None], layer.stacked_bias()
    return lambda taps: F.conv2d(stack(taps, layer.taps, layer.size, layer.interpolation), weight, bias)


def needs_mb(way: str, network: str, size: int, classes: int) -> float:
    """The upsampled maps and their stack exist at once."""
    return 2 * stack_mb(network, size) if way == "stack" else 0.0


PART = Part(
    title="Features: a 1x1 layer on all taps",
    unit="picture",
    ways={OURS: "projected, then upsampled", "stack": "upsampled, stacked, then projected"},
    prepare=prepare,
    cases=[
        {"network": "tiny", "size": 64, "classes": 11},
        {"network": "paper256", "size": 256, "classes": 11},
    ],
    growth={"size": SIZES, "classes": CLASSES},
    quick={"network": "tiny", "size": 64},
    needs_mb=needs_mb,
)


def main() -> None:
    """All networks and ways, or one of these."""
    flags = parse()
    how = How(threads=flags.threads, repeats=flags.repeats)
    for name in flags.presets:
        for size in flags.sizes:
            case = {"network": name, "size": size, "classes": flags.outputs}
            rows = {way: one(way, how, case) for way in ((flags.way,) if flags.way else WAYS)}
            if len(rows) > 1:
                naive = rows.pop("stack")
                faster = {way: round(naive["cpu_s"] / row["cpu_s"], 1) for way, row in rows.items()}
                smaller = {way: round(naive["peak_mb"] / row["peak_mb"], 1) for way, row in rows.items()}
                show({"preset": name, "size": size, "times_faster": faster, "times_less_memory": smaller})


def one(way: str, how: How, case: dict[str, Any]) -> dict[str, Any]:
    """A way's row, printed too."""
    row = case | {"way": way, "threads": how.threads}
    row |= in_child(measure, prepare=prepare, way=way, how=how, case=case)
    show(row)
    return row


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--presets", nargs="+", default=["paper256", "stylegan2"])
    parser.add_argument("--outputs", type=int, default=64, help="maps that the 1x1 layer makes")
    parser.add_argument("--repeats", type=int, default=3, help="timed passes; the median counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, help="measure this one only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
