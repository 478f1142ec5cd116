"""DatasetGAN's ensemble of pixel MLPs (Zhang et al. 2021, the style interpreter), all members in one batched pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.decoders.base import DecoderConfig
from gannotate.decoders.mlp import (
    DATASETGAN_STD,
    MLPConfig,
    MLPDecoder,
    check_hidden,
    datasetgan_start,
    datasetgan_widths,
)
from gannotate.decoders.pointwise import PointwiseDecoder
from gannotate.errors import UsageError
from gannotate.features.interpolation import Interpolation, check_interpolation
from gannotate.features.projection import ProjectedLinear, key_of
from gannotate.generators.base import Tap


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig(DecoderConfig):
    """Shape of an ensemble of pixel MLPs."""

    taps: tuple[str, ...] = ()
    """Names of the activations to read; all when not given."""
    members: int = 10
    """Networks whose mean probability it gives; DatasetGAN counts their votes."""
    hidden: tuple[int, ...] = ()
    """Widths of a member's hidden layers; when not given the paper's: 128, 32 (from 32 classes on 256, 128)."""
    interpolation: Interpolation = "bilinear"
    """Upsampling: bilinear, corners, nearest, or pyramid (resolution by resolution; cheaper)."""

    def __post_init__(self) -> None:
        if self.members < 1:
            raise UsageError(f"{self.members} members were asked for; use 1 or more, most often 10")
        check_hidden(self.hidden)
        check_interpolation(self.interpolation)


class EnsembleDecoder(PointwiseDecoder[EnsembleConfig]):
    """Several `mlp` decoders (datasetgan) that share one projection; they differ by their start and their pixels.

    As a decoder it gives the logarithm of the members' mean probability, whose softmax is that mean. The temperature
    divides this logarithm, not the members' own logits (pool, then calibrate: Rahaman and Thiery 2021, "Uncertainty
    Quantification and Deep Ensembles"), so what the members say, and how far they disagree, does not depend on it.
    """

    architecture = "ensemble"
    config_class = EnsembleConfig

    def __init__(self, taps: tuple[Tap, ...], classes: int, size: int, config: EnsembleConfig) -> None:
        super().__init__(taps, classes, size, config)
        self.widths = config.hidden or datasetgan_widths(classes)
        members = config.members
        self.first = ProjectedLinear(taps, members * self.widths[0], size, config.interpolation)
        outputs = (*self.widths[1:], classes)
        # a channel of each member is a channel of its own, so one norm keeps the members' statistics apart
        self.norms = nn.ModuleList(nn.BatchNorm1d(members * width) for width in self.widths)
        shapes = zip(self.widths, outputs, strict=True)
        self.weights = nn.ParameterList(torch.empty(members, *shape).normal_(std=DATASETGAN_STD) for shape in shapes)
        self.biases = nn.ParameterList(torch.zeros(members, 1, width) for width in outputs)
        datasetgan_start(self)

    @classmethod
    def default_taps(cls, taps: tuple[Tap, ...], config: EnsembleConfig) -> tuple[Tap, ...]:
        """All, as in the paper."""
        return taps

    def tail(self, x: Float[Tensor, "p outputs"]) -> Float[Tensor, "p classes"]:
        return self._members_tail(x).log_softmax(dim=2).logsumexp(dim=1) - math.log(self.config.members)

    def member_pixel_logits(
        self, features: Float[Tensor, "p channels"] | Float[Tensor, "members p channels"]
    ) -> Float[Tensor, "p members classes"]:
        """Logits of each member for single pixels: the same for all, or (three dimensions) each member its own."""
        if features.ndim == 2:
            return self._members_tail(self.first.on_features(features))
        members, weight, bias = self.config.members, self.first.stacked_weight(), self.first.stacked_bias()
        assert bias is not None
        own = weight.view(members, -1, self.channels).transpose(1, 2)
        x = torch.baddbmm(bias.view(members, 1, -1), features.to(self.first.dtype), own)
        return self._members_tail(x.transpose(0, 1).flatten(1))

    def member_logits(
        self, taps: Mapping[str, Float[Tensor, "n k h w"]]
    ) -> Float[Tensor, "n members classes size size"]:
        """Logits of each member at picture size."""
        return self.in_bands(taps, self._members_tail)

    def member_probabilities(
        self, taps: Mapping[str, Float[Tensor, "n k h w"]]
    ) -> Float[Tensor, "n m classes size size"]:
        return self.in_bands(taps, lambda x: self._members_tail(x).float().softmax(dim=2))

    def pooled(self, members: Float[Tensor, "n m classes h w"]) -> Float[Tensor, "n classes h w"]:
        mean = members.mean(dim=1)
        return mean if self.temperature == 1 else (mean.log() / self.temperature).softmax(dim=1)

    def _members_tail(self, x: Float[Tensor, "p outputs"]) -> Float[Tensor, "p members classes"]:
        members = self.config.members
        for norm, weight, bias in zip(self.norms, self.weights, self.biases, strict=True):
            assert isinstance(norm, nn.BatchNorm1d)
            x = x.relu_()  # in place: the values are this layer's own
            if self.training:
                x = norm(x)
            else:
                weight, bias = _with_norm(norm, weight, bias)
            inputs = x.view(len(x), members, -1).transpose(0, 1)
            x = torch.baddbmm(bias, inputs, weight).transpose(0, 1).flatten(1)
        return x.unflatten(1, (members, self.classes))

    def member(self, index: int) -> MLPDecoder:
        """Member `index` as a decoder of its own, with a copy of its weights.

        Raises:
            UsageError: no such member.
        """
        if not 0 <= index < self.config.members:
            raise UsageError(f"there is no member {index}; the ensemble has 0 to {self.config.members - 1}")
        config = MLPConfig(taps=self.config.taps, hidden=self.widths, interpolation=self.config.interpolation)
        alone = MLPDecoder(self.taps, self.classes, self.size, config).to(self.first.stacked_weight())
        state = alone.state_dict()
        for tap in self.taps:
            name = f"first.blocks.{key_of(tap.name)}"
            state[name] = self.first.blocks[key_of(tap.name)].detach().chunk(self.config.members)[index]
        bias = self.first.stacked_bias()
        assert bias is not None
        state["first.bias"] = bias.detach().chunk(self.config.members)[index][None]
        for place, (norm, weight, bias) in enumerate(zip(self.norms, self.weights, self.biases, strict=True)):
            for name, tensor in norm.state_dict().items():
                own = tensor.chunk(self.config.members)[index] if tensor.ndim else tensor
                state[f"layers.{3 * place + 1}.{name}"] = own
            state[f"layers.{3 * place + 2}.weight"] = weight.detach()[index].T
            state[f"layers.{3 * place + 2}.bias"] = bias.detach()[index, 0]
        alone.load_state_dict(state)
        return alone.train(self.training)


def _with_norm(
    norm: nn.BatchNorm1d, weight: Float[Tensor, "m i o"], bias: Float[Tensor, "m 1 o"]
) -> tuple[Float[Tensor, "m i o"], Float[Tensor, "m 1 o"]]:
    """The layer after `norm`, taking it in: in evaluation mode the norm is a fixed scale and shift."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    shift = norm.bias - norm.running_mean * scale
    scale, shift = scale.view(len(weight), -1, 1), shift.view(len(weight), 1, -1)
    return scale * weight, bias + shift @ weight
