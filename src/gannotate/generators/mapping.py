"""The mapping network of StyleGAN2 and 3 (Karras et al. 2020, 2021), and truncation as all three StyleGANs do it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.generators.ops import Dense


def normalize(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Every row scaled to a mean square of one."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def truncate(
    w: Float[Tensor, "n w"], average: Float[Tensor, " w"], styles: int, psi: float, cutoff: int | None
) -> Float[Tensor, "n styles w"]:
    """w for each of `styles` layers; the first `cutoff` (all when None) moved to average + psi * (w - average)."""
    spread = w[:, None, :].repeat(1, styles, 1)
    if psi == 1:
        return spread
    end = styles if cutoff is None else cutoff
    truncated = average + psi * (spread[:, :end] - average)
    return torch.cat([truncated, spread[:, end:]], dim=1)


class MappingNetwork(nn.Module):
    """z (n, z_dim) -> w (n, w_dim), both roughly unit variance; `w_avg` is the running mean of w.

    With `label_dim` the classes' embedding (n, w_dim), normalised like z, goes in beside it. Without layers, w is
    the normalised input itself.

    Raises:
        UsageError: no layers, and the input is not as wide as w.
    """

    w_avg: Tensor

    def __init__(self, z_dim: int, w_dim: int, layers: int, label_dim: int = 0) -> None:
        super().__init__()
        self.layers = layers
        inputs = z_dim + (w_dim if label_dim else 0)
        if layers == 0 and inputs != w_dim:
            raise UsageError(f"without mapping layers w is the input, {inputs} wide; w_dim is {w_dim}, use {inputs}")
        self.embed = Dense(label_dim, w_dim) if label_dim else None
        for index in range(layers):
            fan_in = inputs if index == 0 else w_dim
            self.add_module(f"fc{index}", Dense(fan_in, w_dim, lr_multiplier=0.01, activate=True))
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Float[Tensor, "n z"], labels: Float[Tensor, "n k"] | None = None) -> Float[Tensor, "n w"]:
        x = normalize(z.float())
        if self.embed is not None:
            assert labels is not None, "Generator.check_labels comes first"
            x = torch.cat([x, normalize(self.embed(labels.float()))], dim=1)
        for index in range(self.layers):
            x = self.get_submodule(f"fc{index}")(x)
        return x
