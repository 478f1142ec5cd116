"""The discriminator of StyleGAN2 (residual) with minibatch standard deviation, written from the paper."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.generators.ops import Conv, Dense
from gannotate.generators.stylegan2 import StyleGAN2Config


class DiscriminatorBlock(nn.Module):
    """Halves the size: (conv, conv down) plus a 1x1 shortcut, divided by sqrt(2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = Conv(inputs, inputs, 3)
        self.conv1 = Conv(inputs, outputs, 3, down=True)
        self.skip = Conv(inputs, outputs, 1, down=True, activate=False, bias=False)

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h2 w2"]:
        return (self.conv1(self.conv0(x)) + self.skip(x)) * math.sqrt(0.5)


def minibatch_std(x: Float[Tensor, "n c h w"], group: int) -> Float[Tensor, "n c1 h w"]:
    """Appends a channel: the standard deviation over groups of `group` pictures, averaged over everything else.

    It lets the discriminator see a lack of variety (Karras et al. 2018, section 3). Groups are interleaved.
    """
    n, c, h, w = x.shape
    group = math.gcd(n, group)
    y = x.reshape(group, n // group, c, h, w)
    deviation = ((y - y.mean(dim=0)).square().mean(dim=0) + 1e-8).sqrt()
    statistic = deviation.mean(dim=(1, 2, 3)).repeat(group)
    return torch.cat([x, statistic.view(n, 1, 1, 1).expand(n, 1, h, w)], dim=1)


class Discriminator(nn.Module):
    """Pictures (n, image_channels, size, size) in [-1, 1] -> one logit each (n,); positive means real."""

    def __init__(self, config: StyleGAN2Config, group: int = 4) -> None:
        super().__init__()
        self.group = group
        top = config.channels(config.size)
        self.fromrgb = Conv(config.image_channels, top, 1)
        self.blocks = nn.Sequential(
            *(
                DiscriminatorBlock(config.channels(r), config.channels(r // 2))
                for r in reversed(config.resolutions[1:])
            )
        )
        last = config.channels(4)
        self.conv = Conv(last + 1, last, 3)
        self.fc = Dense(last * 16, last, activate=True)
        self.out = Dense(last, 1)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, picture: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        x = self.blocks(self.fromrgb(picture))
        x = self.conv(minibatch_std(x, self.group))
        return self.out(self.fc(x.flatten(1)))[:, 0]
