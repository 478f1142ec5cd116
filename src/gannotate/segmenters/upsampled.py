"""A U-Net's decoder for shipping: the same answers with less arithmetic.

A decoder block doubles its input by repeating pixels, joins the encoder's activations to it and convolves both by
3 x 3. Every repeated pixel lies under several of that kernel's nine weights: each of the four positions within a
doubled pixel sees 2 x 2 different ones only. A convolution of the small map by 2 x 2 that gives all four positions at
once, which are then set side by side, is the same with 16 products where there were 36. The joined part keeps its own
3 x 3. It is exact but for the order of sums, needs a network in evaluation (the norm becomes part of the weights) and
is nothing to train: only `export` writes it. The equality is that of Aitken et al. 2017 (checkerboard-free sub-pixel
convolution), who use it to start one from the other.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gannotate.torchvision_operators import make_importable

FOLDS = ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)), ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0))
"""For either of two positions: which of a kernel's three weights fall on each of the two small pixels that it sees."""


class UpsampledConv(nn.Module):
    """Repeats every pixel 2 x 2 and convolves by 3 x 3 with zeros around, in one.

    Args:
        weight: of the convolution. bias: of it, if any.
    """

    def __init__(self, weight: Float[Tensor, "o c 3 3"], bias: Float[Tensor, " o"] | None = None) -> None:
        super().__init__()
        outputs, inputs = weight.shape[:2]
        folds = weight.new_tensor(FOLDS)
        # A convolution that reaches one pixel beyond every edge begins half a doubled pixel too early: the second
        # position comes first, and a row and a column are cut off at either end
        phases = torch.einsum("apr,bqs,ocrs->boacpq", folds, folds, weight).flip(0, 2)
        self.weight = nn.Parameter(phases.reshape(4 * outputs, inputs, 2, 2), requires_grad=False)
        repeated = None if bias is None else bias[None, :, None].expand(2, outputs, 2).reshape(-1)
        self.bias = None if repeated is None else nn.Parameter(repeated.clone(), requires_grad=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n o 2*h 2*w"]:
        y = F.conv2d(x, self.weight, self.bias, padding=1)
        count, channels, height, width = y.shape  # len(y) would be a number that an exported file cannot change
        channels //= 4
        # whole rows first, then single pixels: F.pixel_shuffle takes ONNX Runtime four times as long
        y = y.reshape(count, 2 * channels, 2, height, width).transpose(2, 3)
        y = y.reshape(count, 2, channels, 2 * height, width)[:, :, :, 1:-1]
        return y.permute(0, 2, 3, 4, 1).reshape(count, channels, 2 * height - 2, 2 * width)[..., 1:-1]


class FoldedBlock(nn.Module):
    """A decoder block of segmentation-models-pytorch's U-Net, in evaluation, without its repeated pixels.

    Args:
        block: the block. skipped: channels of the encoder's activations that it joins; 0 in the last one.
    """

    def __init__(self, block: nn.Module, skipped: int) -> None:
        super().__init__()
        first = _without_norm(block.get_submodule("conv1"))
        small = first.in_channels - skipped
        weight, bias = first.weight.detach(), first.bias
        assert bias is not None, "a convolution with a norm's shift has a bias"
        self.small = UpsampledConv(weight[:, :small], None if skipped else bias.detach())
        self.joined = None
        if skipped:
            self.joined = nn.Conv2d(skipped, first.out_channels, 3, padding=1)
            self.joined.weight = nn.Parameter(weight[:, small:].clone(), requires_grad=False)
            self.joined.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
        self.second = block.get_submodule("conv2")

    def forward(
        self, feature_map: Tensor, target_height: int, target_width: int, skip_connection: Tensor | None = None
    ) -> Tensor:
        y = self.small(feature_map)
        if self.joined is not None:
            y = self.joined(skip_connection) + y
        return self.second(F.relu(y))


def folded(network: nn.Module) -> nn.Module:
    """A copy of a network in evaluation that computes the same with less, where it is a U-Net; else the network itself.

    Its pictures must have sides that every halving of the encoder divides, as `SegmenterConfig` sees to.
    """
    make_importable()
    from segmentation_models_pytorch import Unet

    if not isinstance(network, Unet):
        return network
    network = copy.deepcopy(network).eval()
    skips = [*reversed(network.encoder.out_channels[1:-1]), 0]
    blocks = network.decoder.blocks
    for index, (block, skipped) in enumerate(zip(blocks, skips, strict=True)):
        blocks[index] = FoldedBlock(block, skipped)
    return network


def _without_norm(layer: nn.Module) -> nn.Conv2d:
    """The convolution of a block's layer, with its batch norm in the weights; ReLU follows it and nothing else."""
    convolution, norm, *rest = layer.children()
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert all(isinstance(one, nn.ReLU) for one in rest)
    return fuse_conv_bn_eval(convolution, norm)
