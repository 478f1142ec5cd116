"""Step sizes that change during a training."""

from __future__ import annotations

import math

import torch


def half_cosine(index: int, steps: int) -> float:
    """From 1 at step 0 along half a cosine to 0 after the last of `steps`."""
    return 0.5 * (1 + math.cos(math.pi * index / steps))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives all parameters of `optimizer` the same step size."""
    for group in optimizer.param_groups:
        group["lr"] = rate
