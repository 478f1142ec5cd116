"""What trainings on unlabelled pictures share: batches, Adam down a cosine, their state, and the way from start to end.

A method gives a network and a loss (vae_training.py, contrastive.py); what comes out is a folder like any other
model's, with card and log, whose activations a decoder can read (`gannotate fit --features`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from gannotate.errors import UsageError
from gannotate.files import write_text
from gannotate.pretraining.folder import check_new_pretraining
from gannotate.seeding import stream_seed
from gannotate.segmenters.sources import pick, to_float
from gannotate.training import distributed
from gannotate.training.checkpoint import load_checkpoint
from gannotate.training.descent import Compute, Descent, whole_means
from gannotate.training.loop import LoopConfig, Progress, read_log, train
from gannotate.training.resuming import check_same, hash_of, plain
from gannotate.training.schedules import check_steps, half_cosine, set_rate
from gannotate.training.shares import Share


@dataclass(frozen=True, kw_only=True)
class UnlabelledConfig:
    """How a network learns from unlabelled pictures, whatever the method."""

    steps: int = 2000
    """Optimisation steps."""
    batch: int = 32
    """Pictures a step, drawn without replacement."""
    learning_rate: float = 1e-3
    """Adam's first step size; it falls to zero along half a cosine."""
    minutes: float | None = None
    """Stop after so many minutes; no limit when not given."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        check_steps(self.steps, self.batch, self.learning_rate)


class UnlabelledTrainer(ABC):
    """Teaches a network from unlabelled pictures; a method says which network and which loss.

    Attributes:
        method: its name. network: all that learns. config: how. device: where.
    """

    method: ClassVar[str]

    def __init__(
        self,
        pictures: UInt8[ndarray, "n h w c"],
        config: UnlabelledConfig,
        device: str | torch.device = "cpu",
        compute: Compute | None = None,
    ) -> None:
        """Checks the pictures and makes the network, with random weights of `config.seed`.

        Raises:
            UsageError: fewer than two pictures, or `compute` has another setting than its number of passes.
        """
        if len(pictures) < 2:
            raise UsageError(f"{len(pictures)} unlabelled pictures were given; give at least 2, best some thousands")
        self.config, self.device = config, torch.device(device)
        self.descent = Descent(Compute.only(compute, f"method {self.method}", "accumulate"), least=2)
        # bytes: 10,000 pictures of 64 px take 120 MB so
        self.pictures = torch.from_numpy(pictures).permute(0, 3, 1, 2)
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(config.seed, "pretraining"))
            made = self.make_network().to(self.device)
        self.network = convert_conv2d_weight_memory_format(made, torch.channels_last)
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(self.network.parameters(), config.learning_rate)
        self.about = {
            "method": self.method,
            "shape": plain(self.network_settings()),
            "settings": plain(asdict(config)),
            "pictures": {"count": len(pictures), "hash": hash_of(pictures)},
        }

    @abstractmethod
    def make_network(self) -> nn.Module:
        """All that learns, with random weights from torch's global generator."""

    @abstractmethod
    def network_settings(self) -> dict[str, Any]:
        """What the network is, json-able."""

    @abstractmethod
    def losses(self, pictures: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """{"loss": what is made small, ...: figures for the log} at the current share of a batch, in [-1, 1].

        Each a mean over the share's pictures, or the same for all that are in this pass.
        """

    def look_ahead(self, given: Callable[[Share], Float[Tensor, "n c h w"]]) -> None:  # noqa: B027
        """Called before the passes of a step, with what each of them is going to be `given`; a method may pass it."""

    @abstractmethod
    def save(self, folder: Path, **about: Any) -> str:
        """Writes what is kept of the network; returns in one sentence what it is."""

    def step(self, index: int) -> dict[str, float]:
        """One step on random pictures."""
        config, found = self.config, list[tuple[dict[str, Tensor], int]]()
        set_rate(self.optimizer, config.learning_rate * half_cosine(index, config.steps))
        self.network.train()
        picked = pick(len(self.pictures), config.batch)

        def given(share: Share) -> Tensor:
            pictures = to_float(self.pictures[picked[share.place.slice]].to(self.device))
            return pictures.contiguous(memory_format=torch.channels_last)

        def begin() -> None:
            found.clear()
            self.look_ahead(given)

        def loss_of(share: Share) -> tuple[Tensor, int]:
            losses = self.losses(given(share))
            found.append(({name: value.detach() for name, value in losses.items()}, len(share.place)))
            return losses["loss"], len(share.place)

        self.descent(self.network.parameters(), config.batch, loss_of, begin=begin)
        self.optimizer.step()
        return {**whole_means(found, config.batch), **self.descent.metrics(config.batch)}

    def state(self) -> dict[str, Any]:
        """Weights, optimizer and what learns from what."""
        return {
            "about": self.about,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave.

        Raises:
            UsageError: the state is of a training with other settings or pictures.
        """
        check_same(state["about"], self.about, "pre-training")
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


def pretrain_unlabelled(
    trainer: UnlabelledTrainer, folder: str | Path, resume: bool = True, pictures: str = ""
) -> Iterator[Progress]:
    """Trains to the end; yields progress after each step.

    Iterating to the end leaves the method's model folder, with card and log. A training that was stopped goes on, and
    ends as one that was not. `pictures` is the name of the unlabelled pictures, for the card.

    Raises:
        UsageError: the folder holds something else.
    """
    config, folder = trainer.config, Path(folder)
    distributed.from_first(lambda: check_new_pretraining(folder))
    yield from train(
        trainer, folder, LoopConfig(steps=config.steps, minutes=config.minutes, seed=config.seed), resume=resume
    )
    if not distributed.is_first():
        return
    saved, rows = load_checkpoint(folder / "checkpoint.safetensors"), read_log(folder / "log.jsonl")
    about = trainer.about | {
        "pictures": trainer.about["pictures"] | {"name": pictures},
        "trained": {"steps": saved["done"], "seconds": round(saved["seconds"], 2)},
        "losses": {name: value for name, value in rows[-1].items() if name not in ("step", "seconds")},
    }
    what = trainer.save(folder, **about)
    _write_card(folder, what, about)


def _write_card(folder: Path, what: str, about: dict[str, Any]) -> None:
    settings, trained, pictures = about["settings"], about["trained"], about["pictures"]
    losses = ", ".join(f"{name} {value:.4g}" for name, value in about["losses"].items())
    lines = [
        f"# {what}",
        "",
        f"- Learned from {pictures['count']} unlabelled pictures of {pictures['name'] or 'a folder'} "
        f"(SHA-256 {pictures['hash'][:16]})",
        f"- {trained['steps']} steps of {settings['batch']} pictures in {trained['seconds']:.0f} s",
        f"- At the end: {losses}",
        "",
        "Teach a decoder to read its activations: `gannotate fit PROJECT --from real --labelled DIR --features "
        "THIS_FOLDER`.",
        "",
    ]
    write_text(folder / "card.md", "\n".join(lines))
