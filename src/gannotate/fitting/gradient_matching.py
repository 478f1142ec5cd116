"""Gradient matching (Yang et al. 2022, equations 11 and 12): generated pictures with the decoder's labels shall move
the segmenter where labelled real pictures move it."""

from __future__ import annotations

from collections.abc import Generator as Steps
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.decoders.base import Decoder
from gannotate.errors import UsageError, nearest
from gannotate.fitting.alternation import AlternationConfig, Labelled, Softly, Student, alternate
from gannotate.fitting.real_task import RealTask, check_one_of
from gannotate.segmenters.architectures import Architecture
from gannotate.training import distributed
from gannotate.training.loop import Progress

Counted = Literal["all", "matched"]
"""What the mean over layers is over."""

EPSILON = 1e-6
"""Gradients shorter than this have no direction."""

HEADS: dict[Architecture, tuple[str, ...]] = {
    "unet": ("segmentation_head",),
    "unet-classic": ("head",),
    "unet-mobile": ("segmentation_head",),
    "lraspp": ("project", "gate", "votes"),
    "deeplabv3plus": ("decoder", "segmentation_head"),
    "deeplabv3": ("decoder", "segmentation_head"),
    "hrnet": ("project", "mix"),
}
"""The blocks of each network that are its head: all behind the encoder, of a U-Net the last convolution."""


@dataclass(frozen=True, kw_only=True)
class MatchingConfig(AlternationConfig):
    """How gradients are matched."""

    match: str = "all"
    """Whose gradients are matched: all, head, or names of the segmenter's blocks, e.g. up.3,head."""
    counted: Counted = "matched"
    """What the mean over layers is over: matched (weights of two axes and more) or all (biases and norms count as 0,
    as in the paper's code, which makes the loss smaller and changes nothing else)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_one_of("counted", self.counted, get_args(Counted))


def matching_loss(
    generated: Sequence[Tensor], labelled: Sequence[Tensor], counted: Counted = "matched"
) -> Float[Tensor, ""]:
    """Mean over layers of the mean over output nodes of 1 - cosine of the two gradients (equation 12).

    A layer's gradient (o, ...) is one vector for each of its o nodes. Tensors of one axis (biases, batch norm) are not
    matched; with `counted` all they count in the mean, as 0. Lies in [0, 2]; 0 where all directions agree.
    """
    distances = [
        (1 - cosine(given.flatten(1), wanted.flatten(1))).mean()
        for given, wanted in zip(generated, labelled, strict=True)
        if wanted.ndim > 1
    ]
    return torch.stack(distances).sum() / (len(labelled) if counted == "all" else len(distances))


def cosine(first: Float[Tensor, "o d"], second: Float[Tensor, "o d"]) -> Float[Tensor, " o"]:
    """Cosine of the angle between rows; 0, with finite gradients, where a row vanishes."""
    lengths = [row.square().sum(1).clamp_min(EPSILON**2).rsqrt() for row in (first, second)]
    return (first * second).sum(1) * lengths[0] * lengths[1]


class Matching:
    """The objective of gradient matching, for `AlternatingTrainer`."""

    def __init__(self, config: MatchingConfig) -> None:
        self.config = config

    def __call__(self, student: Student, labelled: Labelled, generated: Sequence[Softly]) -> Float[Tensor, ""]:
        weights = student.weights
        names = matched(student.network, self.config.segmenter, self.config.match)
        # weights that are not matched are constants: no graph is kept for them
        given = {name: weight if name in names else weight.detach() for name, weight in weights.items()}
        wrt = [weights[name] for name in names]
        wanted = distributed.totals(torch.autograd.grad(student.loss(labelled, given), wrt))
        [softly] = generated
        got = distributed.totals(torch.autograd.grad(student.soft_loss(softly, given), wrt, create_graph=True))
        return distributed.once(matching_loss(got, wanted, self.config.counted))


def matched(network: nn.Module, architecture: Architecture, match: str) -> tuple[str, ...]:
    """Names of the parameters whose gradients are matched, in the network's order.

    Raises:
        UsageError: a block that the network does not have, or one without weights to match.
    """
    weights: Mapping[str, nn.Parameter] = dict(network.named_parameters())
    if match == "all":
        return tuple(weights)
    blocks = HEADS[architecture] if match == "head" else tuple(word.strip() for word in match.split(","))
    for block in blocks:
        if not any(name.startswith(f"{block}.") and weight.ndim > 1 for name, weight in weights.items()):
            known = blocks_of(network)
            raise UsageError(
                f"{architecture} has no block {block!r} with weights to match; use all, head, or some of "
                f"{', '.join(known)}{nearest(block, known)}"
            )
    return tuple(name for name in weights if name.startswith(tuple(f"{block}." for block in blocks)))


def blocks_of(network: nn.Module) -> tuple[str, ...]:
    """Names of a network's blocks: its parts, and the parts of these."""
    two = (".".join(name.split(".")[:2]) for name, weight in network.named_parameters() if weight.ndim > 1)
    # a weight that is directly in a part: the part itself is the block
    return tuple(dict.fromkeys(name.removesuffix(".weight") for name in two))


def fit_gradient_matching(
    task: RealTask, config: MatchingConfig, folder: Path, resume: bool, minutes: float | None
) -> Steps[Progress, None, Decoder]:
    """Fits a decoder to a task, which it returns.

    Raises:
        UsageError: the settings or pictures cannot be used; names the segmenter's blocks where `match` is none.
    """
    return (yield from alternate(task, config, Matching(config), 1, folder, resume, minutes))
