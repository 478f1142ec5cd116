"""Training a variational autoencoder on unlabelled pictures (Kingma and Welling 2014; beta: Higgins et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.pretraining.unlabelled import UnlabelledConfig, UnlabelledTrainer
from gannotate.pretraining.vae import VAE, VAEConfig, negative_elbo, save_vae
from gannotate.training.descent import Compute


@dataclass(frozen=True, kw_only=True)
class VAETraining(UnlabelledConfig):
    """How a VAE learns."""

    steps: int = 3000
    """Optimisation steps."""
    beta: float = 1.0
    """Weight of the latents' divergence from their prior; 1 is the evidence lower bound."""
    latents: int = VAEConfig.latents
    """Numbers that a picture becomes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta < 0:
            raise UsageError(f"beta is {self.beta}; give 0 (a plain autoencoder) or more, most often 1")


class VAETrainer(UnlabelledTrainer):
    """Raises the evidence lower bound of unlabelled pictures."""

    method = "vae"
    config: VAETraining
    network: VAE

    def __init__(
        self,
        pictures: UInt8[ndarray, "n h w c"],
        config: VAETraining,
        device: str | torch.device = "cpu",
        compute: Compute | None = None,
    ) -> None:
        _, size, _, channels = pictures.shape
        self.shape = VAEConfig(size=size, image_channels=channels, latents=config.latents)
        super().__init__(pictures, config, device, compute)

    def make_network(self) -> nn.Module:
        """The VAE."""
        return VAE(self.shape)

    def network_settings(self) -> dict[str, Any]:
        """Its shape."""
        return self.network.config_dict

    def losses(self, pictures: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """See `negative_elbo`."""
        return negative_elbo(self.network, pictures, self.config.beta)

    def save(self, folder: Path, **about: Any) -> str:
        """Writes the VAE."""
        save_vae(folder, self.network, **about)
        shape = self.shape
        colours = "grey" if shape.image_channels == 1 else "RGB"
        return f"Variational autoencoder, {shape.size} px, {colours}, {shape.latents} latents, beta {self.config.beta}"
