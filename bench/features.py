"""Projecting taps before upsampling against the papers' full-resolution stack: time and peak memory.

    python bench/features.py [--sizes 256 512] [--presets paper256 stylegan2] [--outputs 64] [--repeats 3] [--threads 1]

A first layer of 1x1 to `outputs` maps over all taps of one picture of a StyleGAN2 with random weights (stylegan2 is
config-f). Prints a line of JSON for each network and way, then one with the ratios to the stack. Each way runs in a
process of its own; ratios are of CPU time. `peak_mb` is the largest resident memory of that process, drawing the
picture included, and `drawn_mb` what it was before the head. The stack of a 512 px picture takes 12 GB.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, get_args

import torch
import torch.nn.functional as F
from measure import fastest, in_child, peak_mb, show
from torch import Tensor

from gannotate.features.interpolation import Interpolation
from gannotate.features.projection import ProjectedLinear
from gannotate.features.stack import stack
from gannotate.generators.adversarial.presets import preset
from gannotate.generators.stylegan2 import StyleGAN2

WAYS = ("stack", *get_args(Interpolation))
"""The naive head with bilinear upsampling, then ours with each interpolation."""


def main() -> None:
    """All networks and ways, or in a child process one of them."""
    flags = parse()
    if flags.way:
        show(measure(flags.presets[0], flags.sizes[0], flags.way, flags))
        return
    for name in flags.presets:
        for size in flags.sizes:
            given = {"presets": name, "sizes": size, "outputs": flags.outputs}
            given |= {"repeats": flags.repeats, "threads": flags.threads}
            rows = {way: in_child(__file__, given | {"way": way}) for way in WAYS}
            naive = rows["stack"]
            ours = {way: row for way, row in rows.items() if way != "stack"}
            show(
                {
                    "preset": name,
                    "size": size,
                    "times_faster": {way: round(naive["cpu_s"] / row["cpu_s"], 1) for way, row in ours.items()},
                    "times_less_memory": {
                        way: round(naive["peak_mb"] / row["peak_mb"], 1) for way, row in ours.items()
                    },
                }
            )


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--presets", nargs="+", default=["paper256", "stylegan2"])
    parser.add_argument("--outputs", type=int, default=64, help="maps that the 1x1 layer makes")
    parser.add_argument("--repeats", type=int, default=3, help="timed passes; the fastest counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, help="measure this one only, in this process")
    return parser.parse_args()


@torch.inference_mode()
def measure(name: str, size: int, way: str, flags: argparse.Namespace) -> dict[str, Any]:
    """Seconds of the fastest pass of one way, and the process's peak memory."""
    torch.set_num_threads(flags.threads)
    torch.manual_seed(0)
    generator = StyleGAN2(preset(name, size, 3).network).eval()
    taps = generator.synthesize(generator.map(generator.latents([0])), taps=[tap.name for tap in generator.taps]).taps
    interpolation: Interpolation = "bilinear" if way == "stack" else way  # pyright: ignore[reportAssignmentType]
    layer = ProjectedLinear(generator.taps, flags.outputs, size, interpolation)
    head = naive_head(layer) if way == "stack" else layer
    drawn_mb = peak_mb()
    return {
        "preset": name,
        "size": size,
        "way": way,
        "channels": layer.channels,
        **fastest(lambda: head(taps), flags.repeats),
        "drawn_mb": drawn_mb,
        "peak_mb": peak_mb(),
        "threads": flags.threads,
    }


def naive_head(layer: ProjectedLinear) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """The same layer on the stack."""
    weight, bias = layer.stacked_weight()[:, :, None, None], layer.stacked_bias()
    return lambda taps: F.conv2d(stack(taps, layer.taps, layer.size, layer.interpolation), weight, bias)


if __name__ == "__main__":
    main()
