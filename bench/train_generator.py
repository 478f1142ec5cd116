"""Seconds per thousand pictures of `train-generator --preset tiny`, with every regulariser on.

Usage: python bench/train_generator.py [--threads 2] [--steps 64] [--preset tiny] [--size 64]
Prints json. Random pixels stand in for pictures: a step costs the same whatever is in them. The steps timed hold whole
periods of both lazy regularisers, so that their share is right; the first ones, which prepare kernels, are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time

import numpy as np
import torch
from measure import How, Work
from parts import OURS, SIZES, Part, smaller_batches
from textbook import TextbookTrainer

from gannotate.generators.adversarial.presets import NAMES, preset, with_choices
from gannotate.generators.adversarial.trainer import AdversarialTrainer


def prepare(way: str, how: How, network: str, size: int, batch: int) -> Work:
    """A step of the average over the periods of both regularisers: steps without, with one and with both, weighted."""
    config = with_choices(preset(network, size, image_channels=3), batch=batch)
    pictures = random_pictures(size, 64)
    if way == OURS:
        trainer = AdversarialTrainer(pictures, config, 0, how.device)
    else:
        trainer = TextbookTrainer(pictures, config, how.device, how.reference if way == "official" else None)
    both, path = 1 / config.r1_interval, 1 / config.path_interval - 1 / config.r1_interval
    steps = {1: 1 - both - path, config.path_interval: path, 0: both}
    return Work([(lambda index=index: trainer.step(index), part) for index, part in steps.items()], units=batch)


PART = Part(
    title="Training a generator",
    unit="picture",
    ways={
        OURS: "pictures drawn once a step, judged together, channels last",
        "textbook": "the papers' step on the same networks",
        "official": "the papers' step on the networks of stylegan2-ada-pytorch",
    },
    prepare=prepare,
    cases=[{"network": "tiny", "size": 64, "batch": 16}],
    growth={"size": SIZES},
    quick={"batch": 4},
    adjust=smaller_batches,
)


def random_pictures(size: int, count: int) -> np.ndarray:
    """Random pixels, uint8 (count, size, size, 3)."""
    return np.random.default_rng(0).integers(0, 255, (count, size, size, 3), dtype=np.uint8)


def speed(name: str, size: int, steps: int) -> dict[str, object]:
    """Times `steps` training steps after a warm-up of the same period."""
    config = preset(name, size, image_channels=3)
    trainer = AdversarialTrainer(random_pictures(size, 256), config, seed=0)
    period = max(config.r1_interval, config.path_interval)
    for index in range(period):
        trainer.step(index)
    count = max(1, steps // period) * period
    wall, cpu = time.perf_counter(), time.process_time()
    for index in range(period, period + count):
        trainer.step(index)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    shown = count * config.batch / 1000
    return {
        "preset": name,
        "size_px": size,
        "generator_parameters": sum(p.numel() for p in trainer.generator.parameters()),
        "discriminator_parameters": sum(p.numel() for p in trainer.discriminator.parameters()),
        "batch": config.batch,
        "s_per_kimg": round(wall / shown, 2),
        "cpu_s_per_kimg": round(cpu / shown, 2),
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "machine": platform.machine(),
        "torch": torch.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--preset", choices=NAMES, default="tiny")
    parser.add_argument("--size", type=int, default=64)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(json.dumps(speed(chosen.preset, chosen.size, chosen.steps), indent=1))


if __name__ == "__main__":
    main()
