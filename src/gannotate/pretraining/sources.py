"""Networks whose activations at real pictures a decoder can read: encoders of every kind, and VAEs.

`open_source` takes what a user names: the folder of a pre-trained encoder, of a segmenter or of a VAE, or timm:NAME.
A source is kept beside the decoder that reads it (`save_source`), so that neither is of use or lost without the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from gannotate.errors import GannotateError, UsageError
from gannotate.features.source import FeatureSource
from gannotate.generators.base import Tap
from gannotate.pretraining.folder import ENCODER, NAMED, encoder_part, save_encoder
from gannotate.pretraining.heads import levels_of
from gannotate.pretraining.vae import VAE, VAE_FOLDER, load_vae, save_vae
from gannotate.segmenters.architectures import architecture_info
from gannotate.segmenters.build import SEGMENTER, SegmenterConfig, build_network
from gannotate.segmenters.start_weights import RANDOM
from gannotate.synthesis import fingerprint

TIMM = "timm:"

Colours = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and deviation of each channel that a network learned with, of values in [0, 1]."""

OURS: Colours = ((0.5,), (0.5,))
"""Of networks that learned here: they see [-1, 1]."""

IMAGENET: Colours = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Of most networks that learned elsewhere."""


class EncoderFeatures(FeatureSource):
    """The feature maps of an encoder, `stageN` at 1 / 2^N of the picture's side, coarse to fine.

    The finest are of half the picture's side: there is nothing of the picture's own.
    """

    def __init__(self, network: nn.Module, config: SegmenterConfig, colours: Colours = OURS) -> None:
        """Of the encoder in `network`, a segmentation network that `config` describes.

        Raises:
            UsageError: it has no encoder apart from the rest.
        """
        self.config, self.colours = config, colours
        frozen = network.eval().requires_grad_(False)
        self.network = convert_conv2d_weight_memory_format(frozen, torch.channels_last)
        self.encoder = encoder_part(self.network, config)
        self.size, self.image_channels = config.size, config.image_channels
        levels = levels_of(self.encoder, config.image_channels, config.size)
        self._places = {f"stage{level.place}": level.place for level in levels}
        self.taps = tuple(Tap(f"stage{one.place}", one.channels, one.side, one.side) for one in reversed(levels))
        like = next(self.encoder.parameters())
        # colour statistics for a grey picture: one channel stands for all three
        count = config.image_channels
        self._mean, self._deviation = (_for_channels(numbers, count).to(like) for numbers in colours)

    @torch.no_grad()
    def read(
        self, pictures: Float[Tensor, "n c size size"], names: Sequence[str]
    ) -> dict[str, Float[Tensor, "n k h w"]]:
        """See FeatureSource; one pass of the encoder."""
        seen = ((pictures.to(self._mean) + 1) / 2 - self._mean) / self._deviation
        features = self.encoder(seen.contiguous(memory_format=torch.channels_last))
        return {name: features[self._places[self.tap(name).name]] for name in names}

    def about(self) -> dict[str, Any]:
        """Kind, encoder, colours and a fingerprint of the weights."""
        shape = {name: getattr(self.config, name) for name in NAMED}
        colours = [list(numbers) for numbers in self.colours]
        return {"kind": "encoder", **shape, "colours": colours, "fingerprint": fingerprint(self.encoder)[:16]}


class VAEFeatures(FeatureSource):
    """The activations of a VAE's decoder while it draws what its encoder makes of a picture (the latents' means)."""

    def __init__(self, vae: VAE) -> None:
        self.vae = vae.eval().requires_grad_(False)
        self.taps, self.size, self.image_channels = vae.taps, vae.config.size, vae.config.image_channels

    @torch.no_grad()
    def read(
        self, pictures: Float[Tensor, "n c size size"], names: Sequence[str]
    ) -> dict[str, Float[Tensor, "n k h w"]]:
        """See FeatureSource; one pass of encoder and decoder."""
        like = next(self.vae.parameters())
        wanted = [self.tap(name).name for name in names]
        return self.vae.decode(self.vae.encode(pictures.to(like)).mean, wanted)[1]

    def about(self) -> dict[str, Any]:
        """Kind, shape and a fingerprint of the weights."""
        return {"kind": "vae", **self.vae.config_dict, "fingerprint": fingerprint(self.vae)[:16]}


@dataclass(frozen=True, kw_only=True)
class PictureKind:
    """The pictures that a source shall take."""

    size: int
    """Side in px."""
    image_channels: int
    """1 (grey) or 3 (RGB)."""


def open_source(
    named: str, pictures: PictureKind, weights: str | None = None, device: str | torch.device = "cpu"
) -> FeatureSource:
    """The source that a user names, for pictures of that kind.

    Args:
        named: folder of a pre-trained encoder (`gannotate pretrain`), of a segmenter or of a VAE; or timm:NAME, an
            encoder of timm's, or of segmentation-models-pytorch's by its own name.
        weights: for timm:NAME, as `segmenters.start_weights.fill` takes them: a file, imagenet (installed or fetched),
            or random.

    Raises:
        UsageError: no such network, weights missing or not wanted, or a network that cannot take such pictures.
            GannotateError: damaged files.
    """
    if named.startswith(TIMM):
        return _of_timm(named.removeprefix(TIMM), pictures, weights, device)
    if weights is not None:
        raise UsageError(
            f"weights were given for {named}, which has its own; they are for timm:NAME, leave --features-weights out"
        )
    return _of_folder(Path(named), pictures, device)


def save_source(folder: str | Path, source: FeatureSource) -> None:
    """Writes the network whose activations are read, for `load_source`.

    Raises:
        TypeError: a source that is kept elsewhere, as a generator is.
    """
    if isinstance(source, VAEFeatures):
        save_vae(folder, source.vae)
    elif isinstance(source, EncoderFeatures):
        save_encoder(folder, source.network, source.config, colours=source.about()["colours"])
    else:
        raise TypeError(f"a {type(source).__name__} is not kept beside a decoder")


def load_source(folder: str | Path, device: str | torch.device = "cpu") -> FeatureSource:
    """What `save_source` wrote.

    Raises:
        UsageError: no such folder. GannotateError: damaged.
    """
    kinds = _kinds(Path(folder))
    if VAE_FOLDER.name in kinds:
        return VAEFeatures(load_vae(folder, device))
    kept = ENCODER.read_config(folder)
    config = SegmenterConfig(classes=2, weights=str(folder), **kept["encoder"])
    first, second = (tuple(float(number) for number in numbers) for numbers in kept["about"]["colours"])
    return EncoderFeatures(build_network(config).to(device), config, (first, second))


def _of_folder(folder: Path, pictures: PictureKind, device: str | torch.device) -> FeatureSource:
    kinds = _kinds(folder)
    if VAE_FOLDER.name in kinds:
        return VAEFeatures(_fitting(load_vae(folder, device), pictures, folder))
    kept = next((kinds[kind.name] for kind in (ENCODER, SEGMENTER) if isinstance(kinds.get(kind.name), dict)), None)
    if kept is None:
        raise UsageError(
            f"{folder} is no network whose activations can be read; give the folder of an encoder or a VAE (`gannotate "
            "pretrain`), of a segmenter (`gannotate train`), or timm:NAME"
        )
    shape = {name: value for name, value in kept.items() if name in NAMED}
    shape |= {"size": pictures.size, "image_channels": pictures.image_channels}  # convolutions take any
    config = SegmenterConfig(classes=2, weights=str(folder), **shape)
    colours = kinds.get("about", {}).get("colours")
    chosen = OURS if colours is None else (tuple(colours[0]), tuple(colours[1]))
    return EncoderFeatures(build_network(config).to(device), config, chosen)


def _of_timm(name: str, pictures: PictureKind, weights: str | None, device: str | torch.device) -> FeatureSource:
    if weights is None:
        raise UsageError(
            f"timm:{name} needs weights; give a file with --features-weights PATH, or imagenet (installed or fetched), "
            "or random"
        )
    encoder = name if name in _library_encoders() else f"tu-{name}"
    usual = architecture_info("unet")
    config = SegmenterConfig(
        classes=2,
        size=pictures.size,
        image_channels=pictures.image_channels,
        encoder=encoder,
        depth=usual.depth,
        weights=weights,
    )
    colours = OURS if weights == RANDOM else _colours_of(name)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # random weights are the same each time: they are what is compared with
        return EncoderFeatures(build_network(config).to(device), config, colours)


def _library_encoders() -> tuple[str, ...]:
    from gannotate.torchvision_operators import make_importable

    make_importable()
    import segmentation_models_pytorch as smp

    return tuple(smp.encoders.get_encoder_names())


def _colours_of(name: str) -> Colours:
    """What timm says that its network learned with; ImageNet's where it says nothing."""
    import timm

    told = timm.models.get_pretrained_cfg(name) if timm.models.is_model(name) else None
    return IMAGENET if told is None else (tuple(told.mean), tuple(told.std))


