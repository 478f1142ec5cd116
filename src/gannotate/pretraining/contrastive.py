"""SimCLR (Chen et al. 2020): an encoder learns to tell each picture, moved and recoloured, from all others.

It stands for self-supervised learning in RepurposeGAN's comparison (Tritrong et al. 2021, supplement).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from torch import Tensor, nn

from gannotate.data.augment import Augmentation, Warp, augment
from gannotate.errors import UsageError
from gannotate.labels import Mirror
from gannotate.pretraining.folder import encoder_part, save_encoder
from gannotate.pretraining.heads import levels_of
from gannotate.pretraining.unlabelled import UnlabelledConfig, UnlabelledTrainer
from gannotate.segmenters.build import SegmenterConfig, build_network
from gannotate.training.descent import Compute, random_state, set_random_state
from gannotate.training.shares import Share, current, in_parts, out_of_whole, passes, whole

CLOSER = Warp(scale_low=1.0, scale_high=2.0, rotation_deg=10.0, translation=0.25)
"""Movements of a view: mostly cuts from the picture, as in the paper, never the picture made smaller."""

GREY = 0.2
"""Part of the views of RGB pictures that are grey (the paper's), so that colours alone do not tell pictures apart."""


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig(UnlabelledConfig):
    """How an encoder learns to tell pictures apart."""

    steps: int = 1000
    """Optimisation steps."""
    temperature: float = 0.2
    """What similarities are divided by: low values make the most similar pictures count most."""
    projection: int = 128
    """Numbers that two views are compared by; what makes them of the encoder's features is dropped afterwards."""
    mirror: bool = False
    """Flip half of the views; where a flip changes what a picture shows, leave it off."""
    turn90: bool = False
    """Turn views by quarter turns."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.temperature > 0:
            raise UsageError(f"temperature is {self.temperature}; give a number above 0, e.g. 0.2")
        if self.projection < 1:
            raise UsageError(f"projection is {self.projection}; give 1 or more, e.g. 128")

    @property
    def augmentation(self) -> Augmentation:
        """What makes a view of a picture."""
        mirror = Mirror("yes") if self.mirror else Mirror()
        return Augmentation(warp=CLOSER, mirror=mirror, turn90=self.turn90, photometric=True)


class Comparer(nn.Module):
    """A segmentation network, of which only the encoder learns, and the head that makes views comparable."""

    def __init__(self, network: SegmenterConfig, projection: int) -> None:
        super().__init__()
        self.network = build_network(network)
        encoder = encoder_part(self.network, network)
        self.last = levels_of(encoder, network.image_channels, network.size)[-1]
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        encoder.requires_grad_(True)
        width = self.last.channels
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, projection))

    def forward(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n p"]:
        """Unit vectors: views of one picture shall have similar ones."""
        encoder: nn.Module = self.network.encoder  # pyright: ignore[reportAssignmentType]
        features: Sequence[Tensor] = encoder(pictures)
        return F.normalize(self.head(features[self.last.place].mean(dim=(2, 3))), dim=1)


class Views(NamedTuple):
    """Unit vectors of a pass's pictures, of all processes: first views, then second ones; and which are one's own."""

    vectors: Float[Tensor, "v p"]
    own: Int[Tensor, " m"]

    @classmethod
    def of(cls, first: Float[Tensor, "n p"], second: Float[Tensor, "n p"]) -> Views:
        """From this process's own; gradients reach those of all processes."""
        vectors = whole(torch.cat([first, second]), parts=2)
        return cls(vectors, out_of_whole(torch.arange(len(vectors), device=vectors.device), parts=2))


def contrast(batch: Sequence[Views], temperature: float) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """NT-Xent (equation 1) of two views of each picture of a batch, and how often a view finds its other one.

    Each of the 2 n views is asked which of the 2 n - 1 others is of its own picture. Of several processes each asks
    its own views, about those of all: both numbers are means over its own.
    """
    vectors = torch.cat([views.vectors for views in batch])
    asked, answers, before = list[Tensor](), list[Tensor](), 0
    for views in batch:
        count = len(views.vectors)
        asked.append(before + views.own)
        answers.append(before + (views.own + count // 2) % count)
        before += count
    own, other = torch.cat(asked), torch.cat(answers)
    similar = vectors[own] @ vectors.T / temperature
    similar = similar.masked_fill(own[:, None] == torch.arange(len(vectors), device=own.device), -torch.inf)
    return F.cross_entropy(similar, other), (similar.argmax(dim=1) == other).float().mean()


class ContrastiveTrainer(UnlabelledTrainer):
    """Teaches the encoder of a segmentation network."""

    method = "simclr"
    config: ContrastiveConfig
    network: Comparer

    def __init__(
        self,
        pictures: UInt8[ndarray, "n h w c"],
        network: SegmenterConfig,
        config: ContrastiveConfig,
        device: str | torch.device = "cpu",
        compute: Compute | None = None,
    ) -> None:
        """Checks that the network takes the pictures.

        Raises:
            UsageError: it has no encoder apart from the rest, or takes other pictures.
        """
        shape = (network.size, network.size, network.image_channels)
        if pictures.shape[1:] != shape:
            raise UsageError(
                f"the pictures are {pictures.shape[1:]} (height, width, channels), the network takes {shape}"
            )
        self.network_config = network
        self.ahead: dict[int, Views] = {}  # of each pass, by its first picture, where a batch takes several
        super().__init__(pictures, config, device, compute)

    def make_network(self) -> nn.Module:
        """Encoder and head."""
        return Comparer(self.network_config, self.config.projection)

    def network_settings(self) -> dict[str, Any]:
        """The segmentation network whose encoder learns."""
        return asdict(self.network_config)

    def losses(self, pictures: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The loss, and the part of views that find their other one."""
        share, views = current(), self.views(pictures)
        everyone = self.ahead | {share.place.start if share else 0: views}
        loss, found = contrast(list(everyone.values()), self.config.temperature)
        # the loss is that of all passes, the gradient that of this one's views, which counts as a part of the batch
        times = sum(len(each.own) for each in everyone.values()) / len(views.own)
        return {"loss": loss + (times - 1) * (loss - loss.detach()) if times > 1 else loss, "found": found}

    def views(self, pictures: Float[Tensor, "n c h w"]) -> Views:
        """What the network says of two views of each picture."""
        views = torch.cat([self.view(pictures), self.view(pictures)])
        with in_parts(2):  # in one pass, so that batch norm gives away nothing about which view is whose
            first, second = self.network(views).chunk(2)
        return Views.of(first, second)

    def look_ahead(self, given: Callable[[Share], Float[Tensor, "n c h w"]]) -> None:
        """Looks at the whole batch, pass by pass, as each picture is compared with all others: see `losses`.

        Gradients are then those of the whole batch (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size
        under Memory Limited Setup"). Only batch norm sees a pass, and its running statistics see each twice.
        """
        self.ahead, random = {}, random_state()
        shares = passes(self.config.batch, self.descent.passes(self.config.batch))
        for share in shares if len(shares) > 1 else ():
            set_random_state(random)
            with torch.no_grad(), share:
                self.ahead[share.place.start] = self.views(given(share))

    def view(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The pictures cut, turned and recoloured at random."""
        nothing = torch.zeros(len(pictures), *pictures.shape[2:], dtype=torch.long, device=pictures.device)
        moved, _, _ = augment(pictures, nothing, None, self.config.augmentation)
        if pictures.shape[1] == 3:
            grey = (torch.rand(len(pictures)) < GREY).view(-1, 1, 1, 1).to(pictures.device)
            moved = torch.where(grey, moved.mean(dim=1, keepdim=True), moved)
        return moved.contiguous(memory_format=torch.channels_last)

    def save(self, folder: Path, **about: Any) -> str:
        """Writes the encoder, as every pre-training of one does: `train --init` takes it too."""
        config = self.network_config
        save_encoder(folder, self.network.network, config, **about)
        colours = "grey" if config.image_channels == 1 else "RGB"
        return f"Encoder {config.encoder}, depth {config.depth}, taught by SimCLR, {config.size} px, {colours}"
