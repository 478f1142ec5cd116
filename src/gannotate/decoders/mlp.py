"""The pixel MLPs of DatasetGAN (Zhang et al. 2021, the style interpreter) and RepurposeGAN (Tritrong et al. 2021,
section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

from gannotate.decoders.base import DecoderConfig, all_but_last_resolution
from gannotate.decoders.pointwise import PointwiseDecoder
from gannotate.errors import UsageError, nearest
from gannotate.features.interpolation import Interpolation, check_interpolation
from gannotate.features.projection import ProjectedLinear
from gannotate.generators.base import Tap

Paper = Literal["datasetgan", "repurposegan"]
"""datasetgan: ReLU then batch norm after each hidden layer, N(0, 0.02) start; repurposegan: ReLU, torch's start."""

DATASETGAN_STD = 0.02
MANY_CLASSES = 32
"""From this many classes on DatasetGAN's layers are wider."""


@dataclass(frozen=True, kw_only=True)
class MLPConfig(DecoderConfig):
    """Shape of a pixel MLP."""

    taps: tuple[str, ...] = ()
    """Names of the activations to read; when not given all (datasetgan) or all but the largest (repurposegan)."""
    paper: Paper = "datasetgan"
    """Layers as in datasetgan (with batch norm) or repurposegan (without)."""
    hidden: tuple[int, ...] = ()
    """Widths of the hidden layers; the paper's when not given: 128, 32 (from 32 classes on 256, 128) or 2000, 200."""
    interpolation: Interpolation = "bilinear"
    """Upsampling: bilinear, corners, nearest, or pyramid (resolution by resolution; cheaper)."""

    def __post_init__(self) -> None:
        known = get_args(Paper)
        if self.paper not in known:
            raise UsageError(
                f"paper {self.paper!r} is not known; use {' or '.join(known)}{nearest(str(self.paper), known)}"
            )
        check_hidden(self.hidden)
        check_interpolation(self.interpolation)

    def widths(self, classes: int) -> tuple[int, ...]:
        """Widths of the hidden layers for so many classes."""
        if self.paper == "repurposegan":
            return self.hidden or (2000, 200)
        return self.hidden or datasetgan_widths(classes)


def check_hidden(hidden: tuple[int, ...]) -> None:
    """Raises UsageError for widths that no layer can have."""
    if any(width < 1 for width in hidden):
        raise UsageError(f"hidden layers of {', '.join(map(str, hidden))} were given; use 1 or more, e.g. 128, 32")


def datasetgan_widths(classes: int) -> tuple[int, int]:
    """DatasetGAN's hidden layers."""
    return (128, 32) if classes < MANY_CLASSES else (256, 128)


class MLPDecoder(PointwiseDecoder[MLPConfig]):
    """The same small network on each pixel's feature vector."""

    architecture = "mlp"
    config_class = MLPConfig

    def __init__(self, taps: tuple[Tap, ...], classes: int, size: int, config: MLPConfig) -> None:
        super().__init__(taps, classes, size, config)
        widths, norm = config.widths(classes), config.paper == "datasetgan"
        self.first = ProjectedLinear(taps, widths[0], size, config.interpolation)
        layers: list[nn.Module] = []
        for inputs, outputs in zip(widths, (*widths[1:], classes), strict=True):
            # in place: the values are the layer's own, and no one else needs them
            layers += [nn.ReLU(inplace=True), *([nn.BatchNorm1d(inputs)] if norm else []), nn.Linear(inputs, outputs)]
        self.layers = nn.Sequential(*layers)
        if norm:
            datasetgan_start(self)

    @classmethod
    def default_taps(cls, taps: tuple[Tap, ...], config: MLPConfig) -> tuple[Tap, ...]:
        """DatasetGAN reads all; RepurposeGAN all but those of the largest resolution."""
        return taps if config.paper == "datasetgan" else all_but_last_resolution(taps)

    def tail(self, x: Float[Tensor, "p outputs"]) -> Float[Tensor, "p classes"]:
        return self.layers(x)


def datasetgan_start(network: nn.Module) -> None:
    """Weights from N(0, 0.02), biases 0; batch norms are left as they are."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=DATASETGAN_STD)
            nn.init.zeros_(module.bias)
        elif isinstance(module, ProjectedLinear):
            for block in module.blocks.values():
                nn.init.normal_(block, std=DATASETGAN_STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
