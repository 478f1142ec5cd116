"""LayerMatch (Galeev et al. 2020): an encoder learns to predict a generator's activations from its pictures alone.

The generator knows the parts of its pictures; an encoder that can tell its activations from a picture has to find
them too, and needs few labels afterwards. docs/decisions/0004-layermatch.md has what the paper does not tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from gannotate.decoders.base import (
    Decoder,
    all_but_last_resolution,
    last_of_each_resolution,
    named_taps,
)
from gannotate.errors import UsageError
from gannotate.generators.base import DrawOptions, Generator, NoiseMode, Tap
from gannotate.pretraining.folder import check_new_pretraining, encoder_part, save_encoder, write_card
from gannotate.pretraining.heads import Activations, Joined, TapHeads, TapScale, draw_activations, levels_of
from gannotate.seeding import stream_seed
from gannotate.segmenters.build import SegmenterConfig, build_network, save_segmenter
from gannotate.segmenters.sources import ALL
from gannotate.synthesis import fingerprint
from gannotate.training import distributed
from gannotate.training.checkpoint import load_checkpoint
from gannotate.training.descent import Compute, Descent, whole_means
from gannotate.training.loop import LoopConfig, Progress, read_log, train
from gannotate.training.resuming import check_same, plain
from gannotate.training.schedules import check_steps, half_cosine, set_rate
from gannotate.training.shares import Share

PRETRAIN_FIRST_SEED = 50_000_000
"""Pre-training draws from this seed upwards: never a picture of the pool (from 0) or of a dataset (from 10 million)."""

SCALE_SEEDS = 128
"""Pictures that the taps' means and deviations are measured on; they come just before the first one learned from."""


@dataclass(frozen=True, kw_only=True)
class LayerMatchConfig:
    """How an encoder learns a generator's activations."""

    taps: tuple[str, ...] = ()
    """Activations to predict; the last of each resolution but the picture's own when not given."""
    steps: int = 2000
    """Optimisation steps."""
    batch: int = 16
    """Pictures a step, each drawn once."""
    learning_rate: float = 1e-3
    """Adam's step size at the start; it falls to zero along half a cosine. The paper's 1e-4 is for long trainings."""
    reconstruction: float = 1.0
    """Weight of the loss of the picture redrawn from one random predicted tap; 0 leaves the redrawing out."""
    distillation: float = 1.0
    """Weight of the loss of a decoder's soft labels, where there is a decoder."""
    standardise: bool = True
    """Match in units of each channel's deviation, so that no channel counts for its size alone."""
    joined: Joined = "all"
    """Levels of the encoder that a head reads: all, or the nearest in size."""
    head_width: int = 0
    """Channels inside a head; 0: heads are linear, and the encoder has to do the work."""
    psi: float = 1.0
    """Truncation of the pictures learned from."""
    noise: NoiseMode = "const"
    """Per-pixel noise of the pictures learned from: const, seeded (each its own) or none."""
    first_seed: int = PRETRAIN_FIRST_SEED
    """Seed of the first picture; step k learns from the next `batch` ones after those of step k - 1."""
    minutes: float | None = None
    """Stop after so many minutes; no limit when not given."""
    seed: int = 0
    """Seed of the first weights and of the taps that are redrawn from."""

    def __post_init__(self) -> None:
        check_steps(self.steps, self.batch, self.learning_rate)
        if self.reconstruction < 0 or self.distillation < 0 or self.head_width < 0:
            raise UsageError("reconstruction, distillation and head_width are not below 0; give 0 or more")
        if self.first_seed < SCALE_SEEDS or self.first_seed + self.steps * self.batch > 2**32:
            raise UsageError(
                f"{self.steps * self.batch} pictures from seed {self.first_seed} leave the range of seeds; start at "
                f"{SCALE_SEEDS} or more and end below {2**32}"
            )

    @property
    def options(self) -> DrawOptions:
        """How the pictures are drawn."""
        return DrawOptions(psi=self.psi, noise=self.noise)


def match_loss(
    scale: TapScale | None,
    drawn: Mapping[str, Float[Tensor, "n _ _ _"]],
    predicted: Mapping[str, Float[Tensor, "n _ _ _"]],
) -> Float[Tensor, ""]:
    """L_match (equation 2): the mean over taps of the mean squared difference, in deviations where `scale` is given.

    Means over elements, not the paper's sums: they differ by a factor a tap, and a tap of many pixels shall not
    count for more.
    """
    losses = []
    for name, prediction in predicted.items():
        difference = drawn[name] - prediction
        losses.append((difference if scale is None else difference / scale.deviation(name)).square().mean())
    return torch.stack(losses).mean()


