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
from measure import How, Work
from naive import modulate_each
from parts import OURS, SIZES, Part

from gannotate.generators.adversarial.presets import preset
from gannotate.generators.base import CHUNK, draw
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config

NETWORKS = {
    "paper256": StyleGAN2Config(size=256, channel_base=16384),
    "config-f": StyleGAN2Config(size=256, channel_base=32768),
}
SINGLE = 2
"""Pictures that the other ways draw a pass."""

Draw = Callable[[torch.Tensor], object]


def prepare(way: str, how: How, network: str, size: int) -> Work:
    """Drawing pictures from seeds: a chunk at once, or one after the other."""
    config = preset(network, size, 3).network
    if way == OURS:
        generator = StyleGAN2(config).to(how.device).eval()
        return Work([(lambda: sum(1 for _ in draw(generator, range(CHUNK))), 1)], units=CHUNK)
    if way == "single":
        modulate_each()
    assert how.reference is not None or way == "single"
    paint = ours(config, how.device) if way == "single" else reference(how.reference, config, how.device)
    latents = torch.randn(SINGLE, 1, config.z_dim, device=how.device)

    @torch.inference_mode()
    def run() -> None:
        for z in latents:
            paint(z)

    return Work([(run, 1)], units=SINGLE)


PART = Part(
    title="Drawing pictures",
    unit="picture",
    ways={
        OURS: "16 at once, one shared convolution",
        "single": "one at a time, weights modulated for each",
        "official": "stylegan2-ada-pytorch, one at a time as its generate.py",
    },
    prepare=prepare,
    cases=[{"network": "tiny", "size": 64}, {"network": "paper256", "size": 256}],
    growth={"size": SIZES},
    quick={"network": "tiny", "size": 64},
)


def ours(config: StyleGAN2Config, device: str = "cpu") -> Draw:
    """From z to the picture by our network."""
    network = StyleGAN2(config).to(device).eval()
    return lambda z: network.synthesize(network.map(z))


def reference(folder: Path | None, config: StyleGAN2Config, device: str = "cpu") -> Draw:
    """The official generator as its own generate.py calls it."""
    network = official_generator(folder, config).to(device).eval()
    return lambda z: network(z, None, noise_mode="const")


def official_generator(folder: Path | None, config: StyleGAN2Config) -> Any:
    """The official generator of the same shape, from a checkout of stylegan2-ada-pytorch."""
    return official_networks(folder).Generator(
        config.z_dim,
        0,
        config.w_dim,
        config.size,
        config.image_channels,
        mapping_kwargs={"num_layers": config.mapping_layers},
        synthesis_kwargs={"channel_base": config.channel_base, "channel_max": config.channel_max},
    )


def official_networks(folder: Path | None) -> Any:
    """The module of that checkout which holds its networks."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
    from make_golden_generators import official_module

    assert folder is not None
    return official_module(folder, "training.networks")


@torch.inference_mode()
def take_turns(paths: dict[str, Draw], z: torch.Tensor, rounds: int) -> dict[str, dict[str, float]]:
    """Pictures per second of every path, by wall clock and by CPU time; the paths take turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in paths}
    for turn in range(rounds + 1):  # the first one only warms up
        for name, paint in paths.items():
            wall, cpu = time.perf_counter(), time.process_time()
            paint(z)
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
        speeds: dict[str, Any] = take_turns(paths, torch.randn(options.batch, config.z_dim), options.rounds)
        if "reference" in speeds:
            speeds["times_faster"] = speeds["ours"]["pictures_per_s"] / speeds["reference"]["pictures_per_s"]
            speeds["times_faster_cpu"] = (
                speeds["ours"]["pictures_per_cpu_s"] / speeds["reference"]["pictures_per_cpu_s"]
            )
        result[name] = speeds
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
