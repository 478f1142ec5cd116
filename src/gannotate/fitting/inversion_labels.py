"""Inversion labels (a rival in Yang et al. 2022, appendix C.1; HandsOff, Xu et al. 2023): the labelled real pictures
are brought into the generator, and the decoder learns from the activations that draw them. Nothing is sought where the
latents are known: those of generated pictures, as DatasetGAN has them, or found earlier by `gannotate invert`."""

from __future__ import annotations

from collections.abc import Generator as Steps
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.decoders.base import Decoder
from gannotate.fitting.pupil import LessonTrainer, lesson_loss
from gannotate.fitting.real_task import RealConfig, RealTask, Watch, check_at_least, check_one_of, check_task
from gannotate.generators.base import from_uint8
from gannotate.inversion.projector import InversionConfig, invert
from gannotate.training import distributed
from gannotate.training.checkpoint import load_checkpoint, save_checkpoint
from gannotate.training.loop import Clock, LoopConfig, Progress, train
from gannotate.training.resuming import check_same, plain
from gannotate.training.shares import own

INVERTED = "inverted"
"""Folder in the decoder's with the latents of the labelled pictures."""

TOGETHER = 8
"""Pictures inverted at a time: what a stopped fit may have to do again."""

Space = Literal["w", "w+"]
"""One style for all layers of the generator, or one for each."""


@dataclass(frozen=True, kw_only=True)
class InversionLabelsConfig(RealConfig):
    """How a decoder learns from inverted pictures."""

    batch: int = 4
    """Labelled pictures a step; all of them when there are fewer."""
    space: Space = "w+"
    """Where latents are sought: w (one style for all layers) or w+ (one for each)."""
    inversion_steps: int = 500
    """Steps of the projector for each picture."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, batch=self.batch, inversion_steps=self.inversion_steps)
        check_one_of("space", self.space, get_args(Space))


class InvertedLessons:
    """The activations that draw the labelled pictures, kept in half precision, and the pictures' own labels."""

    def __init__(self, task: RealTask, batch: int, parts: Sequence[Path], decoder: Decoder) -> None:
        self.batch = batch
        self.label_maps = torch.from_numpy(task.labelled.label_maps.astype(np.int64)).to(task.device)
        self.taps = {
            name: torch.cat(tensors)
            for name, tensors in _joined([_taps_of(task, part, decoder.tap_names) for part in parts]).items()
        }

    @property
    def samples(self) -> int:
        """Pictures that a step is shown in all."""
        return min(self.batch, len(self.label_maps))

    def __call__(self, decoder: Decoder) -> tuple[Float[Tensor, "n k h w"], Int[Tensor, "n h w"]]:
        """Logits of the decoder for some of the pictures, and their labels."""
        picked = own(torch.randperm(len(self.label_maps))[: self.samples])
        return decoder({name: taps[picked].float() for name, taps in self.taps.items()}), self.label_maps[picked]

    def loss(self, decoder: Decoder) -> Float[Tensor, ""]:
        """Mean cross-entropy of a step's pictures: this process's part of it."""
        return lesson_loss(self, decoder)


def invert_all(
    task: RealTask, config: InversionLabelsConfig, folder: Path, resume: bool
) -> Steps[Progress, None, list[Path]]:
    """Inverts the labelled pictures, a few at a time; returns the files with their latents and noise maps.

    What a stopped run had inverted is taken as it is. Several processes invert a part each, and wait for the others.
    Latents that the task knows are taken in place of that.

    Raises:
        UsageError: the files in `folder` are of other pictures or settings.
    """
    how = InversionConfig(space=config.space, steps=config.inversion_steps)
    inversion = asdict(how) if task.latents is None else {"latents": task.latents.digest}
    about = plain({"inversion": inversion, "labelled": task.about_labelled()})
    count, clock = len(task.labelled), Clock()
    parts, done_now = [], 0
    for number, start in enumerate(range(0, count, TOGETHER)):
        part = folder / f"{start:06d}.safetensors"
        parts.append(part)
        if number % distributed.count() != distributed.rank():
            continue
        if resume and part.exists():
            check_same(load_checkpoint(part)["about"], about, "fit")
            continue
        some = slice(start, min(start + TOGETHER, count))
        found = _latents_of(task, some, how)
        save_checkpoint(part, {"about": about, **found})
        done, done_now = some.stop, done_now + some.stop - start
        eta_s = clock.seconds / done_now * (count - done)
        yield Progress(done, count, clock.seconds, eta_s, {"psnr_db": float(found["psnr"].mean())})
    distributed.from_each(None)
    return parts


def fit_inversion_labels(
    task: RealTask, config: InversionLabelsConfig, folder: Path, resume: bool, minutes: float | None
) -> Steps[Progress, None, Decoder]:
    """Inverts the labelled pictures (however long that takes), then fits the decoder, which it returns.

    Raises:
        UsageError: the settings or pictures cannot be used.
    """
    check_task(task, config)
    parts = yield from invert_all(task, config, folder / INVERTED, resume)
    trainer = LessonTrainer(task, config, lambda decoder: InvertedLessons(task, config.batch, parts, decoder))
    loop = LoopConfig(steps=config.steps, minutes=minutes, seed=config.seed)
    yield from train(trainer, folder, loop, Watch.of(task, trainer.finish, config.steps), resume)
    return trainer.finish()


def _latents_of(task: RealTask, some: slice, how: InversionConfig) -> dict[str, Any]:
    """What draws some of the labelled pictures: `w`, `noise` (maps, or a mode of drawing them), and `psnr` in dB."""
    if task.latents is None:
        pictures = from_uint8(task.labelled.pictures[some]).to(task.device)
        found = invert(task.generator, pictures, how)
        return {"w": found.w, "noise": list(found.noise), "psnr": found.psnr}
    known = task.latents
    noise = known.noise if isinstance(known.noise, str) else [single[some] for single in known.noise]
    return {"w": known.w[some], "noise": noise, "psnr": known.psnr[some]}


@torch.no_grad()
def _taps_of(task: RealTask, part: Path, names: Sequence[str]) -> dict[str, Tensor]:
    saved: dict[str, Any] = load_checkpoint(part)
    noise = saved["noise"]
    if isinstance(noise, list):  # maps; else how they are drawn
        noise = [single.to(task.device) for single in noise] or "none"
    taps = task.generator.synthesize(saved["w"].to(task.device), noise, taps=names).taps
    return {name: tensor.half() for name, tensor in taps.items()}


def _joined(parts: Sequence[dict[str, Tensor]]) -> dict[str, list[Tensor]]:
    return {name: [part[name] for part in parts] for name in parts[0]}
