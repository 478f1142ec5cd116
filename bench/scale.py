"""Several processes on one machine: pictures a second, what they send each other, and the cost model's numbers.

    OMP_NUM_THREADS=1 python bench/scale.py                          # 1 and 2 processes, four kinds of work, JSON lines
    OMP_NUM_THREADS=1 python bench/scale.py --processes 1,2,4,8 --work segmenter --steps 50
    python bench/scale.py --processes 1,2,8 --device cuda            # one card a process

The last line is the model of docs/scale.md: seconds a step = s_per_step + batch * s_per_picture / processes + messages
* alpha_s + 2 (processes - 1) / processes * bytes * beta_s, the first two from one process with batches of two sizes. On
a CPU they are CPU seconds with one thread: the clock's on a machine that nobody else uses, which this need not be.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from gannotate.data.labelled import LabelledSet
from gannotate.data.sharing import Worker
from gannotate.decoders.light import LightDecoder
from gannotate.fitting.config import FitConfig
from gannotate.fitting.shot import Shot
from gannotate.fitting.supervised import FitTrainer
from gannotate.generators.adversarial.presets import preset, with_choices
from gannotate.generators.adversarial.trainer import AdversarialTrainer
from gannotate.generators.base import DrawOptions
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import make_classes
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.sources import Stored
from gannotate.segmenters.supervised import SegmenterTrainer, SegmenterTraining
from gannotate.synthesis import DatasetConfig, write_dataset
from gannotate.training.loop import Trainer

SIZE, CLASSES = 64, 4
WARM_UP = 2
LARGER = 4
"""How many times larger the batch is from which, beside the usual one, the cost of a step without pictures is found."""
RANDOM = np.random.default_rng(0)


def pictures(count: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.uint8)


def generator(device: str) -> StyleGAN2:
    torch.manual_seed(0)
    return StyleGAN2(preset("tiny", SIZE, 3).network).to(device).eval().requires_grad_(False)


def segmenter(steps: int, batch: int, device: str) -> Trainer:
    label_maps = RANDOM.integers(0, CLASSES, (64, SIZE, SIZE)).astype(np.uint8)
    data = LabelledSet(tuple(map(str, range(64))), pictures(64), label_maps, None)
    config = SegmenterConfig(classes=CLASSES, image_channels=3, size=SIZE)
    return SegmenterTrainer(Stored(data), config, SegmenterTraining(steps=steps, batch=batch), device)


def adversarial(steps: int, batch: int, device: str) -> Trainer:
    return AdversarialTrainer(pictures(64), with_choices(preset("tiny", SIZE, 3), batch=batch), 0, device)


def decoder(steps: int, batch: int, device: str) -> Trainer:
    shots = [Shot(seed, RANDOM.integers(0, CLASSES, (SIZE, SIZE)).astype(np.uint8)) for seed in range(batch)]
    return FitTrainer(generator(device), shots, CLASSES, FitConfig(batch=batch, steps=steps), DrawOptions())


TRAINERS: dict[str, Callable[[int, int, str], Trainer]] = {
    "segmenter": segmenter,
    "generator": adversarial,
    "decoder": decoder,
}
WORK = (*TRAINERS, "synthesize")


class Messages:
    """Counts what this process sends."""

    def __init__(self) -> None:
        self.number, self.bytes, self.send = 0, 0, dist.all_reduce
        dist.all_reduce = self

    def __call__(self, tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        self.number, self.bytes = self.number + 1, self.bytes + tensor.nbytes
        return self.send(tensor, *args, **kwargs)


def timed(run: Callable[[], int]) -> dict[str, float]:
    """Pictures that `run` handled in all processes, with wall and CPU seconds of this one."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    count = run()
    return {"pictures": count, "wall_s": time.perf_counter() - begin, "cpu_s": time.process_time() - begin_cpu}


def train(kind: str, steps: int, batch: int, device: str) -> dict[str, float]:
    messages, trainer = Messages(), TRAINERS[kind](steps + WARM_UP, batch, device)

    def run(first: int, last: int) -> int:
        for index in range(first, last):
            torch.manual_seed(index)
            trainer.step(index)
        return (last - first) * batch

    run(0, WARM_UP)
    messages.number = messages.bytes = 0
    measured = timed(lambda: run(WARM_UP, WARM_UP + steps))
    return measured | {"messages": messages.number / steps, "bytes": messages.bytes / steps}


def synthesize(folder: Path, count: int, device: str, worker: Worker) -> dict[str, float]:
    """As many pictures as the trainers are shown, each of which is drawn, labelled and written once."""
    drawn, config = generator(device), DatasetConfig(part=32)
    made = LightDecoder.of_generator(drawn, CLASSES).to(device).eval().requires_grad_(False)
    classes = make_classes([f"class {index}" for index in range(CLASSES)])

    def run() -> int:
        for _ in write_dataset(folder / "dataset", drawn, made, classes, count, config=config, worker=worker):
            pass
        return count

    return timed(run) | {"messages": 0.0, "bytes": 0.0}


