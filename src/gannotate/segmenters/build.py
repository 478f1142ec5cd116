"""Segmentation networks (segmentation-models-pytorch) and the folder that holds one: config.json, model.safetensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn

from gannotate.errors import GannotateError, UsageError, nearest
from gannotate.labels import MAX_CLASSES, ClassInfo, default_colour
from gannotate.torchvision_operators import make_importable
from gannotate.training.model_folder import ModelKind

SEGMENTER = ModelKind("segmenter", "train")

Architecture = Literal["unet", "deeplabv3plus"]
"""U-Net (Ronneberger et al. 2015) or DeepLabV3+ (Chen et al. 2018)."""


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig:
    """What a segmentation network is; everything needed to build it and to read its answers."""

    classes: int
    """Number of classes, background included."""
    image_channels: int
    """1 for grey pictures, 3 for RGB."""
    size: int
    """Side in px of the square pictures that the network sees; others are brought to it and back."""
    architecture: Architecture = "unet"
    """unet or deeplabv3plus."""
    encoder: str = "resnet18"
    """Encoder by its name in segmentation-models-pytorch; it starts from random weights."""
    depth: int = 4
    """Times the encoder halves the picture, 3 to 5."""
    decoder_width: int = 128
    """Channels of the decoder at its coarsest; a U-Net's halve at each step up."""
    class_names: tuple[str, ...] = ()
    """Names of the classes, in order."""
    colours: tuple[tuple[int, int, int], ...] = ()
    """RGB colours of the classes, 0-255, in order."""

    def __post_init__(self) -> None:
        if self.architecture not in get_args(Architecture):
            known = get_args(Architecture)
            raise UsageError(
                f"architecture {self.architecture!r} is not known; use {' or '.join(known)}"
                f"{nearest(self.architecture, known)}"
            )
        if not 2 <= self.classes <= MAX_CLASSES:
            raise UsageError(f"{self.classes} classes were given; a segmenter tells 2 to {MAX_CLASSES} apart")
        if self.image_channels not in (1, 3):
            raise UsageError(f"image_channels is {self.image_channels}; use 1 (grey) or 3 (RGB)")
        if not 3 <= self.depth <= 5:
            raise UsageError(f"depth is {self.depth}; use 3 to 5")
        step, wide = 2**self.depth, 2 ** (self.depth - 1)
        if self.size < step or self.size % step:
            fitting = max(step, round(self.size / step) * step)
            raise UsageError(
                f"size {self.size} px does not divide by {step}, as an encoder of depth {self.depth} asks; "
                f"use {fitting}"
            )
        if self.decoder_width < wide:
            raise UsageError(f"decoder_width is {self.decoder_width}; use at least {wide}")
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
    def of_classes(cls, classes: Sequence[ClassInfo], **settings: Any) -> SegmenterConfig:
        """A config with number, names and colours taken from `classes`."""
        return cls(
            classes=len(classes),
            class_names=tuple(item.name for item in classes),
            colours=tuple(item.colour for item in classes),
            **settings,
        )


def build_network(config: SegmenterConfig) -> nn.Module:
    """A network with random weights: pictures (n, c, size, size) in [-1, 1] to logits (n, classes, size, size).

    Raises:
        UsageError: the encoder is not known, or does not go with the architecture.
    """
    make_importable()
    import segmentation_models_pytorch as smp

    if config.encoder not in smp.encoders.get_encoder_names() and not config.encoder.startswith("tu-"):
        names = smp.encoders.get_encoder_names()
        raise UsageError(
            f"encoder {config.encoder!r} is not known; use one of segmentation-models-pytorch's, such as resnet18"
            f"{nearest(config.encoder, names)}"
        )
    common: dict[str, Any] = {
        "encoder_name": config.encoder,
        "encoder_weights": None,
        "encoder_depth": config.depth,
        "in_channels": config.image_channels,
        "classes": config.classes,
    }
    try:
        if config.architecture == "unet":
            channels = tuple(config.decoder_width >> step for step in range(config.depth))
            network = smp.Unet(decoder_channels=channels, **common)
        else:
            network = smp.DeepLabV3Plus(decoder_channels=config.decoder_width, **common)
        drop_unused_stages(network.encoder, config)
        return network
    except (ValueError, NotImplementedError, RuntimeError, KeyError) as error:
        raise UsageError(
            f"encoder {config.encoder!r} does not go with {config.architecture} at depth {config.depth} ({error}); "
            "use resnet18"
        ) from error


def drop_unused_stages(encoder: nn.Module, config: SegmenterConfig) -> None:
    """Removes the encoder's stages below `depth`: the library keeps them, and nothing calls them.

    At depth 4 a ResNet-18 has 11 M parameters, 8 M of them unused.
    """
    called: set[nn.Module] = set()
    hooks = [part.register_forward_hook(lambda module, *_: called.add(module)) for part in encoder.modules()]
    training = encoder.training
    with torch.inference_mode():
        encoder.eval()(torch.zeros(1, config.image_channels, config.size, config.size))
    encoder.train(training)
    for hook in hooks:
        hook.remove()
    for name, stage in encoder.named_children():
        if called.isdisjoint(stage.modules()):
            setattr(encoder, name, nn.Identity())


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
    config = _config_of(read_segmenter_config(folder)["segmenter"], Path(folder) / "config.json")
    network = build_network(config)
    used = network.state_dict()
    # stages that are not used may be in the file
    SEGMENTER.load_weights(folder, network, ignore=lambda name: name.startswith("encoder.") and name not in used)
    return network.eval().requires_grad_(False).to(device), config


def _config_of(settings: dict[str, Any], path: Path) -> SegmenterConfig:
    known = {item.name for item in fields(SegmenterConfig)}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise GannotateError(f"{path} has the unknown setting {unknown[0]!r}; upgrade gannotate")
    try:
        names = tuple(settings.get("class_names", ()))
        colours = tuple((int(r), int(g), int(b)) for r, g, b in settings.get("colours", ()))
        return SegmenterConfig(**{**settings, "class_names": names, "colours": colours})
    except (TypeError, ValueError) as error:
        raise GannotateError(f"{path} does not fit ({error}); train the segmenter again") from error
