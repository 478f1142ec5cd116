"""A network that judges the segmenter's answers, with an optimiser of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from gannotate.segmenters.semi_supervised.ramps import polynomial_decay
from gannotate.training import distributed
from gannotate.training.descent import Compute, learned_by
from gannotate.training.schedules import set_rate

BETAS = (0.9, 0.99)
"""Of the judges' Adam, in Hung et al. 2018, Mittal et al. 2019 and Ke et al. 2020."""


class Judge:
    """A discriminator or flaw detector, trained by Adam with a step size that falls as (1 - t)^0.9.

    The papers agree on this optimiser for it, so it is kept; the segmenter's own is that of supervised training.
    """

    def __init__(self, network: nn.Module, learning_rate: float, steps: int, compute: Compute | None = None) -> None:
        self.compute = compute or Compute()
        self.network = convert_conv2d_weight_memory_format(network, torch.channels_last)
        self.learning_rate, self.steps = learning_rate, steps
        self.optimizer = torch.optim.Adam(self.network.parameters(), learning_rate, betas=BETAS)

    def __call__(self, *inputs: Tensor) -> Any:
        """What the network says, in training mode."""
        return self.compute.said(self.network.train(), *inputs)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Within it, gradients pass through the network to what it judges and none reach the network itself."""
        self.network.requires_grad_(False)
        try:
            yield
        finally:
            self.network.requires_grad_(True)

    def learn(self, loss: Tensor) -> None:
        """Adds the gradient of `loss` to what `move` goes down."""
        loss.backward()

    def move(self, index: int) -> None:
        """Moves the network down all processes' gradients, at the step size of step `index`."""
        distributed.sum_gradients(learned_by(self.optimizer))
        set_rate(self.optimizer, self.learning_rate * polynomial_decay(index, self.steps))
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Weights and optimiser."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Takes back what `state_dict` gave."""
        self.network.load_state_dict(state_dict["network"])
        self.optimizer.load_state_dict(state_dict["optimizer"])