def reconstruction_loss(
    generator: Generator, drawn: Activations, name: str, prediction: Float[Tensor, "n k h w"]
) -> Float[Tensor, ""]:
    """L_rec (equations 3 and 4): the mean squared difference between the picture and the one redrawn from tap `name`.

    Later activations are drawn anew from the prediction, with the same styles and noise. Gradients pass through the
    generator to the prediction.
    """
    redrawn = generator.synthesize(drawn.w, drawn.noise, replace={name: prediction})  # pyright: ignore[reportArgumentType]
    return F.mse_loss(redrawn.picture, drawn.picture)


class LayerMatchTrainer:
    """Teaches the encoder of a segmentation network; with a decoder all of the network, its soft labels too.

    Raises:
        UsageError: see `check_network`; or `compute` has another setting than its number of passes.
    """

    def __init__(
        self,
        generator: Generator,
        network: SegmenterConfig,
        config: LayerMatchConfig,
        decoder: Decoder | None = None,
        device: str | torch.device = "cpu",
        compute: Compute | None = None,
    ) -> None:
        check_network(generator, network, decoder)
        self.descent = Descent(Compute.only(compute, "LayerMatch", "accumulate"), least=2)
        self.config, self.network_config, self.device = config, network, torch.device(device)
        self.generator = generator.eval().requires_grad_(False).to(self.device)
        self.decoder = None if decoder is None else decoder.eval().requires_grad_(False).to(self.device)
        self.taps = matched_taps(generator, config.taps)
        self.about = {
            "network": plain(asdict(network)),
            "settings": plain(asdict(config)),
            "generator": fingerprint(generator),
            "decoder": None if decoder is None else fingerprint(decoder),
        }
        names = tuple(tap.name for tap in self.taps)
        wanted = {*names, *(decoder.tap_names if decoder else ())}
        self.drawn_taps = tuple(tap.name for tap in generator.taps if tap.name in wanted)
        scale_seeds = range(config.first_seed - SCALE_SEEDS, config.first_seed)
        scale = TapScale.measured(self.generator, names, scale_seeds, config.options)
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(config.seed, "pretraining"))
            made = build_network(network).to(self.device)
            self.network = convert_conv2d_weight_memory_format(made, torch.channels_last)
            self.encoder = encoder_part(self.network, network)
            levels = levels_of(self.encoder, network.image_channels, network.size)
            self.heads = TapHeads(levels, self.taps, scale, config.joined, config.head_width).to(self.device)
        learners = self.network if decoder else self.encoder
        self.learned = [*learners.parameters(), *self.heads.parameters()]
        self.optimizer = torch.optim.Adam(self.learned, config.learning_rate)

    def step(self, index: int) -> dict[str, float]:
        """One step on new pictures."""
        config = self.config
        weights = {"match": 1.0, "rec": config.reconstruction, "labels": config.distillation}
        found: list[tuple[dict[str, Tensor], int]] = []

        def loss_of(share: Share) -> tuple[Tensor, int]:
            losses = self.losses(self.draw(index, share.place.slice))
            found.append(({name: loss.detach() for name, loss in losses.items()}, len(share.place)))
            return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum(), len(share.place)

        set_rate(self.optimizer, config.learning_rate * half_cosine(index, config.steps))
        self.descent(self.learned, config.batch, loss_of, begin=found.clear)
        self.optimizer.step()
        return {**whole_means(found, config.batch), **self.descent.metrics(config.batch)}

    def draw(self, index: int, kept: slice = ALL) -> Activations:
        """What step `index` learns from, or the `kept` ones of it."""
        first = self.config.first_seed + index * self.config.batch
        seeds = range(first, first + self.config.batch)[kept]
        return draw_activations(self.generator, seeds, self.config.options, self.drawn_taps)

    def losses(self, drawn: Activations) -> dict[str, Float[Tensor, ""]]:
        """The parts of equation 1, not weighted: match, rec (for one random tap), and labels with a decoder."""
        self.network.train()
        self.heads.train()
        # real pictures have no colours outside of [-1, 1]; the encoder shall not read activations off those
        pictures = drawn.picture.clamp(-1, 1).contiguous(memory_format=torch.channels_last)
        features, logits = self._look(pictures)
        predicted = self.heads(features)
        losses = {"match": match_loss(self.heads.scale if self.config.standardise else None, drawn.taps, predicted)}
        if self.config.reconstruction:
            name = self.taps[int(torch.randint(len(self.taps), ()))].name
            losses["rec"] = reconstruction_loss(self.generator, drawn, name, predicted[name])
        if self.decoder is not None:
            with torch.no_grad():
                soft = self.decoder.probabilities(drawn.taps)
            losses["labels"] = F.cross_entropy(logits, soft)
        return losses

    def _look(self, pictures: Tensor) -> tuple[list[Tensor], Tensor]:
        """The encoder's features, and with a decoder the whole network's logits, in one pass."""
        if self.decoder is None:
            return list(self.encoder(pictures)), pictures.new_empty(0)
        seen: list[Tensor] = []

        def see(module: nn.Module, given: Any, features: Any) -> None:
            seen.extend(features)

        hook = self.encoder.register_forward_hook(see)
        try:
            logits = self.network(pictures)
        finally:
            hook.remove()
        return seen, logits

    def state(self) -> dict[str, Any]:
        """Weights, heads, optimizer and what learns what."""
        return {
            "about": self.about,
            "network": self.network.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave.

        Raises:
            UsageError: the state is of a training with other settings, or of another generator or decoder.
        """
        check_same(state["about"], self.about, "pre-training")
        self.network.load_state_dict(state["network"])
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])


def matched_taps(generator: Generator, names: tuple[str, ...]) -> tuple[Tap, ...]:
    """The taps called `names`, or by default the last of each resolution but the picture's own, in drawing order.

    Raises:
        UsageError: no such tap.
    """
    return named_taps(generator, names) or last_of_each_resolution(all_but_last_resolution(generator.taps))


def check_network(generator: Generator, network: SegmenterConfig, decoder: Decoder | None = None) -> None:
    """Checks that the network can learn from the generator's pictures and the decoder's labels.

    Raises:
        UsageError: it does not fit. GannotateError: the decoder is of another generator.
    """
    if generator.label_dim:
        raise UsageError(
            f"this generator draws {generator.label_dim} classes by their label; LayerMatch takes one that draws "
            "without labels"
        )
    if (network.size, network.image_channels) != (generator.size, generator.image_channels):
        raise UsageError(
            f"the generator draws {generator.size} px with {generator.image_channels} channel(s), the encoder takes "
            f"{network.size} px with {network.image_channels}; give it the generator's"
        )
    if decoder is None:
        return
    decoder.check_fits(generator)
    if decoder.classes != network.classes:
        raise UsageError(
            f"the decoder tells {decoder.classes} classes apart, the network {network.classes}; give it the decoder's"
        )


def pretrain(
    trainer: LayerMatchTrainer, folder: str | Path, resume: bool = True, generator: str = "", decoder: str = ""
) -> Iterator[Progress]:
    """Trains to the end; yields progress after each step.

    Iterating to the end leaves an encoder's folder, or a segmenter's where a decoder taught labels, with card and log.
    A pre-training that was stopped goes on, and ends as one that was not. `generator` and `decoder` are their names
    for the card.

    Raises:
        UsageError: the folder holds something else.
    """
    config, folder = trainer.config, Path(folder)
    distributed.from_first(lambda: check_new_pretraining(folder))
    loop = LoopConfig(steps=config.steps, minutes=config.minutes, seed=config.seed)
    yield from train(trainer, folder, loop, resume=resume)
    if not distributed.is_first():
        return
    saved = load_checkpoint(folder / "checkpoint.safetensors")
    rows = read_log(folder / "log.jsonl")
    about = {
        "method": "layermatch",
        "generator": generator,
        "generator_fingerprint": trainer.about["generator"],
        "decoder": decoder if trainer.decoder else None,
        "taps": [tap.name for tap in trainer.taps],
        "settings": trainer.about["settings"],
        "trained": {"steps": saved["done"], "seconds": round(saved["seconds"], 2)},
        "losses": {name: value for name, value in rows[-1].items() if name not in ("step", "seconds")},
    }
    save = save_encoder if trainer.decoder is None else save_segmenter
    save(folder, trainer.network, trainer.network_config, **about)
    write_card(folder, trainer.network_config, about)


def parameters(module: nn.Module) -> int:
    """How many numbers are learned in `module`."""
    return sum(parameter.numel() for parameter in module.parameters())
