"""A StyleGAN2 that draws pictures together with their labels (Li et al. 2021, section 3.1).

At every resolution a second 1x1 convolution, beside the one to the picture, turns the activations into one value a
class; upsampled and summed like the picture they are the label codes: near +1 for the class of a pixel, near -1 for
all others. Codes are what the discriminator sees (a real label map is exactly +1 and -1); the most probable class of a
pixel is the one with the largest code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.generators.base import NoiseMode
from gannotate.generators.build import load_generator
from gannotate.generators.ops import ModulatedConv, upsample
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.labels import IGNORE

TEMPERATURE = 0.1
"""Codes are divided by this before they are called logits (the authors' code: tau of the cross-entropy)."""


class Pair(NamedTuple):
    """Pictures in about [-1, 1] with the label codes that were drawn with them."""

    pictures: Float[Tensor, "n c h w"]
    codes: Float[Tensor, "n k h w"]


class ToLabels(nn.Module):
    """Modulated 1x1 convolution without demodulation, and a bias: activations -> one value a class."""

    def __init__(self, inputs: int, classes: int, w_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, classes, w_dim, kernel=1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, x: Float[Tensor, "n i h w"], w: Float[Tensor, "n d"]) -> Float[Tensor, "n k h w"]:
        return self.conv(x, w) + self.bias.view(1, -1, 1, 1)


class LabelBranch(nn.Module):
    """From the last activation of every resolution, small to large, to label codes at full size."""

    def __init__(self, config: StyleGAN2Config, classes: int) -> None:
        super().__init__()
        self.resolutions = config.resolutions
        self.to_labels = nn.ModuleDict(
            {f"b{r}": ToLabels(config.channels(r), classes, config.w_dim) for r in self.resolutions}
        )

    @property
    def taps(self) -> tuple[str, ...]:
        """The generator's taps that are read."""
        return tuple(f"b{r}.conv1" for r in self.resolutions)

    def forward(
        self, activations: Sequence[Float[Tensor, "n _i _h _w"]], w: Float[Tensor, "n styles d"]
    ) -> Float[Tensor, "n k h w"]:
        codes: Tensor | None = None
        for index, (resolution, x) in enumerate(zip(self.resolutions, activations, strict=True)):
            # the style that this resolution's picture takes, shared with the next block's first convolution
            part = self.to_labels[f"b{resolution}"](x, w[:, 2 * index + 1])
            codes = part if codes is None else upsample(codes) + part
        assert codes is not None
        return codes


class JointGenerator(StyleGAN2):
    """StyleGAN2 with a label branch; as a generator of pictures it is the StyleGAN2 of the same weights."""

    def __init__(self, config: StyleGAN2Config, classes: int) -> None:
        super().__init__(config)
        self.classes = classes
        self.label_branch = LabelBranch(config, classes)
        self.label_branch.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def pair(
        self,
        w: Float[Tensor, "n styles w"],
        noise: NoiseMode | Sequence[Float[Tensor, "n 1 _h _w"]] = "const",
        apart: bool = False,
    ) -> Pair:
        """w+ -> pictures and label codes; `apart`: no gradient goes from the codes into the picture's layers or w."""
        drawing = self.synthesize(w, noise, taps=self.label_branch.taps)
        activations = list(drawing.taps.values())
        if apart:
            activations, w = [x.detach() for x in activations], w.detach()
        return Pair(drawing.picture, self.label_branch(activations, w))


def joint_generator(config: StyleGAN2Config, classes: int, start: StyleGAN2 | None = None) -> JointGenerator:
    """A new joint generator; its picture part takes the weights of `start` where given, the label branch is random."""
    generator = JointGenerator(config, classes)
    if start is not None:
        weights = start.state_dict()
        own = {name: tensor for name, tensor in generator.state_dict().items() if name not in weights}
        generator.load_state_dict(weights | own)
    return generator


def start_generator(folder: str | Path, size: int, image_channels: int) -> StyleGAN2:
    """The generator in `folder` to start from, its parameters trainable.

    Raises:
        UsageError: not a generator, or one that cannot draw pairs: another architecture than StyleGAN2, with classes,
            or for pictures of another size or number of channels. GannotateError: damaged.
    """
    found = load_generator(folder)
    if not isinstance(found, StyleGAN2) or found.label_dim:
        kind = f"{found.architecture} with classes" if found.label_dim else found.architecture
        raise UsageError(
            f"{folder} is a {kind}; pairs of pictures and labels start from a stylegan2 without classes, as "
            "`gannotate train-generator` makes it"
        )
    if (found.size, found.image_channels) != (size, image_channels):
        raise UsageError(
            f"the generator in {folder} draws {found.size} px with {found.image_channels} channel(s); the labelled "
            f"pictures have {size} px and {image_channels}: give a generator of such pictures"
        )
    return found.requires_grad_(True)


def codes_of(label_maps: Int[Tensor, "n h w"], classes: int) -> Float[Tensor, "n k h w"]:
    """Label maps as codes: +1 for the class, -1 for all others; 0 throughout where nothing is labelled."""
    known = (label_maps != IGNORE).unsqueeze(1)
    one_hot = F.one_hot(label_maps.clamp(max=classes - 1).long(), classes).permute(0, 3, 1, 2)
    return torch.where(known, one_hot.float() * 2 - 1, 0.0)


def probabilities(codes: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k h w"]:
    """Class probabilities of label codes."""
    return (codes / TEMPERATURE).softmax(dim=1)
