"""Fitting a decoder to a few annotated pictures of its generator (Galeev et al. 2020, algorithm 1), start to end."""

from __future__ import annotations

from collections.abc import Generator as Steps
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from gannotate.decoders.base import Decoder
from gannotate.decoders.build import save_decoder
from gannotate.fitting.config import FitConfig
from gannotate.fitting.held_out import folds_of, hold_out, read_held_out
from gannotate.fitting.linear import closed_form
from gannotate.fitting.shot import Shot, check_shots
from gannotate.fitting.supervised import FitTrainer, about_fit, patience_of
from gannotate.generators.base import DrawOptions, Generator
from gannotate.training import distributed
from gannotate.training.descent import Compute
from gannotate.training.loop import LoopConfig, Progress, train

HELD_OUT_FOLDER = "held-out"
"""Folder in the decoder's where the fits on a part of the pictures leave what they found."""


def fit(
    generator: Generator,
    shots: Sequence[Shot],
    classes: int,
    config: FitConfig,
    options: DrawOptions,
    folder: str | Path,
    resume: bool = True,
    minutes: float | None = None,
    compute: Compute | None = None,
) -> Iterator[Progress]:
    """Fits a decoder to annotated pictures; yields progress after each step (of each fold first, with `hold_out`).

    Iterating to the end leaves a decoder folder (see `load_decoder`) with the log beside it; `options` are how the
    annotated pictures were drawn. A fit that was stopped goes on, and ends as one that was not. `minutes` is shared by
    all fits with `hold_out`. Several processes do one fit, and with `hold_out` a part of the folds each; the closed
    form, which takes seconds, each solves for itself.

    Raises:
        UsageError: the annotations or settings cannot be used (see `check_shots`), or `compute` has another setting
            than its number of passes.
    """
    compute, folder = Compute.only(compute, "a decoder's fit", "accumulate"), Path(folder)
    check_shots(shots, classes, generator.size)
    about = about_fit(shots, classes, config, options)
    held = None
    if config.hold_out:
        minutes = None if minutes is None else minutes / (len(folds_of(shots)) + 1)
        yield from hold_out(generator, shots, classes, config, options, folder / HELD_OUT_FOLDER, minutes)
        held = read_held_out(folder / HELD_OUT_FOLDER)
    if config.solver == "closed":
        decoder: Decoder = yield from closed_form(generator, shots, classes, config, options)
    else:
        steps = held.steps if held else config.steps
        decoder = yield from _by_gradient(
            generator, shots, classes, config, options, folder, steps, resume, minutes, compute
        )
    if not distributed.is_first():
        return
    decoder.temperature = held.temperature if held else 1.0
    save_decoder(folder, decoder, **about, held_out=asdict(held) if held else None)


def _by_gradient(
    generator: Generator,
    shots: Sequence[Shot],
    classes: int,
    config: FitConfig,
    options: DrawOptions,
    folder: Path,
    steps: int,
    resume: bool,
    minutes: float | None,
    compute: Compute,
) -> Steps[Progress, None, Decoder]:
    trainer = FitTrainer(generator, shots, classes, config, options, compute)
    # fewer steps than the schedule is made for: it is left where the left-out pictures were labelled best
    loop = LoopConfig(steps=steps, minutes=minutes, seed=config.seed)
    yield from train(trainer, folder, loop, hooks=patience_of(trainer), resume=resume)
    return trainer.finish()
