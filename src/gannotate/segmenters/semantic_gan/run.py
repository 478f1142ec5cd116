"""Training a SemanticGAN from labelled and unlabelled pictures: both phases, one folder, one checkpoint, one log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.segmenters.semantic_gan.build import SemanticGAN, save_semantic_gan
from gannotate.segmenters.semantic_gan.config import PAIRS_PART, SemanticGANConfig
from gannotate.segmenters.semantic_gan.encoder import EncoderTrainer
from gannotate.segmenters.semantic_gan.generator import JointGenerator, start_generator
from gannotate.segmenters.semantic_gan.inference import picture_loss
from gannotate.segmenters.semantic_gan.trainer import PAIRS, PairTrainer, generator_of
from gannotate.segmenters.sources import Stored, check_data
from gannotate.training import distributed
from gannotate.training.checkpoint import load_checkpoint
from gannotate.training.descent import Compute
from gannotate.training.loop import LoopConfig, Progress, train
from gannotate.training.resuming import check_same, hash_of, plain

FEWEST_PICTURES = 50
"""Pictures, labelled or not, that a generator needs at least."""


def train_semantic_gan(
    labelled: LabelledSet,
    unlabelled: np.ndarray,
    config: SemanticGANConfig,
    folder: str | Path,
    resume: bool = True,
    source: str = "",
    device: str = "cpu",
    compute: Compute | None = None,
) -> Iterator[Progress]:
    """Trains generator and discriminators, then the encoder; yields progress after each step.

    Iterating to the end leaves a folder for `load_predictor` with the log beside it. `source` is who made the labels.
    A training that was stopped in either phase goes on, and ends as one that was not.

    Args:
        unlabelled: uint8 (n, size, size, channels).
        compute: passes and precision; whole batches in float32 when not given.

    Raises:
        UsageError: compilation was asked for, the pictures or the start generator do not fit, or the training to
            resume had other settings or data. GannotateError: unknown class ids. Diverged: a number is no longer
            finite.
    """
    compute = Compute.only(compute, "SemanticGAN", "accumulate", "precision")
    folder = Path(folder)
    check_pictures(labelled, unlabelled, config)
    start = start_generator(config.generator, config.size, config.image_channels) if config.generator else None
    about = _about(labelled, unlabelled, config, start)
    saved = _saved_state(folder, about) if resume else None
    distributed.check_same_everywhere("the phase to go on with", saved and saved["phase"])
    total = config.steps + config.encoder_steps
    if saved is None or saved["phase"] == PAIRS:
        minutes = None if config.minutes is None else config.minutes * PAIRS_PART
        loop = LoopConfig(steps=config.steps, minutes=minutes, seed=config.seed)
        trainer = PairTrainer(labelled, unlabelled, config, start, about, device, compute)
        for progress in train(trainer, folder, loop, resume=resume):
            yield replace(progress, steps=total)
        distributed.wait_for_first()  # it writes the checkpoint
        saved = _saved_state(folder, about)
        assert saved is not None, "the loop ends with a checkpoint"
    first = saved["done"] if saved["phase"] == PAIRS else saved["first"]
    network = config.adversarial(start and start.config).network
    generator = generator_of(saved, JointGenerator(network, config.classes)).to(device)
    loss = picture_loss(config.perceptual, config.image_channels, device)
    encoder_trainer = EncoderTrainer(generator, labelled, unlabelled, config, loss, about, first, compute)
    loop = LoopConfig(steps=first + config.encoder_steps, minutes=config.minutes, seed=config.seed)
    for progress in train(encoder_trainer, folder, loop):
        yield replace(progress, steps=total)
    if distributed.is_first():
        _save(folder, encoder_trainer, source)


def check_pictures(labelled: LabelledSet, unlabelled: np.ndarray, config: SemanticGANConfig) -> None:
    """Checks that the pictures are of the size and number of channels asked for, and that there are enough.

    Raises:
        UsageError: they are not. GannotateError: unknown class ids.
    """
    check_data(labelled, config)
    wanted = (config.size, config.size, config.image_channels)
    if unlabelled.dtype != np.uint8 or unlabelled.ndim != 4 or unlabelled.shape[1:] != wanted:
        raise UsageError(
            f"the unlabelled pictures are {unlabelled.dtype} {unlabelled.shape}; give uint8 (n, height, width, "
            f"channels) with {wanted} as the last three"
        )
    if len(labelled) + len(unlabelled) < FEWEST_PICTURES:
        raise UsageError(
            f"{len(unlabelled)} unlabelled and {len(labelled)} labelled pictures are too few for a generator; give at "
            f"least {FEWEST_PICTURES} in all, better 1,000"
        )


def _about(
    labelled: LabelledSet, unlabelled: np.ndarray, config: SemanticGANConfig, start: StyleGAN2 | None
) -> dict[str, Any]:
    """What is trained on what: a training is resumed only on the same."""
    return {
        "network": plain(asdict(config.adversarial(start and start.config).network)),
        "settings": plain(asdict(config)),
        "data": Stored(labelled, "hard").about(config.classes)
        | {"unlabelled": len(unlabelled), "unlabelled_hash": hash_of(unlabelled)},
    }


def _saved_state(folder: Path, about: dict[str, Any]) -> dict[str, Any] | None:
    """The trainer's state in the folder's checkpoint, if there is one."""
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        return None
    state = load_checkpoint(path)["trainer"]
    before = state.get("about", {}) if isinstance(state, dict) else {}
    check_same(before, about, "training")
    return state


def _save(folder: Path, trainer: EncoderTrainer, source: str) -> None:
    settings, saved = trainer.settings, load_checkpoint(folder / "checkpoint.safetensors")
    model = SemanticGAN(
        trainer.generator, trainer.average, settings.answers, settings.encoder_width, settings.inference
    )
    save_semantic_gan(
        folder,
        model,
        label_source=source,
        **trainer.about["data"],
        settings=trainer.about["settings"],
        perceptual_distance=trainer.loss.name,
        trained={
            "steps": saved["done"],
            "pair_steps": trainer.first,
            "seconds": round(saved["seconds"], 2),
        },
    )
