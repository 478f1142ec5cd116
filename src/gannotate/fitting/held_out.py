"""Annotated pictures left out in turn: how many steps to take, and how far the probabilities can be believed.

Each fold fits a decoder to the other pictures and follows, at eight points of its way, what it says of those left out.
The point where the labels of all left-out pictures are most likely, at the temperature that suits them best, tells both
numbers for the fit on all pictures.
"""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.decoders.base import Decoder
from gannotate.files import write_bytes, write_json
from gannotate.fitting.config import FitConfig
from gannotate.fitting.linear import closed_form
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.fitting.supervised import FitTrainer, about_fit, patience_of
from gannotate.generators.base import DrawOptions, Generator
from gannotate.labels import IGNORE
from gannotate.metrics.calibration import fit_temperature, negative_log_likelihood
from gannotate.metrics.confusion import confusion, scores
from gannotate.parsing import read_ours, still_says
from gannotate.seeding import numpy_stream
from gannotate.training import distributed
from gannotate.training.loop import LoopConfig, Progress, train

FOLDS = 3
"""At most so many fits on a part of the pictures: with more pictures, several are left out together."""

POINTS = 8
"""Looks at the left-out pictures on the way of a fit."""

FEWEST_TO_STOP = 3
"""With fewer pictures the best number of steps is chance; the temperature needs two."""

PIXELS = 2000
"""Pixels of a left-out picture that are looked at, as the picture has them."""


Look = tuple[Float[Tensor, "p k"], Int[Tensor, " p"]]
"""What a decoder says of left-out pixels, and what they are."""


@dataclass(frozen=True)
class HeldOut:
    """What leaving pictures out told.

    steps: to take, of those asked for. temperature: to divide logits by. points: for each look its step, mIoU, and the
    negative log likelihood at temperature 1 and at the best one, over the left-out pictures of all folds.
    """

    steps: int
    temperature: float
    folds: int
    points: tuple[dict[str, float], ...]

    def as_text(self) -> str:
        """One sentence."""
        steps = f"{self.steps} steps, " if len(self.points) > 1 else ""
        return (
            f"leaving pictures out ({self.folds} fits): {steps}temperature {self.temperature:.2f} "
            f"(left-out mIoU {max(point['miou'] for point in self.points):.3f})"
        )


def folds_of(shots: Sequence[Shot]) -> list[tuple[list[Shot], list[Shot]]]:
    """(to fit, left out) of each fold; none when there are fewer than two labelled pictures."""
    labelled = [shot for shot in shots if (shot.label_map != IGNORE).any()]
    count = min(FOLDS, len(labelled))
    if count < 2:
        return []
    groups = [labelled[start::count] for start in range(count)]
    return [([shot for shot in shots if shot not in group], group) for group in groups]


def hold_out(
    generator: Generator,
    shots: Sequence[Shot],
    classes: int,
    config: FitConfig,
    options: DrawOptions,
    folder: str | Path,
    minutes: float | None = None,
) -> Iterator[Progress]:
    """Fits every fold; iterating to the end leaves `held-out.json` in `folder` (see `read_held_out`).

    A stopped run goes on with the fold that it was at, unless annotations or settings have changed since. With fewer
    than two labelled pictures nothing is done. `minutes` is what one fold may take. Of several processes each fits its
    part of the folds by itself.
    """
    folder, folds = Path(folder), folds_of(shots)
    distributed.from_first(lambda: _forget_others(folder, about_fit(shots, classes, config, options)))
    for index, (rest, left_out) in enumerate(folds):
        path = folder / f"fold-{index}.npz"
        if index % distributed.count() == distributed.rank() and not _is_whole(path):
            looks: dict[int, Look] = {}
            fold = _one_fold(generator, rest, left_out, classes, config, options, looks, minutes)
            yield from distributed.apart(fold)
            _write_looks(path, looks)
    distributed.from_each(None)  # all folds are there

    def conclude() -> None:
        looks_of_folds = [_read_looks(folder / f"fold-{index}.npz") for index in range(len(folds))]
        write_json(folder / "held-out.json", asdict(judge(looks_of_folds, config.steps, len(shots))))

    if folds:
        distributed.from_first(conclude)


def read_held_out(folder: str | Path) -> HeldOut | None:
    """What `hold_out` found; None when there is nothing.

    Raises:
        GannotateError: damaged.
    """
    path = Path(folder) / "held-out.json"
    if not path.exists():
        return None
    return read_ours(path, "delete it and run the same command again", _found)


def _found(tree: dict[str, Any]) -> HeldOut:
    held = HeldOut(tree["steps"], tree["temperature"], tree["folds"], tuple(tree["points"]))
    if not isinstance(held.steps, int) or held.steps < 1 or not 0 < held.temperature < math.inf:
        raise ValueError(f"it says {held.steps} steps, temperature {held.temperature}")
    held.as_text()  # raises where something that is told of the looks is missing
    return held


