"""Weights that change during training: closed forms of the step's number."""

from __future__ import annotations

import math


def sigmoid_ramp(index: int, length: float) -> float:
    """From exp(-5) at step 0 to 1 at step `length` and after: exp(-5 (1 - t)^2) (Laine and Aila 2017, section 2)."""
    if index >= length:
        return 1.0
    return math.exp(-5 * (1 - index / length) ** 2)


def linear_ramp(index: int, begin: float, full: float) -> float:
    """0 before step `begin`, 1 from step `full` on, a straight line between (Lee 2013, equation 16)."""
    if index < begin:
        return 0.0
    return 1.0 if index >= full else (index - begin) / (full - begin)


def polynomial_decay(index: int, steps: int) -> float:
    """(1 - index / steps)^0.9: how discriminators' step sizes fall in Hung et al., Mittal et al. and Ke et al."""
    return (1 - index / steps) ** 0.9
