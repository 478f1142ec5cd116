"""Every random draw has a generator made from a seed that the user can see.

Streams are named by any mix of numbers and words, so that independent parts of the program never share one, and so
that step k of a run draws the same numbers whether the run was interrupted or not.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stream_seed(*name: int | str) -> int:
    """A 63-bit seed for the stream `name`, e.g. `stream_seed(seed, "augment", step)`; stable across machines."""
    digest = hashlib.blake2b(repr(name).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def numpy_stream(*name: int | str) -> np.random.Generator:
    """NumPy generator of the stream `name`."""
    return np.random.default_rng(stream_seed(*name))


def torch_stream(*name: int | str, device: str = "cpu") -> torch.Generator:
    """Torch generator of the stream `name`."""
    import torch

    return torch.Generator(device=device).manual_seed(stream_seed(*name))


def latent_of_seed(seed: int, z_dim: int) -> np.ndarray:
    """z of one picture, float64 (z_dim,): `RandomState(seed).randn(1, z_dim)` as StyleGAN2's public `generate.py`."""
    return np.random.RandomState(seed).randn(1, z_dim)[0]
