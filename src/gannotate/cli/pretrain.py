"""`gannotate pretrain`: networks that learned without labels, to start from or to read; from a generator's activations
here, from unlabelled pictures in pretrain_pictures.py."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.app import OK
from gannotate.cli.compute import Accumulating, told
from gannotate.cli.device import prepare
from gannotate.cli.flags import settings
from gannotate.cli.generate import generator_folder
from gannotate.cli.pretrain_pictures import (
    PICTURES,
    check_pictures_unused,
    is_pretrained,
    pretrain_on_pictures,
    project_of,
)
from gannotate.cli.processes import recorded_once
from gannotate.cli.runs import drop_checkpoint
from gannotate.data.labelled import LabelledSet, read_labelled
from gannotate.decoders.base import Decoder
from gannotate.decoders.build import load_decoder
from gannotate.errors import UsageError
from gannotate.generators.base import Generator, NoiseMode
from gannotate.generators.build import load_generator
from gannotate.labels import ClassInfo, default_colour
from gannotate.pretraining.contrastive import ContrastiveConfig
from gannotate.pretraining.figure import FigureConfig, check_shown, write_figure
from gannotate.pretraining.folder import load_encoder, start_encoder
from gannotate.pretraining.heads import Joined
from gannotate.pretraining.layermatch import LayerMatchConfig, LayerMatchTrainer, parameters, pretrain
from gannotate.pretraining.vae_training import VAETraining
from gannotate.project import Project
from gannotate.record import read_record
from gannotate.segmenters.build import Architecture, SegmenterConfig
from gannotate.training import distributed
from gannotate.wording import quoted

FIGURE_ONLY = ("figure",)
"""Flags that change nothing of the encoder: they may be given to a finished pre-training."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PretrainFlags(Accumulating):
    """Flags of `pretrain`."""

    out: Path
    """Folder for the network; the same command goes on with an unfinished one."""
    method: Literal["layermatch", "vae", "simclr"] = "layermatch"
    """layermatch: an encoder predicts the generator's activations of a picture (Galeev et al. 2020); simclr: it tells
    unlabelled pictures apart (Chen et al. 2020); vae: a variational autoencoder of these (Kingma and Welling 2014)."""
    architecture: Architecture = SegmenterConfig.architecture
    """The segmentation network whose encoder learns."""
    encoder: str = SegmenterConfig.encoder
    """Encoder by its name in segmentation-models-pytorch, tu-NAME for timm's; the network's own when not given."""
    depth: int = SegmenterConfig.depth
    """Times the encoder halves the picture, 3 to 5; the network's own when 0."""
    weights: str = SegmenterConfig.weights
    """What the encoder starts from: random, imagenet (installed or fetched), a segmenter's folder or a weights file."""
    taps: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = LayerMatchConfig.taps
    """Activations to predict, see `gannotate info`; the last of each resolution but the largest when not given."""
    steps: int | None = None
    """Optimisation steps; 2000 (layermatch), 3000 (vae) or 1000 (simclr) when not given."""
    batch: int | None = None
    """Pictures a step; 16 (layermatch) or 32 when not given."""
    learning_rate: float = LayerMatchConfig.learning_rate
    """Adam's first step size; it falls to zero along a cosine. LayerMatch's paper has 1e-4, for longer trainings."""
    unlabelled: Annotated[Path | None, PICTURES] = None
    """Folder or zip of pictures without labels."""
    most_unlabelled: Annotated[int | None, PICTURES] = None
    """Use only the first so many of them."""
    beta: Annotated[float, PICTURES] = VAETraining.beta
    """vae: weight of the latents' divergence from their prior; 1 is the evidence lower bound."""
    latents: Annotated[int, PICTURES] = VAETraining.latents
    """vae: numbers that a picture becomes."""
    temperature: Annotated[float, PICTURES] = ContrastiveConfig.temperature
    """simclr: what similarities are divided by."""
    reconstruction: float = LayerMatchConfig.reconstruction
    """Weight of the loss of pictures redrawn from a predicted activation; 0 is faster."""
    distill: Path | None = None
    """Folder of a decoder, or its name in the project: the whole network learns its soft labels at the same time."""
    distillation: float = LayerMatchConfig.distillation
    """Weight of the decoder's soft labels."""
    standardise: bool = LayerMatchConfig.standardise
    """Match activations in units of their channels' deviations."""
    joined: Joined = LayerMatchConfig.joined
    """Levels of the encoder that each activation is predicted from: all, or the nearest in size."""
    head_width: int = LayerMatchConfig.head_width
    """Channels inside the heads that are dropped afterwards; 0: linear heads."""
    psi: float = LayerMatchConfig.psi
    """Truncation of the pictures learned from."""
    noise: NoiseMode = LayerMatchConfig.noise
    """Per-pixel noise of the pictures: const (one for all), seeded (each picture its own) or none."""
    first_seed: int = LayerMatchConfig.first_seed
    """Seed of the first picture learned from."""
    figure: Path | None = None
    """Labelled pictures (images/ and masks/): write tsne.png and tsne.json, features before and after by class."""

    def layermatch(self) -> LayerMatchConfig:
        """The library's settings."""
        given: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(LayerMatchConfig)}
        given["steps"] = self.steps_of(given["steps"])
        return LayerMatchConfig(**given)

    def resolved(self) -> PretrainFlags:
        """The same, with the method's own numbers where none were given."""
        kind = {"layermatch": LayerMatchConfig, "vae": VAETraining, "simclr": ContrastiveConfig}[self.method]
        return replace(
            self,
            steps=kind.steps if self.steps is None else self.steps,
            batch=kind.batch if self.batch is None else self.batch,
        )


