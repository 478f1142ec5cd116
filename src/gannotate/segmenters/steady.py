"""Labels of a video that are steady from frame to frame.

A network that sees each frame for itself changes its mind where it is unsure: labels flicker although nothing changes.
Here its class probabilities are averaged over time, p' = a p'_before + (1 - a) p. The past is first moved along with
the picture: each pixel takes it from the place, a few pixels away at most, whose surroundings in the picture before
are most alike (block matching). Where none is alike, the weight of the past falls: a = memory * exp(-(change /
motion)^2), the change being the mean difference of the surroundings less that of most pixels, which is noise. The
picture before is averaged with the same weights, so that slow changes are noticed too. After a cut nothing is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int, UInt8
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.segmenters.predict import WHOLE, Predictor
from gannotate.segmenters.tiling import View

SURROUNDINGS_PX = 5
"""Side of the square that is compared."""

REACH_PX = 2
"""How far each pixel's past is searched along rows and columns, in px of the picture that is searched."""

SEARCH_PX = 256
"""Larger frames are made smaller by a whole number for the search, until their longer side is no more than this."""

STAY = 0.15
"""What a pixel of movement costs, in grey levels: without it noise would seem to move."""

TOGETHER = 8
"""Frames that pass the network together; all of them are in memory with their probabilities."""


@dataclass(frozen=True, kw_only=True)
class SteadyConfig:
    """How much a frame's labels depend on the frames before."""

    memory: float = 0.8
    """Weight of the past where nothing changes, 0 to below 1; at 0 each frame is labelled for itself."""
    motion: float = 3.0
    """Change of a pixel's surroundings, in grey levels of 255, at which that weight has fallen to 37 %."""
    cut: float = 25.0
    """A frame in which most pixels changed by so many grey levels is another scene: the past is forgotten."""

    def __post_init__(self) -> None:
        if not 0 <= self.memory < 1:
            raise UsageError(f"memory is {self.memory}; give 0 (each frame for itself) to below 1, e.g. 0.8")
        if not self.motion > 0 or not self.cut > 0:
            raise UsageError(f"motion {self.motion} and cut {self.cut} were given; give grey levels above 0 for each")


class Steady:
    """Averages the class probabilities of frames given in order."""

    def __init__(self, config: SteadyConfig | None = None) -> None:
        self.config = config or SteadyConfig()
        self._picture: Tensor | None = None
        self._answer: Tensor | None = None

    def __call__(
        self, frame: UInt8[np.ndarray, "h w c"], probabilities: Float32[np.ndarray, "k h w"]
    ) -> Float32[np.ndarray, "k h w"]:
        """The steadied probabilities of the next frame; a frame of another size begins anew."""
        picture = torch.from_numpy(frame).permute(2, 0, 1).float()
        answer = torch.from_numpy(probabilities)
        if self._picture is not None and self._answer is not None and self._picture.shape == picture.shape:
            rows, columns, change = match(picture, self._picture)
            noise = change.median()
            if float(noise) <= self.config.cut:
                change = (change - noise).clamp(min=0)
                past = self.config.memory * torch.exp(-((change / self.config.motion) ** 2))
                picture = torch.lerp(picture, self._picture[:, rows, columns], past)
                answer = torch.lerp(answer, self._answer[:, rows, columns], past)
        self._picture, self._answer = picture, answer
        return answer.numpy()


def match(
    picture: Float[Tensor, "c h w"], before: Float[Tensor, "c h w"]
) -> tuple[Int[Tensor, "h w"], Int[Tensor, "h w"], Float[Tensor, "h w"]]:
    """Where each pixel was in the picture before: rows, columns, and how much its surroundings still differ."""
    height, width = picture.shape[1:]
    factor = -(-max(height, width) // SEARCH_PX)
    down, right, change = _displacements(_reduced(picture, factor), _reduced(before, factor))
    # back to the frame's pixels: each takes the answer of the small pixel that it is part of
    own_rows, own_columns = torch.arange(height)[:, None], torch.arange(width)
    small = (own_rows // factor, own_columns // factor)
    rows = (own_rows + factor * down[small]).clamp(0, height - 1)
    columns = (own_columns + factor * right[small]).clamp(0, width - 1)
    return rows, columns, change[small]


def _reduced(picture: Float[Tensor, "c h w"], factor: int) -> Float[Tensor, "c H W"]:
    if factor == 1:
        return picture
    return F.avg_pool2d(picture[None], factor, ceil_mode=True, count_include_pad=False)[0]


def _displacements(
    picture: Float[Tensor, "c h w"], before: Float[Tensor, "c h w"]
) -> tuple[Int[Tensor, "h w"], Int[Tensor, "h w"], Float[Tensor, "h w"]]:
    """How far down and right of itself each pixel was, and the difference that is left."""
    _, height, width = picture.shape
    padded = F.pad(before[None], (REACH_PX,) * 4, mode="replicate")[0]
    steps = range(-REACH_PX, REACH_PX + 1)
    costs, changes, places = [], [], []
    for down, right in sorted(((down, right) for down in steps for right in steps), key=lambda step: math.hypot(*step)):
        shifted = padded[:, REACH_PX + down :, REACH_PX + right :][:, :height, :width]
        difference = (picture - shifted).abs().mean(0, keepdim=True)
        side = SURROUNDINGS_PX
        change = F.avg_pool2d(difference[None], side, 1, side // 2, count_include_pad=False)[0, 0]
        costs.append(change + STAY * math.hypot(down, right))
        changes.append(change)
        places.append((down, right))
    best = torch.stack(costs).argmin(0, keepdim=True)
    down, right = torch.tensor(places).T
    return down[best[0]], right[best[0]], torch.stack(changes).gather(0, best)[0]


def label_frames(
    predictor: Predictor,
    frames: Iterable[UInt8[np.ndarray, "h w c"]],
    view: View = WHOLE,
    config: SteadyConfig | None = None,
) -> Iterator[tuple[UInt8[np.ndarray, "h w c"], UInt8[np.ndarray, "h w"]]]:
    """Yields each frame with its label map, steadied over time."""
    steady, coming = Steady(config), iter(frames)
    while some := list(islice(coming, TOGETHER)):
        for frame, probabilities in zip(some, predictor.iterate(some, view), strict=True):
            yield frame, steady(frame, probabilities).argmax(0).astype(np.uint8)
