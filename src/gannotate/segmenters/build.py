"""A segmentation network from its config, and the folder that holds one: config.json, model.safetensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from gannotate.errors import GannotateError, UsageError
from gannotate.labels import MAX_CLASSES, ClassInfo, default_colour
from gannotate.picture_files import MAX_PIXELS
from gannotate.segmenters.architectures import Architecture, Shape, architecture_info, check_encoder
from gannotate.segmenters.start_weights import RANDOM, fill
from gannotate.training.model_folder import ModelKind

SEGMENTER = ModelKind("segmenter", "train")

MOST_SIZE_PX = math.isqrt(MAX_PIXELS)
"""A network that sees larger pictures is refused, as these are."""

WIDEST = 8
"""So many times its usual width a decoder may have: more than any published one, and 4 GB of weights at most."""


@dataclass(frozen=True, kw_only=True)
class AnswerConfig:
    """Which pictures a model takes, and which classes it tells apart, whatever kind of model it is."""

    classes: int
    """Number of classes, background included."""
    image_channels: int
    """1 for grey pictures, 3 for RGB."""
    size: int
    """Side in px of the square pictures that the network sees; others are brought to it and back."""
    class_names: tuple[str, ...] = ()
    """Names of the classes, in order."""
    colours: tuple[tuple[int, int, int], ...] = ()
    """RGB colours of the classes, 0-255, in order."""

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= MAX_CLASSES:
            raise UsageError(f"{self.classes} classes were given; a segmenter tells 2 to {MAX_CLASSES} apart")
        if self.image_channels not in (1, 3):
            raise UsageError(f"image_channels is {self.image_channels}; use 1 (grey) or 3 (RGB)")
        if not 1 <= self.size <= MOST_SIZE_PX:
            raise UsageError(f"size is {self.size} px; a segmenter sees pictures of 1 to {MOST_SIZE_PX} px")
        for name, given in (("class names", self.class_names), ("colours", self.colours)):
            if given and len(given) != self.classes:
                raise UsageError(f"{len(given)} {name} were given for {self.classes} classes; give one for each")

    @property
    def class_infos(self) -> tuple[ClassInfo, ...]:
        """The classes with names and colours; numbered names and default colours where none were given."""
        names = self.class_names or tuple(f"class {index}" for index in range(self.classes))
        colours = self.colours or tuple(default_colour(index) for index in range(self.classes))
        return tuple(ClassInfo(name, colour) for name, colour in zip(names, colours, strict=True))

    @classmethod
    def of_classes(cls, classes: Sequence[ClassInfo], **settings: Any) -> Self:
        """A config with number, names and colours taken from `classes`."""
        return cls(
            classes=len(classes),
            class_names=tuple(item.name for item in classes),
            colours=tuple(item.colour for item in classes),
            **settings,
        )


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig(AnswerConfig):
    """What a segmentation network is; everything needed to build it and to read its answers."""

    architecture: Architecture = "unet"
    """The network's name, see `ARCHITECTURES`."""
    encoder: str = ""
    """Encoder by its name in segmentation-models-pytorch, tu-NAME for timm's; the architecture's own when not given."""
    depth: int = 0
    """Times the encoder halves the picture, 3 to 5; the architecture's own when not given."""
    decoder_width: int = 0
    """Channels of the decoder at its coarsest, a U-Net's halve at each step up; the architecture's own when not given.
    """
    weights: str = RANDOM
    """What the encoder started from: random, imagenet, or the path of weights; nothing reads it after training."""

    def __post_init__(self) -> None:
        info = architecture_info(self.architecture)
        for name in ("encoder", "depth", "decoder_width"):
            if not getattr(self, name):  # frozen for others: here it is still being made
                object.__setattr__(self, name, getattr(info, name))
        super().__post_init__()
        if self.depth not in info.depths:
            shallow, deep = min(info.depths), max(info.depths)
            accepted = f"{shallow} to {deep}" if deep > shallow else f"{deep}"
            raise UsageError(f"depth is {self.depth}; {self.architecture} takes {accepted}")
        step, least, most = 2**self.depth, 2 ** (self.depth - 1), WIDEST * info.decoder_width
        if self.size < step or self.size % step:
            fitting = max(step, round(self.size / step) * step)
            raise UsageError(
                f"size {self.size} px does not divide by {step}, as an encoder of depth {self.depth} asks; "
                f"use {fitting}"
            )
        if not least <= self.decoder_width <= most:
            raise UsageError(f"decoder_width is {self.decoder_width}; {self.architecture} takes {least} to {most}")


