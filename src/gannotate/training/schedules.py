"""Step sizes that change during a training."""

from __future__ import annotations

import math

import torch

from gannotate.errors import UsageError


def half_cosine(index: int, steps: int) -> float:
    """From 1 at step 0 along half a cosine to 0 after the last of `steps`."""
    return 0.5 * (1 + math.cos(math.pi * index / steps))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives all parameters of `optimizer` the same step size."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def check_steps(steps: int, batch: int, learning_rate: float) -> None:
    """Checks how long and how fast a network with batch norm is asked to learn.

    Raises:
        UsageError: no step, a batch of less than 2, or a step size (per step, Adam's) that is not above 0.
    """
    if steps < 1 or batch < 2:
        raise UsageError(f"{steps} steps of {batch} pictures were asked for; give at least 1 step and 2 pictures")
    if not learning_rate > 0:
        raise UsageError(f"the learning rate is {learning_rate}; give one above 0, e.g. 1e-4")
