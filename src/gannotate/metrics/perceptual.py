"""LPIPS with VGG16 (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
equation 1), with weights from files of the user.

Pictures become vectors whose squared distance is the LPIPS distance, so that it is one more `Embedding`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.metrics.weights import check_shapes, digest, read_state

STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
"""VGG16's convolutions by their place in torchvision's `features`; the pictures are halved between the stages."""

CHANNELS = (64, 128, 256, 512, 512)
"""Channels of each stage."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures in [0, 1]: what VGG16 expects its input to be normalised with."""

LARGEST_PX, SMALLEST_PX = 256, 16
"""Larger pictures are averaged down, as StyleGAN's measure does; smaller ones have nothing left in the last stage."""


class PerceptualSpace:
    """Unit-length VGG16 activations of five stages, weighted so that squared distances are LPIPS.

    With the linear weights of LPIPS 0.1 among the files its name is `lpips-vgg16-...` and path lengths compare with
    published ones. Without them every channel counts as much as any other (the paper's baseline), the name is
    `vgg16-unweighted-...`, and the numbers are larger and compare only among themselves.
    """

    def __init__(self, weights: Sequence[Path], image_channels: int, device: str | torch.device = "cpu"):
        """Reads the files.

        Args:
            weights: a torchvision vgg16 state dict and, in a second file, LPIPS's linear weights; or one file with the
                whole state dict of lpips.LPIPS(net='vgg').

        Raises:
            UsageError: channels other than 1 and 3. GannotateError: the files hold something else.
        """
        if image_channels not in (1, 3):
            raise UsageError(f"pictures with {image_channels} channels were given; give grey (1) or RGB (3) pictures")
        state = _common_names({name: value for path in weights for name, value in read_state(path, "vgg16").items()})
        self.published = any(name.startswith("linear") for name in state)
        """Whether distances are those of published figures."""
        files = " and ".join(str(path) for path in weights)
        check_shapes(
            state,
            _expected_shapes(self.published),
            f"no torchvision vgg16 state dict, with LPIPS's linear weights beside it or without, is in {files}",
        )
        self._state = {name: value.to(device, torch.float32) for name, value in state.items()}
        self._channels = image_channels
        self.name = f"{'lpips-vgg16' if self.published else 'vgg16-unweighted'}-{digest(weights)}"

    @torch.inference_mode()
    def embed(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Vectors of pictures in [-1, 1], on the weights' device; grey ones are taken as RGB of equal channels.

        One vector of a 256 px picture takes 32 MB: give few pictures at a time.

        Raises:
            UsageError: pictures of other channels, or smaller than 16 px.
        """
        return self.vectors(pictures.detach().to(self._state["0.weight"]))

    def vectors(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """As `embed`, of float pictures on the weights' device, and gradients pass through.

        Raises:
            UsageError: pictures of other channels, or smaller than 16 px.
        """
        if pictures.shape[1] != self._channels or min(pictures.shape[-2:]) < SMALLEST_PX:
            raise UsageError(
                f"pictures of shape {tuple(pictures.shape[1:])} were given; VGG16 takes {self._channels} channels "
                f"of at least {SMALLEST_PX} px"
            )
        x = pictures if pictures.shape[-1] <= LARGEST_PX else F.avg_pool2d(pictures, pictures.shape[-1] // LARGEST_PX)
        mean, deviation = (x.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
        x = (x.expand(-1, 3, -1, -1) / 2 + 0.5 - mean) / deviation
        parts = []
        for stage, convolutions in enumerate(STAGES):
            x = x if stage == 0 else F.max_pool2d(x, 2)
            for index in convolutions:
                x = F.relu(F.conv2d(x, self._state[f"{index}.weight"], self._state[f"{index}.bias"], padding=1))
            parts.append(self._weighted(x, stage))
        return torch.cat(parts, dim=1)

    def _weighted(self, x: Float[Tensor, "n c h w"], stage: int) -> Float[Tensor, "n d"]:
        """Activations of unit length over the channels, times the root of what LPIPS weighs each value with."""
        unit = x / (x.norm(dim=1, keepdim=True) + 1e-10)
        weight = self._state[f"linear{stage}"] if self.published else x.new_ones(1, x.shape[1], 1, 1)
        # the weights were trained to be no less than 0; the mean over the places goes into the root too
        return (unit * (weight.clamp_min(0) / (x.shape[-2] * x.shape[-1])).sqrt()).flatten(1)


def _common_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`0.weight`, `0.bias`, ... of the convolutions and `linear0` ... `linear4`, from either package's names."""
    patterns = {
        r"(?:features|net\.slice[1-5])\.(\d+\.(?:weight|bias))": r"\1",
        r"lin([0-4])\.model\.1\.weight": r"linear\1",
    }
    left_out = ("classifier.", "lins.", "scaling_layer.")  # unused, or there a second time
    renamed = {}
    for name, value in state.items():
        for pattern, new in patterns.items():
            if re.fullmatch(pattern, name):
                name = re.sub(pattern, new, name)
                break
        if not name.startswith(left_out):
            renamed[name] = value
    return renamed


def _expected_shapes(linear: bool) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = 3
    for outputs, convolutions in zip(CHANNELS, STAGES, strict=True):
        for index in convolutions:
            shapes |= {f"{index}.weight": (outputs, inputs, 3, 3), f"{index}.bias": (outputs,)}
            inputs = outputs
    if linear:
        shapes |= {f"linear{stage}": (1, channels, 1, 1) for stage, channels in enumerate(CHANNELS)}
    return shapes