def build_network(config: SegmenterConfig) -> nn.Module:
    """A new network: pictures (n, c, size, size) in [-1, 1] to logits (n, classes, size, size).

    Its encoder starts as `config.weights` says, all else from random weights.

    Raises:
        UsageError: the encoder is not known, does not go with the architecture, or the weights are not for it.
            GannotateError: the weights cannot be fetched or read.
    """
    check_encoder(config.architecture, config.encoder)
    shape = Shape(
        encoder=config.encoder,
        depth=config.depth,
        decoder_width=config.decoder_width,
        image_channels=config.image_channels,
        classes=config.classes,
    )
    info = architecture_info(config.architecture)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            network = info.build(shape)
            drop_unused(network, config)
    except (ValueError, NotImplementedError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"encoder {config.encoder!r} does not go with {config.architecture} at depth {config.depth} ({reason}); "
            f"use {info.encoder}"
        ) from error
    fill(network, config.weights, config.encoder)
    return network


def drop_unused(network: nn.Module, config: SegmenterConfig) -> None:
    """Replaces the parts of the encoder that the logits do not depend on: libraries keep, and even compute, them.

    At depth 4 a ResNet-18 has 11 M parameters, 8 M of them unused.
    """
    encoder, side = getattr(network, "encoder", None), min(config.size, 2 ** (config.depth + 1))
    if not isinstance(encoder, nn.Module):
        return
    training, weights = network.training, dict(encoder.named_parameters())
    logits = network.eval()(torch.zeros(1, config.image_channels, side, side))
    gradients = torch.autograd.grad(logits.sum(), list(weights.values()), allow_unused=True)
    network.train(training)
    used = {id(weight) for weight, gradient in zip(weights.values(), gradients, strict=True) if gradient is not None}
    _replace_parts_without(used, encoder)


def _replace_parts_without(used: set[int], module: nn.Module) -> None:
    for name, part in module.named_children():
        weights = [id(weight) for weight in part.parameters()]
        if weights and used.isdisjoint(weights):
            setattr(module, name, nn.Identity())
        else:
            _replace_parts_without(used, part)


def save_segmenter(folder: str | Path, network: nn.Module, config: SegmenterConfig, **about: Any) -> None:
    """Writes model.safetensors, then config.json; `about` (json-able) goes to config.json under 'about'."""
    SEGMENTER.save(folder, network, asdict(config), about)


def read_segmenter_config(folder: str | Path) -> dict[str, Any]:
    """The folder's config.json: {"format_version", "segmenter", "about"}.

    Raises:
        UsageError: not a segmenter folder. GannotateError: damaged, or written by a newer version.
    """
    return SEGMENTER.read_config(folder)


def load_segmenter(folder: str | Path, device: str | torch.device = "cpu") -> tuple[nn.Module, SegmenterConfig]:
    """The network in `folder`, in evaluation mode with its parameters frozen, and its config.

    Raises:
        UsageError: not a segmenter folder. GannotateError: damaged, or of a newer version.
    """
    config = config_of(read_segmenter_config(folder)["segmenter"], Path(folder) / "config.json")
    network = build_network(replace(config, weights=RANDOM))  # its own come now
    used = network.state_dict()
    # stages that are not used may be in the file
    SEGMENTER.load_weights(folder, network, ignore=lambda name: name.startswith("encoder.") and name not in used)
    return network.eval().requires_grad_(False).to(device), config


def config_of(settings: dict[str, Any], path: Path) -> SegmenterConfig:
    """The config that was saved as json-able `settings` in the file `path`.

    Raises:
        GannotateError: unknown settings, or values that do not fit.
    """
    known = {item.name for item in fields(SegmenterConfig)}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise GannotateError(f"{path} has the unknown setting {unknown[0]!r}; upgrade gannotate")
    try:
        for name in ("architecture", "encoder", "weights"):
            if not isinstance(settings.get(name, ""), str):
                raise TypeError(f"{name} is {settings[name]!r:.80}")
        names = tuple(settings.get("class_names", ()))
        colours = tuple((int(r), int(g), int(b)) for r, g, b in settings.get("colours", ()))
        return SegmenterConfig(**{**settings, "class_names": names, "colours": colours})
    except (UsageError, TypeError, ValueError) as error:
        raise GannotateError(f"{path} does not fit ({error}); train the segmenter again") from error
