"""The linear decoder: linear semantic extraction, LSE (Xu and Zheng 2021, "Linear Semantics in Generative Adversarial
Networks", equation 1): one 1x1 layer a tap, upsampled and summed."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gannotate.decoders.base import DecoderConfig
from gannotate.decoders.pointwise import PointwiseDecoder
from gannotate.features.interpolation import Interpolation, check_interpolation
from gannotate.features.projection import ProjectedLinear
from gannotate.generators.base import Tap


@dataclass(frozen=True, kw_only=True)
class LinearConfig(DecoderConfig):
    """Shape of a linear decoder."""

    taps: tuple[str, ...] = ()
    """Names of the activations to read; all when not given."""
    interpolation: Interpolation = "bilinear"
    """Upsampling: bilinear, corners, nearest, or pyramid (resolution by resolution; cheaper)."""
    bias: bool = False
    """Add a bias to each class (the paper: no)."""

    def __post_init__(self) -> None:
        check_interpolation(self.interpolation)


class LinearDecoder(PointwiseDecoder[LinearConfig]):
    """The floor of all decoders: channels times classes parameters, a convex loss."""

    architecture = "linear"
    config_class = LinearConfig

    def __init__(self, taps: tuple[Tap, ...], classes: int, size: int, config: LinearConfig) -> None:
        super().__init__(taps, classes, size, config)
        biases = "once" if config.bias else "none"
        self.first = ProjectedLinear(taps, classes, size, config.interpolation, biases)
        self.first.reset_parameters(per_tap=True)

    @classmethod
    def from_weights(
        cls,
        taps: tuple[Tap, ...],
        size: int,
        weight: Float[Tensor, "classes channels"],
        bias: Float[Tensor, " classes"] | None = None,
        interpolation: Interpolation = "bilinear",
    ) -> LinearDecoder:
        """The decoder with these weights, e.g. of a closed-form solution; columns in the order of `taps`.

        Raises:
            UsageError: the weight is not as wide as the taps have channels.
        """
        names = tuple(tap.name for tap in taps)
        config = LinearConfig(taps=names, interpolation=interpolation, bias=bias is not None)
        decoder = cls(taps, len(weight), size, config)
        decoder.first.from_stacked(weight, bias)
        return decoder

    @classmethod
    def default_taps(cls, taps: tuple[Tap, ...], config: LinearConfig) -> tuple[Tap, ...]:
        """All, as in the paper."""
        return taps

    def tail(self, x: Float[Tensor, "p classes"]) -> Float[Tensor, "p classes"]:
        return x
