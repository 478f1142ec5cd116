"""Training a generator on a folder or zip of pictures: from files to a generator folder with its best snapshot."""

from __future__ import annotations

import hashlib
import json
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
from gannotate.metrics.feature_spaces import make_feature_space
from gannotate.metrics.image_quality import Gauge as QualityGauge
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
    if run.minutes is not None and not run.minutes > 0:
        raise UsageError(f"{run.minutes:g} minutes were asked for; give more than 0, or none for no limit")
    config = run.config(pictures.shape[1], pictures.shape[3])
    distributed.from_first(lambda: _check_same_run(folder, _identity(pictures, run, config), run, config, resume))
    trainer = AdversarialTrainer(pictures, config, run.seed, device, compute)
    kimg = run.kimg if run.kimg is not None else (160.0 if run.minutes is None else 100_000.0)
    gauge, space_name, gauge_real = _gauge(pictures, run)
    hook = SnapshotHook(
        trainer,
        folder,
        every=max(1, round(run.snapshot_kimg * 1000 / config.batch)),
        gauge=gauge,
        gauge_pictures=run.gauge_pictures,
        about={
            "preset": run.preset,
            "pictures_seen": len(pictures),
            "gauge_space": space_name,
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
        before = json.loads(path.read_text())
        before["run"] = _without_end(completed(before["run"], run))
        before["config"] = completed(before["config"], config)
        for key in ("pictures", "run", "config"):
            if before.get(key) != json.loads(json.dumps(identity[key])):
                change = f"its settings have ({_first_change(before[key], identity[key])})"
                what = "the pictures have" if key == "pictures" else change
                raise UsageError(
                    f"{folder} holds a run that cannot be continued: {what} changed since; give another --out, or "
                    "--no-resume to start over"
                )
    write_json(path, identity)


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


def _gauge(pictures: np.ndarray, run: GeneratorRun) -> tuple[Gauge, str, int]:
    space = make_feature_space(run.gauge_space, image_channels=pictures.shape[3])
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

    return measure, space.name, len(chosen)
