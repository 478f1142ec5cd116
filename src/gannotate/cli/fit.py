"""`gannotate fit`: a decoder from a few annotations, or from labels of real pictures (fit_real.py)."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.app import OK
from gannotate.cli.compute import Accumulating, told
from gannotate.cli.device import prepare
from gannotate.cli.fit_real import RealFlags, fit_from_real
from gannotate.cli.flags import settings
from gannotate.cli.generate import parse_seeds
from gannotate.cli.processes import recorded_once
from gannotate.cli.runs import drop_checkpoint, open_run, where
from gannotate.decoders.base import DecoderConfig
from gannotate.decoders.build import decoder_config, load_decoder
from gannotate.errors import UsageError
from gannotate.fitting import shots as shots_of
from gannotate.fitting import which_taps
from gannotate.fitting.config import FitConfig, Schedule, Solver, scheduled
from gannotate.fitting.fit import HELD_OUT_FOLDER
from gannotate.fitting.fit import fit as fit_decoder
from gannotate.fitting.held_out import read_held_out
from gannotate.generators.base import DrawOptions
from gannotate.generators.build import load_generator
from gannotate.parsing import Malformed, load_yaml
from gannotate.project import Project
from gannotate.record import peak_rss_mb
from gannotate.training import distributed
from gannotate.wording import counted, quoted

HOLD_OUT = False


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FitFlags(Accumulating):
    """Flags of `fit`."""

    labels_from: Annotated[Literal["annotations", "real"], Parameter(name="--from")] = "annotations"
    """annotations (of the project's generated pictures) or real (labelled real pictures, see --labelled)."""
    decoder: Literal["light", "cnn", "mlp", "ensemble", "fpn", "linear"] | None = None
    """light (semantic projection, the default), cnn (RepurposeGAN), mlp, ensemble (DatasetGAN), fpn (LAGM) or linear
    (LSE)."""
    schedule: Schedule = "ours"
    """Steps, batches and step sizes: ours, or the paper's (slow)."""
    shots: int | None = None
    """Use only so many annotations, or labelled real pictures, picked with --seed; all when not given."""
    pick: shots_of.Pick = "cover"
    """How --shots picks: cover (of a half drawn with --seed, those that represent it best) or random."""
    only: str | None = None
    """Use only the annotations of these pictures, e.g. 3,7,12-15."""
    taps: str | None = None
    """Activations to read: names (b16.conv1,b32.conv1), groups (coarse, middle, fine), or auto; the decoder's own
    when not given."""
    hold_out: bool | None = None
    """Leave pictures out in turn first, to find the number of steps and the temperature; done from 2 pictures on."""
    steps: int | None = None
    """Optimisation steps."""
    batch: int | None = None
    """Labelled pictures a step."""
    pixels: int | None = None
    """Pixels a step, for mlp, ensemble and linear; 0 shows whole pictures."""
    balance: float | None = None
    """How even the classes are among these pixels, or with --from real in the segmenter's loss: 0 as in the pictures, 1
    equally."""
    learning_rate: float | None = None
    """First step size."""
    weight_decay: float | None = None
    """Pull of the weights towards 0."""
    label_smoothing: float | None = None
    """Part of the target that is spread evenly over all classes."""
    noise_augment: Annotated[bool, Parameter(negative="")] = False
    """Draw the annotated pictures with fresh per-pixel noise in each step (slower)."""
    solver: Solver | None = None
    """For linear: closed (at once, the default) or gradient."""
    setting: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """A setting of this kind of decoder, e.g. width=64 or order=paper (light), members=5 (ensemble), paper=repurposegan
    (mlp), variant=S (cnn), interpolation=nearest."""

    def decoder_kind(self, default: str = "light") -> str:
        """The kind of decoder; `default` when none was given."""
        return self.decoder or default

    def decoder_settings(self, taps: tuple[str, ...]) -> dict[str, Any]:
        """The decoder's own settings, as `decoder_config` takes them."""
        given = dict(parse_setting(text) for text in self.setting)
        if "taps" in given:
            raise UsageError("taps are not set with --setting; name them with --taps, e.g. --taps middle")
        return given | ({"taps": list(taps)} if taps else {})

    def decoder_config(self, taps: tuple[str, ...]) -> DecoderConfig:
        """The decoder that learns from annotations."""
        return decoder_config(self.decoder_kind(), self.decoder_settings(taps))

    def fit_config(self, taps: tuple[str, ...], shots: int, size: int) -> FitConfig:
        """The library's settings for so many annotations."""
        chosen = scheduled(
            self.decoder_config(taps),
            self.schedule,
            shots,
            size,
            steps=self.steps,
            batch=self.batch,
            pixels=self.pixels,
            balance=self.balance,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            noise_augment=self.noise_augment or None,
            solver=self.solver,
            hold_out=HOLD_OUT if self.hold_out is None else self.hold_out,
            seed=self.seed,
        )
        return replace(chosen, steps=self.steps_of(chosen.steps))


def parse_setting(text: str) -> tuple[str, Any]:
    """`width=64` as ("width", 64): what stands behind = is read as YAML.

    Raises:
        UsageError: there is no =, or nothing that YAML can read.
    """
    name, sign, value = text.partition("=")
    parsed = None
    with contextlib.suppress(Malformed):
        parsed = load_yaml(value)
    if not sign or not name or parsed is None:
        raise UsageError(f"--setting {text!r} is not NAME=VALUE; give e.g. --setting width=64")
    return name.strip(), parsed


def fit(project: Path, /, *, flags: FitFlags = FitFlags(), real: RealFlags = RealFlags()) -> int:
    """Teach a decoder to read labels off the generator, from a few annotations or from labelled real pictures.

    Args:
        project: the project's folder.
    """
    if flags.labels_from == "real":
        return fit_from_real(project, flags, real)
    real.check_unused()
    if flags.shots is not None and flags.only is not None:
        raise UsageError("--shots and --only were both given; leave one out")
    opened = Project.open(project)
    only = () if flags.only is None else parse_seeds(flags.only, "--only")
    chosen = shots_of.choose(opened, flags.shots, only, flags.seed, flags.pick)
    shots = shots_of.load(opened, chosen)
    sources = dict(Counter(annotation.source for annotation in chosen))
    kind = flags.decoder_kind()
    config = settings(flags, decoder=kind, annotations=[shot.seed for shot in shots])
    if flags.dry_run:
        folder = where(opened, "decoders", kind, flags, config)
        return show.plan(flags, [f"fit a {kind} decoder to {counted(len(shots), 'annotation')} in {folder}"], config)
    generator = load_generator(opened.generator_folder, prepare(flags, together=True))
    options = DrawOptions(**opened.config.draw.model_dump())
    classes, names = len(opened.classes), which_taps.named(flags.taps, generator)
    how = flags.fit_config(names, len(shots), generator.size)  # wrong settings are told before anything is made
    if how.solver == "closed" and flags.accumulate > 1:
        raise UsageError(f"--accumulate is {flags.accumulate}, and the closed form takes no steps; leave it out")
    folder = distributed.from_first(lambda: open_run(opened, "decoders", kind, flags, config))
    with recorded_once(folder, "fit", config, flags.seed) as record:
        record.about = {"label_sources": sources}
        choice = None
        if which_taps.is_auto(flags.taps):
            # by one process: on processors of two kinds rounding may choose differently
            choice = distributed.from_first(
                lambda: which_taps.choose(generator, shots, classes, options, kind, how.decoder, flags.seed)
            )
            show.say(
                flags, choice.as_text() if choice else "taps: all; one labelled picture has no other to compare with"
            )
            how = flags.fit_config(choice.chosen.names if choice else (), len(shots), generator.size)
        if how.hold_out and len(shots) < 2:
            show.say(flags, "one labelled picture: none can be left out, so the temperature stays 1")
        running = fit_decoder(
            generator, shots, classes, how, options, folder, flags.resume, flags.minutes, flags.compute()
        )
        last = show.follow(told(running, flags), "fit", flags.quiet)
        if not distributed.is_first():
            return OK
        held = read_held_out(folder / HELD_OUT_FOLDER)
        if held:
            show.say(flags, held.as_text())
        record.result = {
            "decoder": str(folder),
            "shots": len(shots),
            "label_sources": sources,
            "steps": last.done if last else how.steps,
            **(last.metrics if last else {}),
            "parameters": sum(parameter.numel() for parameter in load_decoder(folder).parameters()),
            "peak_rss_mb": round(peak_rss_mb()),
            **({"tap_choice": choice.as_dict()} if choice else {}),
            **({"temperature": held.temperature} if held else {}),
        }
    drop_checkpoint(folder)
    labels = ", ".join(f"{count} {source}" for source, count in sources.items())
    text = f"decoder in {folder}, from {counted(len(shots), 'annotation')} ({labels}), {show.clock(record.wall_s)}"
    return show.finish(
        flags, record.result | {"seconds": record.wall_s}, text, f"gannotate synthesize {quoted(project)} -n 2000"
    )
