"""The networks behind generators.npz: their shapes, and weights that anyone can make again from a formula.

Shared by the test here and by tools/make_golden_generators.py, which runs the official code on the same weights.
"""

import zlib

import numpy as np
import torch

SEED = 7
PSI, CUTOFF = 0.7, 3
LABEL = 2
"""Seed, truncation and class (of conditional networks) of the picture that is kept."""

CHANNELS_KEPT = 3
"""Of every tap only the first channels are stored."""

_TINY_2 = {"size": 32, "z_dim": 24, "w_dim": 16, "mapping_layers": 2, "channel_base": 256, "channel_max": 16}
_TINY_3 = {"size": 32, "z_dim": 24, "w_dim": 16, "channel_base": 128, "channel_max": 8}

CASES = {
    # the public StyleGAN's mapping is 512 wide, always; its transposed convolution begins at 128 px
    "stylegan1": {"architecture": "stylegan1", "size": 128, "channel_base": 512, "channel_max": 12},
    "stylegan2": {"architecture": "stylegan2", **_TINY_2},
    "stylegan2-grey-resnet": {"architecture": "stylegan2", **_TINY_2, "image_channels": 1, "connections": "resnet"},
    "stylegan2-orig": {"architecture": "stylegan2", **_TINY_2, "connections": "orig"},
    "stylegan2-conditional": {"architecture": "stylegan2", **_TINY_2, "label_dim": 5, "conv_clamp": 1.5},
    "stylegan2-resnet-clamp": {"architecture": "stylegan2", **_TINY_2, "connections": "resnet", "conv_clamp": 1.5},
    "stylegan3-t": {"architecture": "stylegan3", **_TINY_3, "label_dim": 5},
    "stylegan3-r": {"architecture": "stylegan3", **_TINY_3, "kernel": 1, "radial": True, "conv_clamp": 1.5},
}
"""config.json's generator entry of each network."""


def tensor_of(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor called `name` (as our networks call it): normal numbers seeded with its name, at a fitting scale."""
    x = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    last = name.rsplit(".", 1)[-1]
    if name.startswith("mapping.fc"):
        x = x * (100 if last == "weight" else 20)  # these are multiplied by 0.01
    elif name.endswith("affine.bias"):
        x = 0.7 + 0.3 * x
    elif last in ("bias", "noise_strength", "w_avg"):
        x = 0.3 * x
    elif last == "magnitude_ema":
        x = 0.5 + np.abs(x)
    elif last == "transform":
        x = np.eye(3) + np.array([[0.1], [0.1], [0]]) * x
    return torch.from_numpy(np.asarray(x, dtype=np.float32))


def is_made(name: str) -> bool:
    """Whether the tensor follows the formula; filters are designed by the code under test."""
    return not name.endswith(("up_filter", "down_filter"))


def fill(network: torch.nn.Module) -> None:
    """Gives one of our networks its weights."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if is_made(name):
                tensor.copy_(tensor_of(name, tuple(tensor.shape)))


def kept(x: torch.Tensor) -> np.ndarray:
    """The part of a picture or tap (1, c, h, w) that is stored: every fifth pixel of large ones, few channels."""
    step = 1 if x.shape[-1] <= 32 else 5
    return x[0, :CHANNELS_KEPT, ::step, ::step].float().numpy()
