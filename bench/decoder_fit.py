"""Fitting decoders: what whole fits cost, and ours against the papers' way of keeping the features.

    python bench/decoder_fit.py --what cost [--preset paper256] [--size 256] [--shots 10] [--decoders light cnn ...]
    python bench/decoder_fit.py --what ratio [--preset paper256] [--size 256] [--shots 1] [--decoders cnn mlp ...]

A generator with random weights, `classes` classes, label maps of random patches. `cost` fits each decoder from start
to end with our schedule. `ratio` sets our steps beside the same steps on features at picture size, held in half
precision as DatasetGAN holds them: whole stacks for the CNN, one array of every pixel for pixel networks (the
ensemble's members learn one after the other). Each runs in a process of its own. Seconds of a fit by gradient are those
of getting ready and of `--steps` timed steps, times the schedule's number of steps; CPU seconds of one thread.
Memory is what the fit adds to the process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from measure import in_child, peak_mb, resident_mb, show
from torch import Tensor, nn

from gannotate.decoders.build import decoder_config, make_decoder
from gannotate.decoders.cnn import SLOPE, CNNDecoder
from gannotate.decoders.ensemble import EnsembleDecoder
from gannotate.decoders.mlp import MLPDecoder
from gannotate.decoders.pointwise import PointwiseDecoder
from gannotate.features.projection import ProjectedLinear
from gannotate.features.stack import stack
from gannotate.fitting.closed_form import discriminant, moments
from gannotate.fitting.config import FitConfig, scheduled
from gannotate.fitting.fit import fit
from gannotate.fitting.linear import closed_form
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.fitting.supervised import FitTrainer
from gannotate.generators.adversarial.presets import preset
from gannotate.generators.base import DrawOptions, Generator
from gannotate.generators.stylegan2 import StyleGAN2

Step = Callable[[], object]
OPTIONS = DrawOptions()
SHOWN = ("preset", "size", "shots", "threads")
EVERY_KIND = ("light", "cnn", "mlp", "ensemble", "fpn", "linear")


def main() -> None:
    """All decoders, each in a child process, or in a child process one of them."""
    flags = parse()
    if flags.way:
        show(measure(flags))
        return
    names = ("preset", "size", "shots", "classes", "steps", "threads")
    shared = {name: getattr(flags, name) for name in names}
    for kind in flags.decoders:
        if flags.what == "cost":
            in_child(__file__, {"what": "cost", "way": "ours", "decoders": kind} | shared)
            continue
        rows = {way: in_child(__file__, shared | {"way": way, "decoders": kind}) for way in ("naive", "ours")}
        naive, ours = rows["naive"], rows["ours"]
        ratios = {
            "times_faster": round(naive["fit_cpu_s"] / ours["fit_cpu_s"], 1),
            "times_less_memory": round(naive["added_mb"] / max(1, ours["added_mb"]), 1),
        }
        show({"decoder": kind, "preset": flags.preset, "size": flags.size, "shots": flags.shots, **ratios})


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--what", choices=("cost", "ratio"), default="ratio")
    parser.add_argument("--preset", default="paper256")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--decoders", nargs="+", default=["cnn", "mlp", "ensemble", "linear"], choices=EVERY_KIND)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of `ratio`")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--way", choices=("naive", "ours"), help="measure this one only, in this process")
    return parser.parse_args()


def measure(flags: argparse.Namespace) -> dict[str, Any]:
    """Seconds and memory of one decoder's fit."""
    torch.set_num_threads(flags.threads)
    torch.manual_seed(0)
    kind = flags.decoders[0]
    generator = StyleGAN2(preset(flags.preset, flags.size, 3).network).eval()
    shots = [Shot(seed, patches(flags.size, flags.classes, seed)) for seed in range(flags.shots)]
    config = scheduled(decoder_config(kind, {}), "ours", len(shots), flags.size)
    draw_taps(generator, [0], [tap.name for tap in generator.taps], OPTIONS)  # drawing has a peak of its own
    before_mb = resident_mb()
    task = Task(generator, shots, flags.classes, config, flags.steps)
    ways = {"ours": task.ours, "naive": task.naive}
    row = whole(task) if flags.what == "cost" else ways[flags.way]()
    about = {"decoder": kind, "way": flags.way} | {name: getattr(flags, name) for name in SHOWN}
    return about | row | {"peak_mb": peak_mb(), "added_mb": peak_mb() - before_mb}