def _fitting(vae: VAE, pictures: PictureKind, folder: Path) -> VAE:
    own = (vae.config.size, vae.config.image_channels)
    if own != (pictures.size, pictures.image_channels):
        raise UsageError(
            f"the VAE in {folder} takes {own[0]} px with {own[1]} channel(s), the pictures are {pictures.size} px with "
            f"{pictures.image_channels}; train one on such pictures with `gannotate pretrain PROJECT --method vae`"
        )
    return vae


def _kinds(folder: Path) -> dict[str, Any]:
    """config.json of a model folder, which names its kind.

    Raises:
        UsageError: there is none. GannotateError: damaged.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UsageError(
            f"{folder} is no network's folder (no config.json); give that of an encoder or a VAE (`gannotate "
            "pretrain`), of a segmenter (`gannotate train`), or timm:NAME"
        )
    try:
        config = json.loads(path.read_text())
        return dict(config)
    except (OSError, ValueError, TypeError) as error:
        raise GannotateError(f"{path} is damaged ({error}); make or copy that folder again") from error


def _for_channels(numbers: Sequence[float], channels: int) -> Float[Tensor, "1 c 1 1"]:
    values = torch.tensor(numbers, dtype=torch.float32)
    if len(values) != channels:
        values = values.mean().expand(channels)
    return values.reshape(1, -1, 1, 1)
