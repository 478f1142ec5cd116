"""`gannotate fit`: a decoder from a few annotations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Stepped, settings
from gannotate.cli.generate import parse_seeds
from gannotate.cli.runs import drop_checkpoint, open_run, where
from gannotate.decoders.light import LightConfig, Order
from gannotate.errors import UsageError
from gannotate.fitting import shots as shots_of
from gannotate.fitting.supervised import FitConfig
from gannotate.fitting.supervised import fit as fit_decoder
from gannotate.generators.base import DrawOptions
from gannotate.generators.build import load_generator
from gannotate.project import Project
from gannotate.record import recorded


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FitFlags(Stepped):
    """Flags of `fit`."""

    decoder: Literal["light"] = "light"
    """Kind of decoder: light (semantic projection)."""
    shots: int | None = None
    """Use only so many annotations, picked with --seed; all when not given."""
    pick: shots_of.Pick = "cover"
    """How --shots picks: cover (of a half drawn with --seed, those that represent it best) or random."""
    only: str | None = None
    """Use only the annotations of these pictures, e.g. 3,7,12-15."""
    steps: int = FitConfig.steps
    """Optimisation steps."""
    batch: int = FitConfig.batch
    """Annotated pictures a step."""
    learning_rate: float = FitConfig.learning_rate
    """First step size; it falls to zero along a cosine."""
    label_smoothing: float = FitConfig.label_smoothing
    """Part of the target that is spread evenly over all classes."""
    noise_augment: Annotated[bool, Parameter(negative="")] = FitConfig.noise_augment
    """Draw the annotated pictures with fresh per-pixel noise in each step (slower)."""
    width: int = LightConfig.width
    """Most feature maps of a convolution in the decoder."""
    dropout: float = LightConfig.dropout
    """Part of the decoder's values that is dropped while fitting."""
    order: Order = LightConfig.order
    """Layers of a block: paper (dropout, convolution, norm) or code (convolution, norm, activation, dropout)."""
    taps: str | None = None
    """Activations to read, e.g. b16.conv1,b32.conv1; the last of each resolution when not given."""

    def fit_config(self) -> FitConfig:
        """The library's settings."""
        taps = tuple(name.strip() for name in self.taps.split(",")) if self.taps else ()
        return FitConfig(
            decoder=LightConfig(width=self.width, dropout=self.dropout, order=self.order, taps=taps),
            steps=self.steps_of(self.steps),
            batch=self.batch,
            learning_rate=self.learning_rate,
            label_smoothing=self.label_smoothing,
            noise_augment=self.noise_augment,
            seed=self.seed,
        )


def fit(project: Path, /, *, flags: FitFlags = FitFlags()) -> int:
    """Teach a decoder to read labels off the generator, from a few annotations.

    Args:
        project: the project's folder.
    """
    if flags.shots is not None and flags.only is not None:
        raise UsageError("--shots and --only were both given; leave one out")
    opened = Project.open(project)
    chosen = shots_of.choose(opened, flags.shots, parse_seeds(flags.only) if flags.only else (), flags.seed, flags.pick)
    shots = shots_of.load(opened, chosen)
    sources = dict(Counter(annotation.source for annotation in chosen))
    config = settings(flags, annotations=[shot.seed for shot in shots])
    if flags.dry_run:
        folder = where(opened, "decoders", flags.decoder, flags, config)
        return show.plan(flags, [f"fit a {flags.decoder} decoder to {len(shots)} annotations in {folder}"], config)
    generator = load_generator(opened.generator_folder, prepare(flags))
    options = DrawOptions(**opened.config.draw.model_dump())
    folder = open_run(opened, "decoders", flags.decoder, flags, config)
    with recorded(folder, "fit", config, flags.seed) as record:
        record.about = {"label_sources": sources}
        running = fit_decoder(
            generator, shots, len(opened.classes), flags.fit_config(), options, folder, resume=flags.resume
        )
        last = show.follow(running, "fit", flags.quiet)
        record.result = {
            "decoder": str(folder),
            "shots": len(shots),
            "label_sources": sources,
            "steps": last.done if last else flags.fit_config().steps,
            **(last.metrics if last else {}),
        }
    drop_checkpoint(folder)
    labels = ", ".join(f"{count} {source}" for source, count in sources.items())
    text = f"decoder in {folder}, from {len(shots)} annotations ({labels}), {show.clock(record.wall_s)}"
    return show.finish(
        flags, record.result | {"seconds": record.wall_s}, text, f"gannotate synthesize {project} -n 2000"
    )
