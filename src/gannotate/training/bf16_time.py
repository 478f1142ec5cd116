"""Whether half precision pays on this machine: processors without bfloat16 instructions are slower with it."""

from __future__ import annotations

import time

import torch
from torch import nn

from gannotate.training.descent import Compute

BLOCKS, CHANNELS, BATCH, SIDE_PX, STEPS = 3, 64, 8, 32, 8
"""What is timed: forward and backward passes of a few blocks as the middle of a U-Net on ResNet-18 has them."""


def bf16_time(device: str | torch.device = "cpu") -> float:
    """Time of a training step with `--precision bf16`, in times that of one without: below 1 it pays. Takes a second.

    The shortest step of each counts, and they take turns: other work on the machine makes some longer, of both.
    """
    device = torch.device(device)
    layers = [(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS), nn.ReLU()) for _ in range(BLOCKS)]
    network = nn.Sequential(*(layer for block in layers for layer in block)).to(device)
    pictures = torch.ones(BATCH, CHANNELS, SIDE_PX, SIDE_PX, device=device).to(memory_format=torch.channels_last)
    ways = Compute(precision="bf16"), Compute()
    taken = [tuple(_step_s(network, pictures, way) for way in ways) for _ in range(STEPS)]
    half, full = (min(times) for times in zip(*taken, strict=True))
    return half / full


def _step_s(network: nn.Sequential, pictures: torch.Tensor, compute: Compute) -> float:
    begin = time.perf_counter()
    loss = compute.said(network, pictures).square().mean()
    slopes = torch.autograd.grad(loss, list(network.parameters()))
    slopes[0].sum().item()  # a figure that is read waits for the device
    return time.perf_counter() - begin