def judge(folds: Sequence[dict[int, Look]], steps: int, pictures: int) -> HeldOut:
    """The step at which the left-out labels are most likely at their best temperature, and this temperature."""
    points, temperatures = [], []
    for step in sorted(set.intersection(*(set(fold) for fold in folds))):
        logits, labels = (torch.cat(parts) for parts in zip(*(fold[step] for fold in folds), strict=True))
        temperatures.append(fit_temperature(logits, labels))
        points.append(
            {
                "step": step,
                "miou": round(_miou(logits, labels), 5),
                "nll": round(negative_log_likelihood(logits, labels), 5),
                "nll_at_best": round(negative_log_likelihood(logits, labels, temperatures[-1]), 5),
                "temperature": round(temperatures[-1], 4),
            }
        )
    best = min(points, key=lambda point: point["nll_at_best"]) if pictures >= FEWEST_TO_STOP else points[-1]
    chosen = points.index(best)
    return HeldOut(min(int(best["step"]), steps), round(temperatures[chosen], 4), len(folds), tuple(points))


def _one_fold(
    generator: Generator,
    rest: Sequence[Shot],
    left_out: Sequence[Shot],
    classes: int,
    config: FitConfig,
    options: DrawOptions,
    looks: dict[int, Look],
    minutes: float | None,
) -> Iterator[Progress]:
    if config.solver == "closed":
        decoder = yield from closed_form(generator, rest, classes, config, options)
        looks[config.steps] = look_at(decoder, generator, left_out, options)
        return
    trainer = FitTrainer(generator, rest, classes, config, options)
    watch = _Watch(trainer, generator, left_out, options, looks)
    loop = LoopConfig(steps=config.steps, minutes=minutes, seed=config.seed)
    with tempfile.TemporaryDirectory() as nowhere:  # seconds of work: a fold that was stopped begins again
        yield from train(trainer, Path(nowhere), loop, (watch, *patience_of(trainer)), resume=False)
    if config.steps not in looks:  # out of patience or of time: where it ended stands for the end
        watch(config.steps)


def _forget_others(folder: Path, about: dict[str, Any]) -> None:
    """Removes folds that were fitted to other annotations or with other settings."""
    path = folder / "about.json"
    if still_says(path, about):
        return
    for old in (*folder.glob("fold-*.npz"), folder / "held-out.json"):
        old.unlink(missing_ok=True)
    write_json(path, about)


class _Watch:
    """Looks at the left-out pictures every so many steps."""

    def __init__(
        self,
        trainer: FitTrainer,
        generator: Generator,
        left_out: Sequence[Shot],
        options: DrawOptions,
        looks: dict[int, Look],
    ) -> None:
        self.trainer, self.generator, self.left_out, self.options = trainer, generator, left_out, options
        self.every, self.looks = max(1, -(-trainer.config.steps // POINTS)), looks

    def __call__(self, done: int) -> dict[str, float]:
        self.looks[done] = look_at(self.trainer.finish(), self.generator, self.left_out, self.options)
        return {}


@torch.inference_mode()
def look_at(decoder: Decoder, generator: Generator, left_out: Sequence[Shot], options: DrawOptions) -> Look:
    """Logits (p, k) and labels (p,) of some labelled pixels of the left-out pictures."""
    logits, labels = [], []
    for shot in left_out:
        answer = decoder(draw_taps(generator, [shot.seed], decoder.tap_names, options))[0].flatten(1).t()
        truth = torch.from_numpy(shot.label_map.ravel().astype(np.int64))
        known = np.flatnonzero(shot.label_map.ravel() != IGNORE)
        chosen = torch.from_numpy(numpy_stream("held out", shot.seed).permutation(known)[:PIXELS])
        logits.append(answer.float().cpu()[chosen])
        labels.append(truth[chosen])
    return torch.cat(logits), torch.cat(labels)


def _miou(logits: Tensor, labels: Tensor) -> float:
    predicted = logits.argmax(dim=1).numpy().astype(np.uint8)
    truth = labels.numpy().astype(np.uint8)
    return scores(confusion(truth[None, None], predicted[None, None], logits.shape[1])).miou


def _write_looks(path: Path, looks: dict[int, Look]) -> None:
    buffer = io.BytesIO()
    arrays = {}
    for step, (logits, labels) in looks.items():
        arrays |= {f"logits-{step}": logits.numpy(), f"labels-{step}": labels.numpy()}
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def _is_whole(path: Path) -> bool:
    """Whether a fold is there and can be read; one that cannot is seconds of work, and is fitted again."""
    try:
        return bool(_read_looks(path))
    except (OSError, ValueError, LookupError, EOFError, BadZipFile):
        return False


def _read_looks(path: Path) -> dict[int, Look]:
    with np.load(path, allow_pickle=False) as file:
        steps = [int(name.removeprefix("logits-")) for name in file.files if name.startswith("logits-")]
        return {
            step: (torch.from_numpy(file[f"logits-{step}"]), torch.from_numpy(file[f"labels-{step}"])) for step in steps
        }
