"""Segmentation networks that segmentation-models-pytorch does not have: the classic U-Net, LR-ASPP, HRNetV2's head.

All take pictures (n, c, height, width) in [-1, 1] with sides that divide by 2^depth, and give logits of their size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class ClassicUNet(nn.Module):
    """The U-Net without a separate encoder (Ronneberger et al. 2015), as RepurposeGAN and its successors train it.

    Two 3x3 convolutions a level, each with bias and batch normalisation; 4 times max-pooled, 4 times doubled
    bilinearly (corners aligned) and joined with the level's own features. At a width of 64 the levels have 64, 128,
    256, 512 and 512 channels: 13.40 M parameters.
    """

    LEVELS = 4

    def __init__(self, image_channels: int, classes: int, width: int = 64) -> None:
        super().__init__()
        down = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        up = [4 * width, 2 * width, width, width]
        self.down = nn.ModuleList(
            _double_convolution(before, after) for before, after in zip([image_channels, *down[:-1]], down, strict=True)
        )
        below = [down[-1], *up[:-1]]
        self.up = nn.ModuleList(
            _double_convolution(low + skip, after) for low, skip, after in zip(below, down[-2::-1], up, strict=True)
        )
        self.head = nn.Conv2d(up[-1], classes, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        levels = [self.down[0](x)]
        for block in self.down[1:]:
            levels.append(block(F.max_pool2d(levels[-1], 2)))
        x = levels.pop()
        for block in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = block(torch.cat([levels.pop(), x], 1))
        return self.head(x)


class LRASPP(nn.Module):
    """Lite reduced ASPP (Howard et al. 2019, section 6.4): a head that costs next to nothing, for CPUs.

    The coarsest features (1/16) pass one 1x1 convolution and are weighted by a gate of their mean; their logits are
    doubled and added to logits of the features at 1/8. Here those at 1/4 vote too: at 64 px an eighth is 8 px, and
    outlines need more. The paper's gate pools windows of 49 px with stride; the mean of all does for any size.
    """

    def __init__(self, encoder: nn.Module, channels: Sequence[int], classes: int, width: int = 128) -> None:
        super().__init__()
        self.encoder = encoder
        self.project = nn.Sequential(
            nn.Conv2d(channels[-1], width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.gate = nn.Conv2d(channels[-1], width, 1, bias=False)
        self.votes = nn.ModuleList(nn.Conv2d(count, classes, 1) for count in (width, channels[3], channels[2]))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        features = self.encoder(x)
        coarse = self.project(features[-1]) * self.gate(features[-1].mean((2, 3), keepdim=True)).sigmoid()
        logits = self.votes[0](coarse)
        for vote, finer in zip(self.votes[1:], (features[3], features[2]), strict=True):
            logits = _grow(logits, finer) + vote(finer)
        return _grow(logits, x)


class HRNetHead(nn.Module):
    """HRNetV2's head (Wang et al. 2019, section 3.3): all resolutions at the finest one's, mixed by 1x1 convolutions.

    A 1x1 convolution of joined features is the sum of 1x1 convolutions of each, and commutes with the bilinear
    growing; so each is projected at its own resolution first, which takes a tenth of the memory.
    """

    def __init__(self, encoder: nn.Module, channels: Sequence[int], classes: int, width: int = 256) -> None:
        super().__init__()
        self.encoder = encoder
        self.project = nn.ModuleList(nn.Conv2d(count, width, 1, bias=False) for count in channels)
        self.mix = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Conv2d(width, classes, 1))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        features = self.encoder(x)[-len(self.project) :]
        mixed = self.project[0](features[0])
        for project, coarser in zip(self.project[1:], features[1:], strict=True):
            mixed = mixed + _grow(project(coarser), mixed)
        return _grow(self.mix(mixed), x)


def _grow(x: Float[Tensor, "n k h w"], like: Float[Tensor, "n c h2 w2"]) -> Float[Tensor, "n k h2 w2"]:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


def _double_convolution(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
