"""SimCLR (Chen et al. 2020): an encoder learns to tell each picture, moved and recoloured, from all others.

It stands for self-supervised learning in RepurposeGAN's comparison (Tritrong et al. 2021, supplement).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor, nn

from gannotate.data.augment import Augmentation, Warp, augment
from gannotate.errors import UsageError
from gannotate.labels import Mirror
from gannotate.pretraining.folder import encoder_part, save_encoder
from gannotate.pretraining.heads import levels_of
from gannotate.pretraining.unlabelled import UnlabelledConfig, UnlabelledTrainer
from gannotate.segmenters.build import SegmenterConfig, build_network

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


def contrast(
    first: Float[Tensor, "n p"], second: Float[Tensor, "n p"], temperature: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """NT-Xent (equation 1) of unit vectors of two views of each picture, and how often a view finds its other one.

    Each of the 2 n views is asked which of the 2 n - 1 others is of its own picture.
    """
    count = len(first)
    views = torch.cat([first, second])
    similar = views @ views.T / temperature
    similar = similar.masked_fill(torch.eye(2 * count, dtype=torch.bool, device=views.device), -torch.inf)
    other = torch.arange(2 * count, device=views.device).roll(count)
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
        super().__init__(pictures, config, device)

    def make_network(self) -> nn.Module:
        """Encoder and head."""
        return Comparer(self.network_config, self.config.projection)

    def network_settings(self) -> dict[str, Any]:
        """The segmentation network whose encoder learns."""
        return asdict(self.network_config)

    def losses(self, pictures: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The loss, and the part of views that find their other one."""
        # in one pass, so that batch norm gives away nothing about which view is whose
        first, second = self.network(torch.cat([self.view(pictures), self.view(pictures)])).chunk(2)
        loss, found = contrast(first, second, self.config.temperature)
        return {"loss": loss, "found": found}

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