def pretrain_verb(generator: Path, /, *, flags: PretrainFlags) -> int:
    """Teach a network without labels: a generator's activations, or unlabelled pictures.

    Args:
        generator: the generator's folder, or a project.
    """
    flags = flags.resolved()
    if flags.method != "layermatch":
        return pretrain_on_pictures(generator, flags)
    check_pictures_unused(flags)
    if flags.distill is None and flags.distillation != LayerMatchConfig.distillation:
        raise UsageError("--distillation weighs a decoder's labels; give one with --distill, or leave it out")
    how, project = flags.layermatch(), project_of(generator)
    decoder_folder = None if flags.distill is None else _decoder_folder(flags.distill, project)
    config = settings(flags, generator=str(generator_folder(generator)), distill=_text(decoder_folder))
    for name in FIGURE_ONLY:
        config.pop(name)
    finished = is_pretrained(flags, config)
    if flags.dry_run:
        doing = "keep the finished encoder in" if finished else f"pre-train an encoder by {flags.method} in"
        drawn = [f"draw tsne.png of {flags.figure}"] if flags.figure else []
        return show.plan(flags, [f"{doing} {flags.out}", *drawn], config)
    device = prepare(flags, together=True)
    network = load_generator(generator_folder(generator), device)
    decoder = None if decoder_folder is None else load_decoder(decoder_folder, device)
    segmenter = _segmenter(flags, network, decoder, project)
    shown = _figure_pictures(flags, segmenter, project)
    if finished:
        show.say(flags, f"the encoder in {flags.out} is finished")
        if not distributed.is_first():
            return OK
        drop_checkpoint(flags.out)
        result = dict((read_record(flags.out) or {}).get("result", {}))
    else:
        trainer = LayerMatchTrainer(network, segmenter, how, decoder, device, flags.compute())
        with recorded_once(flags.out, "pretrain", config, flags.seed) as record:
            names = config["generator"], _text(decoder_folder) or ""
            running = pretrain(trainer, flags.out, flags.resume, *names)
            last = show.follow(told(running, flags), "pretrain", flags.quiet)
            if not distributed.is_first():
                return OK
            record.result = {
                "encoder": str(flags.out),
                "taps": [tap.name for tap in trainer.taps],
                "parameters": parameters(trainer.encoder),
                **({"steps": last.done, **last.metrics} if last else {}),
            }
        drop_checkpoint(flags.out)
        result = record.result | {"seconds": record.wall_s}
    text = f"encoder in {flags.out}, {segmenter.encoder} of {segmenter.architecture} at depth {segmenter.depth}"
    if shown is not None:
        result["figure"] = _figure(flags, segmenter, project, shown)
        agree = {name: one["neighbour_accuracy"] for name, one in result["figure"]["encoders"].items()}
        figures = ", ".join(f"{name} {value:.2f}" for name, value in agree.items())
        text += f"\nneighbours of one class: {figures}; see {flags.out / 'tsne.png'}"
    usual = flags.architecture == SegmenterConfig.architecture
    network_flag = "" if usual else f"--architecture {flags.architecture} "
    next_step = f"gannotate train PROJECT --labelled DIR {network_flag}--init {quoted(flags.out)}"
    return show.finish(flags, result, text, next_step)


def _decoder_folder(given: Path, project: Project | None) -> Path:
    if (given / "config.json").exists() or project is None:
        return given  # what is no decoder is refused when it is loaded
    return project.find("decoders", str(given))


def _segmenter(
    flags: PretrainFlags, generator: Generator, decoder: Decoder | None, project: Project | None
) -> SegmenterConfig:
    """The network whose encoder learns: it sees the generator's pictures and has the decoder's classes."""
    shape: dict[str, Any] = {
        "image_channels": generator.image_channels,
        "size": generator.size,
        "architecture": flags.architecture,
        "encoder": flags.encoder,
        "depth": flags.depth,
        "weights": flags.weights,
    }
    if decoder is not None and project is not None and len(project.classes) == decoder.classes:
        return SegmenterConfig.of_classes(project.classes, **shape)
    return SegmenterConfig(classes=decoder.classes if decoder else 2, **shape)


def _figure_pictures(flags: PretrainFlags, segmenter: SegmenterConfig, project: Project | None) -> LabelledSet | None:
    """What --figure shows, read before the training: what is wrong with it must not be found after that.

    Raises:
        UsageError: nothing that a figure can be made of; and what `read_labelled` raises.
    """
    if flags.figure is None:
        return None
    names = [item.name for item in project.classes] if project else None
    data = read_labelled(flags.figure, len(_figure_classes(project)), segmenter.size, segmenter.image_channels, names)
    check_shown(data)
    return data


def _figure_classes(project: Project | None) -> tuple[ClassInfo, ...]:
    return project.classes if project else tuple(ClassInfo(f"class {n}", default_colour(n)) for n in range(254))


def _figure(
    flags: PretrainFlags, segmenter: SegmenterConfig, project: Project | None, data: LabelledSet
) -> dict[str, Any]:
    encoders = {
        flags.weights if flags.weights in ("random", "imagenet") else "start": start_encoder(segmenter, flags.seed),
        flags.method: load_encoder(flags.out)[0],
    }
    return write_figure(flags.out, encoders, data, _figure_classes(project), FigureConfig(seed=flags.seed))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
