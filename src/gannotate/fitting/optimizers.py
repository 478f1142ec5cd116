"""The two optimizers of the papers that fit decoders."""

from __future__ import annotations

import torch
from torch import nn

from gannotate.fitting.config import Optimizer

MOMENTUM = 0.9
"""Of stochastic gradient descent, in every paper that uses it."""


def make_optimizer(network: nn.Module, kind: Optimizer, rate: float, decay: float = 0.0) -> torch.optim.Optimizer:
    """Adam, or stochastic gradient descent with momentum, for all parameters, with `decay` of the weights."""
    if kind == "sgd":
        return torch.optim.SGD(network.parameters(), rate, momentum=MOMENTUM, weight_decay=decay)
    return torch.optim.Adam(network.parameters(), rate, weight_decay=decay)
