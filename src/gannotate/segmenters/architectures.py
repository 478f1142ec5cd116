"""The segmentation networks by name: one line a network, with the encoder and sizes that it has unless told others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from gannotate.errors import UsageError, nearest
from gannotate.segmenters.networks import LRASPP, ClassicUNet, HRNetHead
from gannotate.torchvision_operators import make_importable

Architecture = Literal["unet", "unet-classic", "unet-mobile", "lraspp", "deeplabv3plus", "deeplabv3", "hrnet"]
"""Every network's name; `ARCHITECTURES` says what each is."""

PLAIN = "plain"
"""Encoder of a network that has none of its own name: it cannot be exchanged."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a network is built from, all decided."""

    encoder: str
    depth: int
    decoder_width: int
    image_channels: int
    classes: int


@dataclass(frozen=True, kw_only=True)
class ArchitectureInfo:
    """One network: what it is, what it has unless told otherwise, the depths that it can have, and how it is built."""

    about: str
    encoder: str
    depth: int
    decoder_width: int
    build: Callable[[Shape], nn.Module]
    depths: tuple[int, ...] = (3, 4, 5)


def _encoder(shape: Shape, **settings: Any) -> Any:
    make_importable()
    import segmentation_models_pytorch as smp

    return smp.encoders.get_encoder(
        shape.encoder, in_channels=shape.image_channels, depth=shape.depth, weights=None, **settings
    )


def _library(name: str, shape: Shape, **settings: Any) -> nn.Module:
    make_importable()
    import segmentation_models_pytorch as smp

    return getattr(smp, name)(
        encoder_name=shape.encoder,
        encoder_weights=None,
        encoder_depth=shape.depth,
        in_channels=shape.image_channels,
        classes=shape.classes,
        **settings,
    )


def _unet(shape: Shape) -> nn.Module:
    widths = tuple(shape.decoder_width >> step for step in range(shape.depth))
    return _library("Unet", shape, decoder_channels=widths)


def _deeplabv3plus(shape: Shape) -> nn.Module:
    return _library("DeepLabV3Plus", shape, decoder_channels=shape.decoder_width)


def _deeplabv3(shape: Shape) -> nn.Module:
    return _library("DeepLabV3", shape, decoder_channels=shape.decoder_width)


def _classic(shape: Shape) -> nn.Module:
    return ClassicUNet(shape.image_channels, shape.classes, shape.decoder_width)


def _lraspp(shape: Shape) -> nn.Module:
    encoder = _encoder(shape, output_stride=16)
    return LRASPP(encoder, encoder.out_channels, shape.classes, shape.decoder_width)


def _hrnet(shape: Shape) -> nn.Module:
    encoder = _encoder(shape)
    return HRNetHead(encoder, encoder.out_channels[2:], shape.classes, shape.decoder_width)


ARCHITECTURES: dict[Architecture, ArchitectureInfo] = {
    "unet": ArchitectureInfo(
        about="U-Net (Ronneberger et al. 2015) on any encoder",
        encoder="resnet18",
        depth=4,
        decoder_width=128,
        build=_unet,
    ),
    "unet-classic": ArchitectureInfo(
        about="the classic U-Net of 13.4 M parameters, without a ready encoder",
        encoder=PLAIN,
        depth=ClassicUNet.LEVELS,
        decoder_width=64,
        build=_classic,
        depths=(ClassicUNet.LEVELS,),
    ),
    "unet-mobile": ArchitectureInfo(
        about="U-Net on MobileNetV3 (Howard et al. 2019) with a narrow decoder, for CPUs",
        encoder="tu-mobilenetv3_large_100",
        depth=4,
        decoder_width=64,
        build=_unet,
    ),
    "lraspp": ArchitectureInfo(
        about="LR-ASPP on MobileNetV3 (Howard et al. 2019), the fastest",
        encoder="tu-mobilenetv3_large_100",
        depth=5,
        decoder_width=128,
        build=_lraspp,
        depths=(5,),
    ),
    "deeplabv3plus": ArchitectureInfo(
        about="DeepLabV3+ (Chen et al. 2018)",
        encoder="resnet50",
        depth=5,
        decoder_width=256,
        build=_deeplabv3plus,
    ),
    "deeplabv3": ArchitectureInfo(
        about="DeepLabV3 (Chen et al. 2017)",
        encoder="resnet101",
        depth=5,
        decoder_width=256,
        build=_deeplabv3,
    ),
    "hrnet": ArchitectureInfo(
        about="HRNetV2 (Wang et al. 2019)",
        encoder="tu-hrnet_w18",
        depth=5,
        decoder_width=256,
        build=_hrnet,
        depths=(5,),
    ),
}
"""Every network by its name."""


def architecture_info(name: str) -> ArchitectureInfo:
    """The network called `name`.

    Raises:
        UsageError: none is called so; names the nearest.
    """
    info = ARCHITECTURES.get(name)  # pyright: ignore[reportArgumentType, reportCallIssue]
    if info is None:
        known = tuple(ARCHITECTURES)
        raise UsageError(
            f"architecture {name!r} is not known; use {', '.join(known[:-1])} or {known[-1]}{nearest(name, known)}"
        )
    return info


def check_encoder(architecture: str, encoder: str) -> None:
    """Checks that an encoder of that name exists and that the network takes one.

    Raises:
        UsageError: it does not.
    """
    if architecture_info(architecture).encoder == PLAIN:
        if encoder != PLAIN:
            raise UsageError(f"{architecture} has no encoder to choose, {encoder!r} was given; leave the encoder out")
        return
    make_importable()
    import segmentation_models_pytorch as smp

    names = smp.encoders.get_encoder_names()
    if encoder not in names and not encoder.startswith("tu-"):
        raise UsageError(
            f"encoder {encoder!r} is not known; use one of segmentation-models-pytorch's, such as resnet18, or tu-NAME "
            f"for one of timm's{nearest(encoder, names)}"
        )
