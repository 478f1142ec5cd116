"""`gannotate pretrain --method vae` and `simclr`: networks that learn from unlabelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from cyclopts import Group, Parameter

from gannotate.cli import show
from gannotate.cli.app import OK
from gannotate.cli.compute import told
from gannotate.cli.device import prepare
from gannotate.cli.flags import differences, settings
from gannotate.cli.generate import generator_folder
from gannotate.cli.processes import recorded_once
from gannotate.cli.runs import drop_checkpoint
from gannotate.cli.training_data import name_some
from gannotate.data.pictures import load_pictures
from gannotate.errors import UsageError
from gannotate.generators.build import load_generator
from gannotate.pretraining.contrastive import ContrastiveConfig, ContrastiveTrainer
from gannotate.pretraining.folder import check_new_pretraining
from gannotate.pretraining.layermatch import parameters
from gannotate.pretraining.unlabelled import UnlabelledTrainer, pretrain_unlabelled
from gannotate.pretraining.vae_training import VAETrainer, VAETraining
from gannotate.project import Project
from gannotate.record import read_record
from gannotate.segmenters.build import SegmenterConfig
from gannotate.training import distributed
from gannotate.wording import quoted

if TYPE_CHECKING:
    from gannotate.cli.pretrain import PretrainFlags

PICTURES = Parameter(group=Group("Flags of --method vae and simclr", sort_key=5))

OF_PICTURES = ("unlabelled", "most_unlabelled", "beta", "latents", "temperature")
"""Flags that mean nothing to layermatch."""

OF_LAYERMATCH = (
    *("taps", "reconstruction", "distill", "distillation", "standardise", "joined", "head_width", "psi", "noise"),
    *("first_seed", "figure"),
)
"""Flags that mean nothing to trainings on pictures."""

OF_ENCODERS = ("architecture", "encoder", "depth", "weights", "temperature")
"""Flags that mean nothing to a VAE."""

OF_VAES = ("beta", "latents")
"""Flags that mean nothing to an encoder."""


def pretrain_on_pictures(place: Path, flags: PretrainFlags) -> int:
    """What `gannotate pretrain` does with `flags.method` vae or simclr; `place` is a project, or a generator's folder.

    It says which pictures the network takes (size and colours), and a project whether they may be flipped and turned.
    """
    _check(flags)
    assert flags.unlabelled is not None
    project = project_of(place)
    config = settings(flags, generator=str(generator_folder(place)))
    finished = is_pretrained(flags, config)
    if flags.dry_run:
        doing = "keep the finished network in" if finished else f"pre-train a network by {flags.method} in"
        return show.plan(flags, [f"{doing} {flags.out}"], config)
    device = prepare(flags, together=True)
    if finished:
        show.say(flags, f"the network in {flags.out} is finished")
        if not distributed.is_first():
            return OK
        drop_checkpoint(flags.out)  # of a training that was killed at its very end
        result = dict((read_record(flags.out) or {}).get("result", {}))
        return _finish(flags, result)
    generator = load_generator(generator_folder(place))
    read = load_pictures(flags.unlabelled, generator.size, generator.image_channels, most=flags.most_unlabelled)
    name_some(flags, [f"skipped {one.name}: {one.reason}" for one in read.skipped], str(flags.unlabelled))
    trainer = _trainer(flags, project, read.pictures, device)
    with recorded_once(flags.out, "pretrain", config, flags.seed) as record:
        running = pretrain_unlabelled(trainer, flags.out, flags.resume, flags.unlabelled.name)
        last = show.follow(told(running, flags), "pretrain", flags.quiet)
        if not distributed.is_first():
            return OK
        record.result = {
            "features": str(flags.out),
            "pictures": len(read.pictures),
            "skipped": len(read.skipped),
            "parameters": parameters(trainer.network),
            **({"steps": last.done, **last.metrics} if last else {}),
        }
    drop_checkpoint(flags.out)
    return _finish(flags, record.result | {"seconds": record.wall_s})


def check_pictures_unused(flags: PretrainFlags) -> None:
    """Refuses flags of trainings on pictures where a generator teaches.

    Raises:
        UsageError: one of them was given.
    """
    _refuse(flags, OF_PICTURES, "for --method vae or simclr, which learn from pictures")


def project_of(place: Path) -> Project | None:
    """The project at `place`, if it is one."""
    return Project.open(place) if (place / "project.yaml").exists() else None


def is_pretrained(flags: PretrainFlags, config: dict[str, Any]) -> bool:
    """True when --out holds this very pre-training, ended.

    Raises:
        UsageError: it holds another one, or something else.
    """
    check_new_pretraining(flags.out)
    record = read_record(flags.out) if flags.resume else None
    if record is None:
        return False
    changed = differences(record["config"], config)
    if changed:
        raise UsageError(
            f"{flags.out} holds a pre-training with another {', '.join(changed)}; give a new folder to --out, or the "
            "same settings to go on with it"
        )
    return record["status"] == "done"


def _check(flags: PretrainFlags) -> None:
    if flags.unlabelled is None:
        raise UsageError(
            f"--method {flags.method} learns from pictures; give a folder or zip of them with --unlabelled DIR"
        )
    _refuse(flags, OF_LAYERMATCH, "for --method layermatch, which learns from a generator")
    _refuse(flags, *((OF_ENCODERS, "for an encoder") if flags.method == "vae" else (OF_VAES, "for --method vae")))


def _refuse(flags: PretrainFlags, names: tuple[str, ...], what: str) -> None:
    usual = type(flags)(out=flags.out)
    for name in names:
        if getattr(flags, name) != getattr(usual, name):
            raise UsageError(f"--{name.replace('_', '-')} is {what}; leave it out, or choose another --method")


def _trainer(flags: PretrainFlags, project: Project | None, pictures: np.ndarray, device: str) -> UnlabelledTrainer:
    assert flags.steps is not None
    assert flags.batch is not None
    common: dict[str, Any] = {
        "steps": flags.steps_of(flags.steps),
        "batch": flags.batch,
        "learning_rate": flags.learning_rate,
        "minutes": flags.minutes,
        "seed": flags.seed,
    }
    if flags.method == "vae":
        training = VAETraining(**common, beta=flags.beta, latents=flags.latents)
        return VAETrainer(pictures, training, device, flags.compute())
    network = SegmenterConfig(
        classes=2,
        size=pictures.shape[1],
        image_channels=pictures.shape[3],
        architecture=flags.architecture,
        encoder=flags.encoder,
        depth=flags.depth,
        weights=flags.weights,
    )
    how = ContrastiveConfig(
        **common,
        temperature=flags.temperature,
        mirror=project is not None and project.mirror.rule != "no",
        turn90=project is not None and project.config.turn90,
    )
    return ContrastiveTrainer(pictures, network, how, device, flags.compute())


def _finish(flags: PretrainFlags, result: dict[str, Any]) -> int:
    what = "autoencoder" if flags.method == "vae" else "encoder"
    text = f"{what} in {flags.out}, from {result.get('pictures', 0)} pictures"
    return show.finish(
        flags, result, text, f"gannotate fit PROJECT --from real --labelled DIR --features {quoted(flags.out)}"
    )
