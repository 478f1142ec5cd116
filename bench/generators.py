"""How fast are our StyleGAN2 networks beside the reference code? Prints pictures per second as one json object.

    python bench/generators.py [--reference DIR] [--threads 2] [--batch 4] [--rounds 5]

DIR is a checkout of NVlabs/stylegan2-ada-pytorch; without it ours is measured alone. Both run in one process on a CPU
with random weights, constant noise and psi 1, taking turns, from z to the picture at 256 px: paper256 (half the
channels) and config-f. Pictures per second are the median of the rounds; per CPU second they are comparable on a busy
machine too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from make_golden_generators import official_module

NETWORKS = {
    "paper256": StyleGAN2Config(size=256, channel_base=16384),
    "config-f": StyleGAN2Config(size=256, channel_base=32768),
}

Draw = Callable[[torch.Tensor], object]


def ours(config: StyleGAN2Config) -> Draw:
    network = StyleGAN2(config).eval()
    return lambda z: network.synthesize(network.map(z))


def reference(folder: Path, config: StyleGAN2Config) -> Draw:
    """The official generator as its own generate.py calls it."""
    network = official_module(folder, "training.networks").Generator(
        config.z_dim,
        0,
        config.w_dim,
        config.size,
        config.image_channels,
        synthesis_kwargs={"channel_base": config.channel_base, "channel_max": config.channel_max},
    )
    network.eval()
    return lambda z: network(z, None, noise_mode="const")


@torch.inference_mode()
def measure(paths: dict[str, Draw], z: torch.Tensor, rounds: int) -> dict[str, dict[str, float]]:
    """Pictures per second of every path, by wall clock and by CPU time; the paths take turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in paths}
    for turn in range(rounds + 1):  # the first one only warms up
        for name, draw in paths.items():
            wall, cpu = time.perf_counter(), time.process_time()
            draw(z)
            if turn:
                times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: {
            "pictures_per_s": len(z) / statistics.median(wall for wall, _ in measured),
            "pictures_per_cpu_s": len(z) / statistics.median(cpu for _, cpu in measured),
        }
        for name, measured in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, metavar="DIR", help="checkout of NVlabs/stylegan2-ada-pytorch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result: dict[str, Any] = {"threads": options.threads, "batch": options.batch, "torch": torch.__version__}
    for name, config in NETWORKS.items():
        torch.manual_seed(0)
        paths = {"ours": ours(config)}
        if options.reference is not None:
            paths["reference"] = reference(options.reference, config)
        speeds: dict[str, Any] = measure(paths, torch.randn(options.batch, config.z_dim), options.rounds)
        if "reference" in speeds:
            speeds["times_faster"] = speeds["ours"]["pictures_per_s"] / speeds["reference"]["pictures_per_s"]
            speeds["times_faster_cpu"] = (
                speeds["ours"]["pictures_per_cpu_s"] / speeds["reference"]["pictures_per_cpu_s"]
            )
        result[name] = speeds
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
