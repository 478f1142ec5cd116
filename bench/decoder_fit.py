"""Fitting decoders: what whole fits cost, and ours against the papers' way of keeping the features.

    python bench/decoder_fit.py --what cost [--preset paper256] [--size 256] [--shots 10] [--decoders light cnn ...]
    python bench/decoder_fit.py --what ratio [--preset paper256] [--size 256] [--shots 1] [--decoders cnn mlp ...]

A generator with random weights, `classes` classes, label maps of random patches. `cost` fits each decoder from start
to end with our schedule. `ratio` sets our steps beside the same steps on features at picture size, held in half
precision as DatasetGAN holds them: whole stacks for the CNN, one array of every pixel for pixel networks (the
ensemble's members learn one after the other). Each runs in a process of its own. Seconds of a fit by gradient are those
of getting ready and of timed steps, times the schedule's number of steps; CPU seconds of one thread. Memory is what the
fit adds to the process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from measure import How, Step, Work, forget_peak, in_child, peak_mb, resident_mb, show
from naive import cnn_on, learn, pixels_on, stack_mb
from parts import CLASSES, OURS, SHOTS, SIZES, Part, measure
from torch import Tensor

from gannotate.decoders.build import decoder_config, make_decoder
from gannotate.decoders.cnn import CNNDecoder
from gannotate.decoders.ensemble import EnsembleDecoder
from gannotate.decoders.pointwise import PointwiseDecoder
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

OPTIONS = DrawOptions()
WAYS = ("naive", OURS)
EVERY_KIND = ("light", "cnn", "mlp", "ensemble", "fpn", "linear")
ON_STACKS = ("cnn", "mlp", "ensemble", "linear")
"""Decoders whose papers hold all features at picture size."""


def prepare(way: str, how: How, decoder: str, network: str, size: int, shots: int, classes: int) -> Work:
    """A whole fit: getting ready, and a step as often as our schedule says."""
    task = make_task(decoder, network, size, shots, classes, how.device)
    return task.ours() if way == OURS else task.naive()


def make_task(decoder: str, network: str, size: int, shots: int, classes: int, device: str = "cpu") -> Task:
    """A fit to label maps of random patches."""
    generator = StyleGAN2(preset(network, size, 3).network).to(device).eval()
    labelled = [Shot(seed, patches(size, classes, seed)) for seed in range(shots)]
    config = scheduled(decoder_config(decoder, {}), "ours", shots, size)
    draw_taps(generator, [0], [tap.name for tap in generator.taps], OPTIONS)  # drawing has a peak of its own
    return Task(generator, labelled, classes, config)


def needs_mb(way: str, network: str, size: int, shots: int, **_: Any) -> float:
    """Every picture's features in half precision, and one picture's while they are made."""
    return (shots / 2 + 2.5) * stack_mb(network, size) if way == "naive" else 0.0


PART = Part(
    title="A decoder's fit, from start to end",
    unit="fit",
    ways={OURS: "taps at their own resolution, or sampled pixels", "naive": "full-size features in memory (half)"},
    prepare=prepare,
    cases=[
        {"decoder": kind, "network": "tiny", "size": 64, "shots": 5, "classes": 11}
        for kind in ("mlp", "ensemble", "cnn", "linear", "light")
    ],
    growth={"size": SIZES, "classes": CLASSES, "shots": SHOTS},
    quick={"shots": 1},
    needs_mb=needs_mb,
    only=lambda way, decoder, **_: way == OURS or decoder in ON_STACKS,
)


def main() -> None:
    """All decoders, each in a child process."""
    flags = parse()
    how = How(threads=flags.threads, repeats=flags.steps)
    shared = {"size": flags.size, "shots": flags.shots, "classes": flags.classes}
    about = {"preset": flags.preset, "size": flags.size, "shots": flags.shots, "threads": flags.threads}
    for kind in flags.decoders:
        case = shared | {"decoder": kind, "network": flags.preset}
        if flags.what == "cost":
            show({"decoder": kind} | about | in_child(whole, case=case, threads=flags.threads))
            continue
        rows = {}
        for way in (flags.way,) if flags.way else WAYS:
            row = in_child(measure, prepare=prepare, way=way, how=how, case=case)
            rows[way] = row | {"fit_cpu_s": row["cpu_s"], "added_mb": row["peak_mb"] - row["before_mb"]}
            show({"decoder": kind, "way": way} | about | rows[way])
        if len(rows) > 1:
            naive, ours = rows["naive"], rows[OURS]
            ratios = {
                "times_faster": round(naive["fit_cpu_s"] / ours["fit_cpu_s"], 1),
                "times_less_memory": round(naive["added_mb"] / max(1, ours["added_mb"]), 1),
            }
            show({"decoder": kind} | about | ratios)


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--what", choices=("cost", "ratio"), default="ratio")
    parser.add_argument("--preset", default="paper256")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--decoders", nargs="+", default=["cnn", "mlp", "ensemble", "linear"], choices=EVERY_KIND)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of `ratio`, the median counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, help="measure this one only")
    return parser.parse_args()


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

    def ours(self) -> Work:
        """The library's own trainer."""
        if self.config.solver == "closed":
            return Work([(lambda: exhaust(closed_form(*self.arguments)), 1)])
        made: dict[str, FitTrainer] = {}

        def ready() -> None:
            made["trainer"] = FitTrainer(*self.arguments)

        return Work([(ready, 1), (lambda: made["trainer"].step(0), self.config.steps)])

    def naive(self) -> Work:
        """The same network and steps on features at picture size."""
        device = next(self.generator.parameters()).device
        decoder = make_decoder(self.config.kind, self.generator, self.classes, self.config.decoder).to(device).train()
        assert isinstance(decoder, CNNDecoder | PointwiseDecoder)
        if self.config.solver == "closed":
            return Work([(lambda: self._solve(decoder), 1)])
        on = self._on_stacks if isinstance(decoder, CNNDecoder) else self._on_pixels
        made: dict[str, Step] = {}

        def ready() -> None:
            made.clear()  # or the features of the pass before would stay in memory beside the new ones
            made["step"] = on(decoder)

        return Work([(ready, 1), (lambda: made["step"](), self.config.steps)])

    @property
    def arguments(self) -> tuple[Generator, list[Shot], int, FitConfig, DrawOptions]:
        return self.generator, self.shots, self.classes, self.config, OPTIONS

    def _stacks(self, decoder: CNNDecoder | PointwiseDecoder, size: int) -> Iterator[Tensor]:
        names = decoder.tap_names
        for shot in self.shots:
            taps = draw_taps(self.generator, [shot.seed], names, OPTIONS)
            yield stack(taps, decoder.taps, size, "bilinear").half()

    def _labels(self) -> Tensor:
        label_maps = torch.from_numpy(np.stack([shot.label_map for shot in self.shots])).long()
        return label_maps.to(next(self.generator.parameters()).device)

    def _on_stacks(self, decoder: CNNDecoder | PointwiseDecoder) -> Step:
        assert isinstance(decoder, CNNDecoder)
        held, labels = torch.cat(list(self._stacks(decoder, decoder.size))), self._labels()
        optimizer = torch.optim.Adam(decoder.parameters(), 1e-3)
        batch = min(self.config.batch, len(self.shots))

        def step() -> None:
            picked = torch.randperm(len(held))[:batch]
            learn(optimizer, F.cross_entropy(cnn_on(decoder, held[picked].float()), labels[picked]))

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
                learn(optimizer, F.cross_entropy(pixels_on(member, features[picked].float()), labels[picked]))

        return step

    def _solve(self, decoder: CNNDecoder | PointwiseDecoder) -> None:
        features, labels = self._pixel_array(decoder)
        discriminant(moments(features, labels, self.classes, torch.ones(len(labels))))


def whole(case: dict[str, Any], threads: int) -> dict[str, Any]:
    """A fit from start to end, with a folder that holds it."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    task = make_task(**case)
    before_mb = resident_mb()
    forget_peak()
    begin, begin_cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        exhaust(fit(*task.arguments, folder))
    wall_s, cpu_s = time.perf_counter() - begin, time.process_time() - begin_cpu
    most_mb = peak_mb()
    decoder = make_decoder(task.config.kind, task.generator, task.classes, task.config.decoder)
    return {
        "wall_s": round(wall_s, 1),
        "fit_cpu_s": round(cpu_s, 1),
        "parameters": sum(parameter.numel() for parameter in decoder.parameters()),
        "peak_mb": most_mb,
        "added_mb": most_mb - before_mb,
    }


def exhaust(steps: Iterator[object]) -> None:
    """Runs a generator function to its end."""
    for _ in steps:
        pass


if __name__ == "__main__":
    main()