def alpha_beta(rounds: int = 30) -> dict[str, float]:
    """Seconds of an empty message, and a byte's, fitted to sums of two sizes; the fastest of several counts."""
    seconds = {}
    for size in (1, 1 << 20):
        tensor, took = torch.zeros(size), []
        for _ in range(rounds):
            dist.barrier()
            begin = time.perf_counter()
            dist.all_reduce(tensor)
            took.append(time.perf_counter() - begin)
        seconds[size] = float(np.median(took))
    share = 2 * (dist.get_world_size() - 1) / dist.get_world_size()
    return {"alpha_s": seconds[1], "beta_s": (seconds[1 << 20] - seconds[1]) / (share * 4 * (1 << 20))}


def child(flags: argparse.Namespace) -> None:
    device = f"cuda:{flags.rank}" if flags.device == "cuda" else "cpu"
    folder = Path(flags.folder)
    if flags.processes > 1:
        backend = "cpu:gloo,cuda:nccl" if flags.device == "cuda" else "gloo"
        dist.init_process_group(
            backend, init_method=f"file://{folder / 'meeting'}", rank=flags.rank, world_size=flags.processes
        )
    if flags.work == "messages":
        row = alpha_beta()
    elif flags.work == "synthesize":
        row = synthesize(
            folder, flags.steps * flags.batch, device, Worker(number=flags.rank, numbers=flags.processes, look_s=0.05)
        )
    else:
        row = train(flags.work, flags.steps, flags.batch, device)
    sys.stdout.write(json.dumps(row) + "\n")
    if flags.processes > 1:
        dist.destroy_process_group()


def together(work: str, processes: int, steps: int, batch: int, device: str) -> list[dict[str, float]]:
    """The rows of all processes."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, __file__, "--child", "--work", work, "--processes", str(processes)]
        words += ["--steps", str(steps), "--batch", str(batch), "--device", device, "--folder", folder]
        running = [
            subprocess.Popen([*words, "--rank", str(rank)], stdout=subprocess.PIPE, text=True)
            for rank in range(processes)
        ]
        answers = [one.communicate()[0] for one in running]
        if any(one.returncode for one in running):
            sys.exit(f"{work} in {processes} processes failed")
        return [json.loads(answer.splitlines()[-1]) for answer in answers]


def show(row: dict[str, Any]) -> None:
    rounded = {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in row.items()}
    sys.stdout.write(json.dumps(rounded) + "\n")
    sys.stdout.flush()


def measure(
    work: str, processes: int, batch: int, flags: argparse.Namespace, alone: dict[str, float] | None = None
) -> dict[str, Any]:
    """One row: speed, and beside one process its efficiency by the clock and by CPU seconds."""
    rows = together(work, processes, flags.steps, batch, flags.device)
    count, wall = rows[0]["pictures"], max(row["wall_s"] for row in rows)
    cpu = sum(row["cpu_s"] for row in rows)
    found: dict[str, Any] = {"work": work, "processes": processes, "batch": batch, "device": flags.device}
    found |= {"pictures_per_s": count / wall, "cpu_s_per_picture": cpu / count, "wall_s_per_picture": wall / count}
    found |= {"messages_a_step": rows[0]["messages"], "bytes_a_step": rows[0]["bytes"]}
    if alone is not None:
        found["efficiency"] = found["pictures_per_s"] / (processes * alone["pictures_per_s"])
        found["cpu_efficiency"] = alone["cpu_s_per_picture"] / found["cpu_s_per_picture"]
    return found


def cost(work: str, alone: dict[str, Any], flags: argparse.Namespace) -> dict[str, float]:
    """Seconds of a step without pictures, and of a picture, from one process with batches of two sizes."""
    clock = "cpu_s_per_picture" if flags.device == "cpu" else "wall_s_per_picture"
    if work == "synthesize":
        return {"s_per_step": 0.0, "s_per_picture": alone[clock]}
    larger = measure(work, 1, LARGER * flags.batch, flags)
    show(larger)
    small, large = alone[clock] * flags.batch, larger[clock] * LARGER * flags.batch
    picture = (large - small) / ((LARGER - 1) * flags.batch)
    return {"s_per_step": small - picture * flags.batch, "s_per_picture": picture}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--processes", default="1,2", help="numbers of processes, the first is compared with")
    parser.add_argument("--work", default=",".join(WORK), help=f"some of {', '.join(WORK)}")
    parser.add_argument("--steps", type=int, default=8, help="steps measured, after two that warm up")
    parser.add_argument("--batch", type=int, default=16, help="pictures a step, of all processes together")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.child:
        flags.processes = int(flags.processes)
        return child(flags)
    numbers = [int(number) for number in flags.processes.split(",")]
    load = {"cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0], "threads": torch.get_num_threads()}
    show({"machine": load, "torch": torch.__version__, "size_px": SIZE})
    model: dict[str, Any] = {}
    for work in flags.work.split(","):
        alone = None
        for processes in numbers:
            row = measure(work, processes, flags.batch, flags, alone)
            show(row)
            if alone is None:
                alone = row
                model[work] = cost(work, row, flags) if processes == 1 else {}
            else:
                model[work] |= {"messages": row["messages_a_step"], "bytes": row["bytes_a_step"]}
    if max(numbers) > 1:
        model |= together("messages", max(numbers), flags.steps, flags.batch, flags.device)[0]
    sys.stdout.write(json.dumps({"model": model}) + "\n")


if __name__ == "__main__":
    main()