def patches(size: int, classes: int, seed: int) -> np.ndarray:
    """A label map of 8x8 patches, their classes at random."""
    random = np.random.default_rng(seed)
    return np.kron(random.integers(0, classes, (8, 8)), np.ones((size // 8, size // 8))).astype(np.uint8)


@dataclass(frozen=True)
class Task:
    """One fit: what is fitted, to what, how, and how many steps are timed."""

    generator: Generator
    shots: list[Shot]
    classes: int
    config: FitConfig
    steps: int

    def ours(self) -> dict[str, float]:
        """The library's own trainer."""
        if self.config.solver == "closed":
            return timed(lambda: exhaust(closed_form(*self.arguments)), lambda: None, 0, 0)
        trainer: list[FitTrainer] = []
        return timed(
            lambda: trainer.append(FitTrainer(*self.arguments)),
            lambda: trainer[0].step(0),
            self.steps,
            self.config.steps,
        )

    def naive(self) -> dict[str, float]:
        """The same network and steps on features at picture size."""
        decoder = make_decoder(self.config.kind, self.generator, self.classes, self.config.decoder).train()
        assert isinstance(decoder, CNNDecoder | PointwiseDecoder)
        if self.config.solver == "closed":
            return timed(lambda: self._solve(decoder), lambda: None, 0, 0)
        on = self._on_stacks if isinstance(decoder, CNNDecoder) else self._on_pixels
        ready: list[Step] = []
        return timed(lambda: ready.append(on(decoder)), lambda: ready[0](), self.steps, self.config.steps)

    @property
    def arguments(self) -> tuple[Generator, list[Shot], int, FitConfig, DrawOptions]:
        return self.generator, self.shots, self.classes, self.config, OPTIONS

    def _stacks(self, decoder: CNNDecoder | PointwiseDecoder, size: int) -> Iterator[Tensor]:
        names = decoder.tap_names
        for shot in self.shots:
            taps = draw_taps(self.generator, [shot.seed], names, OPTIONS)
            yield stack(taps, decoder.taps, size, "bilinear").half()

    def _labels(self) -> Tensor:
        return torch.from_numpy(np.stack([shot.label_map for shot in self.shots])).long()

    def _on_stacks(self, decoder: CNNDecoder | PointwiseDecoder) -> Step:
        assert isinstance(decoder, CNNDecoder)
        held, labels = torch.cat(list(self._stacks(decoder, decoder.size))), self._labels()
        optimizer = torch.optim.Adam(decoder.parameters(), 1e-3)
        batch = min(self.config.batch, len(self.shots))

        def step() -> None:
            picked = torch.randperm(len(held))[:batch]
            x = naive_cnn_on(decoder, held[picked].float())
            learn(optimizer, F.cross_entropy(x, labels[picked]))

        return step

    def _pixel_array(self, decoder: CNNDecoder | PointwiseDecoder) -> tuple[Tensor, Tensor]:
        stacks = self._stacks(decoder, decoder.size)
        pixels = torch.cat([held[0].permute(1, 2, 0).flatten(0, 1) for held in stacks])
        return pixels, self._labels().flatten()

    def _on_pixels(self, decoder: CNNDecoder | PointwiseDecoder) -> Step:
        assert isinstance(decoder, PointwiseDecoder)
        features, labels = self._pixel_array(decoder)
        members = [decoder]
        if isinstance(decoder, EnsembleDecoder):
            members = [decoder.member(index).train() for index in range(decoder.config.members)]
        optimizers = [torch.optim.Adam(member.parameters(), 1e-3) for member in members]

        def step() -> None:
            for member, optimizer in zip(members, optimizers, strict=True):
                # uniform here and class-balanced in ours: what a step costs is the same
                picked = torch.randint(len(features), (self.config.pixels,))
                tail = member.layers if isinstance(member, MLPDecoder) else nn.Identity()
                weight, bias = member.first.stacked_weight(), member.first.stacked_bias()
                logits = tail(F.linear(features[picked].float(), weight, bias))
                learn(optimizer, F.cross_entropy(logits, labels[picked]))

        return step

    def _solve(self, decoder: CNNDecoder | PointwiseDecoder) -> None:
        features, labels = self._pixel_array(decoder)
        discriminant(moments(features, labels, self.classes, torch.ones(len(labels))))


def naive_cnn_on(decoder: CNNDecoder, features: Tensor) -> Tensor:
    """The CNN's layers on a stack."""
    first, slope = decoder.first, SLOPE
    assert isinstance(first, ProjectedLinear)
    x = F.conv2d(features, first.stacked_weight()[:, :, None, None], first.stacked_bias())
    for conv in decoder.convs:
        x = conv(F.leaky_relu(x, slope))
    return x


def learn(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def timed(prepare: Callable[[], object], step: Step, steps: int, schedule: int) -> dict[str, float]:
    """CPU seconds of getting ready, of a step, and of a whole fit of `schedule` steps."""
    begin = time.process_time()
    prepare()
    ready = time.process_time()
    for _ in range(steps):
        step()
    a_step = (time.process_time() - ready) / max(1, steps)
    seconds = ready - begin
    return {
        "prepare_cpu_s": round(seconds, 3),
        "step_cpu_s": round(a_step, 4),
        "fit_cpu_s": round(seconds + schedule * a_step, 2),
    }


def whole(task: Task) -> dict[str, Any]:
    """A fit from start to end, with a folder that holds it."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        exhaust(fit(*task.arguments, folder))
    decoder = make_decoder(task.config.kind, task.generator, task.classes, task.config.decoder)
    return {
        "wall_s": round(time.perf_counter() - begin, 1),
        "fit_cpu_s": round(time.process_time() - begin_cpu, 1),
        "parameters": sum(parameter.numel() for parameter in decoder.parameters()),
    }


def exhaust(steps: Iterator[object]) -> None:
    """Runs a generator function to its end."""
    for _ in steps:
        pass


if __name__ == "__main__":
    main()
