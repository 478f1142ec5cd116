"""Training a generator on a folder or zip of pictures: from files to a generator folder with its best snapshot."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gannotate.errors import UsageError
from gannotate.files import write_json
from gannotate.generators.adversarial.presets import AdversarialConfig, AugmentMode, preset, with_choices
from gannotate.generators.adversarial.snapshots import Gauge, SnapshotHook
from gannotate.generators.adversarial.trainer import AdversarialTrainer
from gannotate.metrics.feature_spaces import FeatureSpace, make_feature_space
from gannotate.metrics.image_quality import MIN_PICTURES
from gannotate.metrics.image_quality import Gauge as QualityGauge
from gannotate.parsing import read_ours
from gannotate.seeding import numpy_stream
from gannotate.training import distributed
from gannotate.training.descent import Compute
from gannotate.training.loop import Diverged, LoopConfig, Progress, train
from gannotate.training.resuming import check_place, holds_training

GAUGE_REAL_PICTURES = 2000
FEWEST_PICTURES = 50


@dataclass(frozen=True, kw_only=True)
class GeneratorRun:
    """How a generator is trained from pictures."""

    preset: str = "tiny"
    """Settings by name: tiny (64 px on a CPU), auto, paper256, paper512, stylegan2."""
    kimg: float | None = None
    """Length in thousand pictures shown; 160 when neither this nor --minutes is given."""
    minutes: float | None = None
    """Stop after so many minutes of training."""
    mirror: bool = False
    """Left-right flipped copies belong to the pictures."""
    turn90: bool = False
    """Copies turned by quarter turns belong to the pictures."""
    aug: AugmentMode | None = None
    """Discriminator augmentation: ada, fixed or none; the preset's own when not given."""
    batch: int | None = None
    """Pictures a step; the preset's own when not given."""
    gamma: float | None = None
    """Weight of the gradient penalty; the preset's own when not given."""
    snapshot_kimg: float = 10.0
    """Thousand pictures between snapshots."""
    gauge_pictures: int = 1000
    """Generated pictures that each snapshot's figures are measured on."""
    gauge_space: str = "scattering"
    """Feature space of the figures: scattering, pixels, or a path to Inception weights."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        for name, value in (("kimg", self.kimg), ("snapshot_kimg", self.snapshot_kimg)):
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"{name} is {value:g}; give a number of thousand pictures above 0, e.g. 10")
        if self.minutes is not None and not self.minutes > 0:
            raise UsageError(f"{self.minutes:g} minutes were asked for; give more than 0, or none for no limit")
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"batch is {self.batch}; give 1 or more, or leave it out for the preset's own")
        if self.gamma is not None and not 0 <= self.gamma < math.inf:
            raise UsageError(f"gamma is {self.gamma:g}; give 0 or more, or leave it out for the preset's own")
        if self.gauge_pictures < MIN_PICTURES:
            raise UsageError(
                f"gauge_pictures is {self.gauge_pictures}; fewer than {MIN_PICTURES} say nothing, give that or more"
            )

    def config(self, size: int, image_channels: int) -> AdversarialConfig:
        """The preset for pictures of `size` px with these choices."""
        return with_choices(
            preset(self.preset, size, image_channels),
            mirror=self.mirror,
            turn90=self.turn90,
            augment=self.aug,
            batch=self.batch,
            r1_gamma=self.gamma,
        )


def train_generator(
    pictures: np.ndarray,
    folder: Path,
    run: GeneratorRun,
    *,
    resume: bool = True,
    max_steps: int | None = None,
    device: str = "cpu",
    about: dict[str, Any] | None = None,
    compute: Compute | None = None,
) -> Iterator[Progress]:
    """Trains on `pictures` (uint8 (n, size, size, 1 or 3)); iterate to the end.

    Afterwards `folder` is a generator (its best snapshot by KID), with snapshots/, log.csv and a card. `about` goes to
    its config.json (where the pictures came from, their licence).

    Raises:
        UsageError: too few pictures, no time or steps, a folder that holds something else, or a resumed run whose
            settings differ. Diverged: it collapsed or is not finite; the best snapshot before is kept.
    """
    if len(pictures) < FEWEST_PICTURES:
        raise UsageError(
            f"{len(pictures)} pictures are too few for a generator; give at least {FEWEST_PICTURES}, better 1,000"
        )
    if max_steps is not None and max_steps < 1:
        raise UsageError(f"max_steps is {max_steps}; give 1 or more, or none for all steps")
    config = run.config(pictures.shape[1], pictures.shape[3])
    # what may be refused comes before the first file
    space = make_feature_space(run.gauge_space, image_channels=pictures.shape[3])
    trainer = AdversarialTrainer(pictures, config, run.seed, device, compute)
    distributed.from_first(lambda: _check_same_run(folder, _identity(pictures, run, config), run, config, resume))
    kimg = run.kimg if run.kimg is not None else (160.0 if run.minutes is None else 100_000.0)
    gauge, gauge_real = _gauge(pictures, space)
    hook = SnapshotHook(
        trainer,
        folder,
        every=max(1, round(run.snapshot_kimg * 1000 / config.batch)),
        gauge=gauge,
        gauge_pictures=run.gauge_pictures,
        about={
            "preset": run.preset,
            "pictures_seen": len(pictures),
            "gauge_space": space.name,
            "gauge_real": gauge_real,
            "gauge_pictures": run.gauge_pictures,
            **(about or {}),
        },
    )
    steps = max(1, round(kimg * 1000 / config.batch))
    loop = LoopConfig(steps=steps if max_steps is None else min(steps, max_steps), minutes=run.minutes, seed=run.seed)
    for progress in train(trainer, folder, loop, hooks=(hook,), resume=resume):
        yield progress
        if progress.metrics.get("collapsed"):
            raise Diverged(
                f"the generator collapsed at {progress.done * config.batch / 1000:.0f} kimg (its pictures hardly "
                f"differ); the best snapshot before is in {folder}. Try a higher --gamma, or more pictures"
            )


def _identity(pictures: np.ndarray, run: GeneratorRun, config: AdversarialConfig) -> dict[str, Any]:
    """What must be the same for a checkpoint to be continued."""
    digest = hashlib.sha256(pictures.tobytes()).hexdigest()
    pictures_of = {"count": len(pictures), "sha256": digest}
    return {"pictures": pictures_of, "run": _without_end(asdict(run)), "config": asdict(config)}


def _without_end(run: dict[str, Any]) -> dict[str, Any]:
    # a run may be made longer
    return {key: value for key, value in run.items() if key not in ("kimg", "minutes")}


def _check_same_run(
    folder: Path, identity: dict[str, Any], run: GeneratorRun, config: AdversarialConfig, resume: bool
) -> None:
    check_place(folder, "train-generator", begun=holds_training(folder, "generator"))
    path = folder / "training.json"
    if resume and (folder / "checkpoint.safetensors").exists() and path.exists():
        before = _identity_before(path, run, config)
        for key in ("pictures", "run", "config"):
            if before[key] != json.loads(json.dumps(identity[key])):
                what = "the pictures have"
                if key != "pictures":
                    what = f"its settings have ({_first_change(before[key], identity[key])})"
                raise UsageError(
                    f"{folder} holds a run that cannot be continued: {what} changed since; give another --out, or "
                    "--no-resume to start over"
                )
    write_json(path, identity)


def _identity_before(path: Path, run: GeneratorRun, config: AdversarialConfig) -> dict[str, Any]:
    """The identity that was written when the run in the folder began.

    Raises:
        GannotateError: damaged.
    """

    def made(before: dict[str, Any]) -> dict[str, Any]:
        return {
            "pictures": before["pictures"],
            "run": _without_end(completed(before["run"], run)),
            "config": completed(before["config"], config),
        }

    return read_ours(path, "give another --out, or --no-resume to start over", made)


def completed(before: dict[str, Any], settings: Any) -> dict[str, Any]:
    """Saved settings with the defaults of those that an earlier version of the program did not have yet.

    A new setting's default is what was done before, so a run may go on after an upgrade.
    """
    filled = dict(before)
    for item in fields(settings):
        value = getattr(settings, item.name)
        if is_dataclass(value):
            filled[item.name] = completed(before.get(item.name, {}), value)
        elif item.name not in before and item.default is not MISSING:
            filled[item.name] = item.default
    return filled


def _first_change(before: dict[str, Any], now: dict[str, Any]) -> str:
    for key, value in now.items():
        if before.get(key) != json.loads(json.dumps(value)):
            return f"{key} was {before.get(key)!r}, is {value!r}"
    return "a setting is gone"


def _gauge(pictures: np.ndarray, space: FeatureSpace) -> tuple[Gauge, int]:
    """What measures drawn pictures against some of the real ones, and how many these are."""
    chosen = np.sort(numpy_stream("gauge").permutation(len(pictures))[:GAUGE_REAL_PICTURES])
    gauge = QualityGauge(pictures[chosen], space, seed=0)

    def measure(drawn: np.ndarray) -> dict[str, float]:
        quality = gauge.measure(drawn)
        return {
            "kid": quality.kid,
            "kid_standard_error": quality.kid_standard_error,
            "precision": quality.precision,
            "recall": quality.recall,
            "fid": quality.fid,
        }

    return measure, len(chosen)
