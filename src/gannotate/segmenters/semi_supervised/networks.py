"""The small networks beside a segmenter: two discriminators, a flaw detector and a classifier of whole pictures.

They were made for pictures of 321 or 513 px, which they halve four or five times. A small picture is halved less
often, so that about as many places are told apart as in the papers; the layers stay, without their stride.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SLOPE = 0.2
"""Of every leaky ReLU, in all of the papers."""

SMALLEST_PX = 8
"""Side that features are not halved below: Hung et al.'s map has 10 places a side at 321 px."""


def halvings(size: int, most: int) -> int:
    """How often a picture of `size` px is halved: at least once, at most `most` times, to 8 px or more if it can be."""
    fitting = 1
    while fitting < most and size >> (fitting + 1) >= SMALLEST_PX:
        fitting += 1
    return fitting


def convolution(before: int, after: int, halve: bool) -> nn.Conv2d:
    """4x4 with stride 2, or 3x3 without; padded by 1, so that even sizes are halved exactly."""
    return nn.Conv2d(before, after, 4 if halve else 3, stride=2 if halve else 1, padding=1)


class PatchDiscriminator(nn.Module):
    """Says for every pixel of a map of class probabilities whether it is a true one (Hung et al. 2018, section 3.2).

    Five convolutions (width, 2, 4, 8 times it, and 1 channel), no normalisation; grown bilinearly to the map's size.
    """

    LAYERS = 5

    def __init__(self, inputs: int, size: int, width: int) -> None:
        super().__init__()
        channels = [inputs, width, 2 * width, 4 * width, 8 * width, 1]
        times = halvings(size, self.LAYERS)
        self.layers = nn.ModuleList(
            convolution(channels[place], channels[place + 1], place < times) for place in range(self.LAYERS)
        )

    def forward(self, maps: Float[Tensor, "n k h w"]) -> Float[Tensor, "n h w"]:
        """Logits: positive means true."""
        x = maps
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), SLOPE)
        return F.interpolate(self.layers[-1](x), maps.shape[2:], mode="bilinear", align_corners=False)[:, 0]


class PictureDiscriminator(nn.Module):
    """Says whether a picture and a map of class probabilities belong together (Mittal et al. 2019, section 3.2).

    Four convolutions (width, 2, 4 and 8 times it), half of the channels dropped after each but the last (as in the
    authors' code), the mean over all places, and one number of it.
    """

    LAYERS = 4

    def __init__(self, inputs: int, size: int, width: int) -> None:
        super().__init__()
        channels = [inputs, width, 2 * width, 4 * width, 8 * width]
        times = halvings(size, self.LAYERS)
        self.layers = nn.ModuleList(
            convolution(channels[place], channels[place + 1], place < times) for place in range(self.LAYERS)
        )
        self.drop = nn.Dropout2d(0.5)
        self.out = nn.Linear(channels[-1], 1)

    def forward(
        self, maps: Float[Tensor, "n k h w"], pictures: Float[Tensor, "n c h w"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n f"]]:
        """Logits (positive means true) and the features that they are read from; pictures in [-1, 1]."""
        x = torch.cat([maps, (pictures + 1) / 2], 1)  # both within [0, 1], as in the authors' code
        for place, layer in enumerate(self.layers):
            x = F.leaky_relu(layer(x), SLOPE)
            x = self.drop(x) if place < self.LAYERS - 1 else x
        features = x.mean((2, 3))
        return self.out(features)[:, 0], features


class FlawDetector(nn.Module):
    """Says for every pixel how wrong a map of class probabilities is there (Ke et al. 2020, section 3.2).

    Convolutions as in the discriminator, with one more at each size but the first; half of the channels of each are
    normalised over the batch, half over the picture. Its answer is a number, meant to be from 0 to 1.
    """

    def __init__(self, inputs: int, size: int, width: int) -> None:
        super().__init__()
        wide = [(width, True), (2 * width, True), (2 * width, False), (4 * width, True), (4 * width, False)]
        wide += [(8 * width, True), (8 * width, False)]
        times, layers, before = halvings(size, 5), [], inputs
        for after, halves in wide:
            times -= halves
            layers += [convolution(before, after, halves and times >= 0), MixedNorm(after), nn.LeakyReLU(SLOPE)]
            before = after
        self.layers = nn.Sequential(*layers)
        self.out = convolution(before, 1, times > 0)

    def forward(self, pictures: Float[Tensor, "n c h w"], maps: Float[Tensor, "n k h w"]) -> Float[Tensor, "n h w"]:
        """The flaws of `maps`, which are answers to `pictures`."""
        flaws = self.out(self.layers(torch.cat([pictures, maps], 1)))
        return F.interpolate(flaws, maps.shape[2:], mode="bilinear", align_corners=False)[:, 0]


class MixedNorm(nn.Module):
    """Batch normalisation of the first half of the channels, instance normalisation (without weights) of the rest."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = channels - channels // 2
        self.batch = nn.BatchNorm2d(self.first)
        self.instance = nn.InstanceNorm2d(channels - self.first)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return torch.cat([self.batch(x[:, : self.first]), self.instance(x[:, self.first :])], 1)


class PictureClassifier(nn.Module):
    """Says which classes a picture shows: logits (n, classes).

    Mittal et al. take a ResNet-101; five labelled pictures of 64 px ask for less: four convolutions with batch
    normalisation and the mean over all places.
    """

    LAYERS = 4

    def __init__(self, inputs: int, classes: int, size: int, width: int) -> None:
        super().__init__()
        channels = [inputs, width, 2 * width, 4 * width, 8 * width]
        times = halvings(size, self.LAYERS)
        layers: list[nn.Module] = []
        for place in range(self.LAYERS):
            after = channels[place + 1]
            layers += [convolution(channels[place], after, place < times), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(channels[-1], classes)

    def forward(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        return self.out(self.layers(pictures).mean((2, 3)))
