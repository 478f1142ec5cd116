"""Averaged weights: what decoders and segmenters keep of their training."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float, index: int) -> None:
    """Moves `average` towards `network` after step `index` (from 0): average = decay * average + (1 - decay) * network.

    The average may only remember as many steps as there were, so a short training is not held back by its random
    start: the decay is at most (1 + index) / (10 + index). Counters of batches are copied.
    """
    decay = min(decay, (1 + index) / (10 + index))
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)
