"""`gannotate fit --from real`: a decoder from labels of real pictures."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from gannotate.cli import show
from gannotate.cli.app import OK
from gannotate.cli.device import prepare
from gannotate.cli.flags import settings
from gannotate.cli.processes import recorded_once
from gannotate.cli.runs import drop_checkpoint, open_run, where
from gannotate.cli.training_data import check_side, read_all
from gannotate.data.augment import Augmentation
from gannotate.decoders.base import DecoderConfig
from gannotate.decoders.build import decoder_config, load_decoder
from gannotate.errors import UsageError
from gannotate.features.source import FeatureSource
from gannotate.fitting import shots as shots_of
from gannotate.fitting import which_taps
from gannotate.fitting.alternation import Start, State
from gannotate.fitting.gradient_matching import Counted
from gannotate.fitting.inversion_labels import Space
from gannotate.fitting.real import Beginning, Method, check_real, fit_real, real_schedule
from gannotate.fitting.real_task import RealConfig, RealTask, settings_of
from gannotate.generators.base import DrawOptions, Generator
from gannotate.generators.build import load_generator
from gannotate.inversion.known import ACCEPTED, DOUBTFUL_DB, KnownLatents, read_known
from gannotate.pretraining.sources import PictureKind, open_source
from gannotate.project import Project
from gannotate.record import peak_rss_mb
from gannotate.segmenters.architectures import Architecture
from gannotate.training import distributed
from gannotate.wording import counted, quoted

if TYPE_CHECKING:
    from gannotate.cli.fit import FitFlags

SCORED = 32
"""Annotated pool pictures, the first by seed, that a fit is scored on while it runs."""

REAL = Parameter(group=Group("Flags of --from real", sort_key=5))

OF_ANNOTATIONS = ("pick", "only", "hold_out", "pixels", "weight_decay", "label_smoothing", "solver", "accumulate")
"""Flags of `fit` that mean nothing to labels of real pictures."""

SEEKING = ("inversion_steps", "space")
"""Settings of seeking latents, which mean nothing where they are known."""

NOT_SETTINGS = ("method", "labelled", "begin", "features", "features_weights", "latents")
"""Flags here that are no setting of a method."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RealFlags:
    """Flags of `fit --from real`; those that are not given are as the method's schedule says."""

    method: Annotated[Method | None, REAL] = None
    """gradient-matching (the default), maml, pseudo-labels or inversion; features, the default with --features."""
    begin: Annotated[Beginning | None, REAL] = None
    """What the decoder knows at first: nothing (as in the papers, the default), pseudo-labels (of a U-Net that learns
    the labelled pictures) or inversion (the labels, at activations that redraw their pictures); for gradient-matching
    and maml. Better with few pictures."""
    labelled: Annotated[tuple[Path, ...], REAL, Parameter(negative="")] = ()
    """Real pictures with labels: folder or zip of images/ and masks/; may be given several times."""
    features: Annotated[str | None, REAL] = None
    """Read the activations of this network at the labelled pictures, not the generator's: folder of an encoder or a VAE
    (from `gannotate pretrain`), of a segmenter, or timm:NAME."""
    features_weights: Annotated[str | None, REAL] = None
    """Weights of timm:NAME: a file, imagenet (installed or fetched) or random."""
    generated: Annotated[int | None, REAL] = None
    """Generated pictures a step."""
    augment: Annotated[bool | None, REAL] = None
    """Scale, turn, move and (where the project allows) flip the labelled pictures."""
    augment_generated: Annotated[bool | None, REAL] = None
    """Move the generated pictures, with the decoder's labels, in the same ways."""
    match: Annotated[str | None, REAL] = None
    """Whose gradients are matched: all, head, or names of the segmenter's blocks, e.g. up.3,head."""
    counted: Annotated[Counted | None, REAL] = None
    """What the mean over layers is over: matched (those with a distance) or all (biases and norms count as 0)."""
    interval: Annotated[int | None, REAL] = None
    """Decoder steps for each step of the segmenter (the paper's K)."""
    segmenter: Annotated[Architecture | None, REAL] = None
    """The segmentation network that learns beside the decoder, or gives the pseudo-labels."""
    segmenter_encoder: Annotated[str | None, REAL] = None
    """Its encoder; the network's own when not given."""
    segmenter_depth: Annotated[int | None, REAL] = None
    """Times its encoder halves the picture."""
    segmenter_width: Annotated[int | None, REAL] = None
    """Channels of its decoder at the coarsest (unet-classic: at the finest)."""
    segmenter_size: Annotated[int | None, REAL] = None
    """Side in px of the pictures that it sees; the project's when not given."""
    segmenter_weights: Annotated[str | None, REAL] = None
    """What its encoder starts from: random, imagenet (installed or fetched), a segmenter's folder or a weights file."""
    segmenter_rate: Annotated[float | None, REAL] = None
    """Its first step size."""
    segmenter_state: Annotated[State | None, REAL] = None
    """continued (it learns on), reinitialised (it starts anew every so many steps) or fixed."""
    reinitialise_every: Annotated[int | None, REAL] = None
    """Decoder steps between new starts, for reinitialised."""
    segmenter_start: Annotated[Start | None, REAL] = None
    """With --pretrain: pretrained (it starts as that one) or new (that one gives the warm start's labels alone)."""
    teacher: Annotated[Architecture | None, REAL] = None
    """With --segmenter-start new: the network that is pre-trained; another like --segmenter when not given."""
    pretrain: Annotated[int | None, REAL] = None
    """Steps of 16 labelled pictures that it is trained for first."""
    warm_start: Annotated[int | None, REAL] = None
    """First steps, in which the decoder learns from the pre-trained segmenter's labels, or as --begin says."""
    psi: Annotated[float | None, REAL] = None
    """Truncation of the generated pictures that are learned from; as the project draws them when not given."""
    cutoff: Annotated[int | None, REAL] = None
    """With --psi: truncate only the first this many styles."""
    fresh_noise: Annotated[bool | None, REAL] = None
    """Draw with fresh per-pixel noise in each step."""
    inner_steps: Annotated[int | None, REAL] = None
    """maml: steps of the segmenter that are unrolled."""
    inner_rate: Annotated[float | None, REAL] = None
    """maml: their step size."""
    confidence: Annotated[float | None, REAL] = None
    """pseudo-labels: a pixel teaches when the segmenter gives its class at least this probability."""
    space: Annotated[Space | None, REAL] = None
    """inversion: w (one style for all layers) or w+ (one for each)."""
    inversion_steps: Annotated[int | None, REAL] = None
    """inversion, as --method or as --begin: steps of the projector for each picture."""
    latents: Annotated[Path | None, REAL] = None
    """inversion, as --method or as --begin: latents that draw the labelled pictures, which are then not sought; a
    folder of `gannotate invert`, or a .npy whose row k is of the picture with the number k (DatasetGAN's; z is
    truncated as the project draws)."""

    @property
    def given(self) -> list[str]:
        """Names of the flags that were given."""
        return [item.name for item in fields(self) if getattr(self, item.name) not in (None, ())]

    def check_unused(self) -> None:
        """Refuses these flags where labels come from annotations."""
        if self.given:
            name = self.given[0].replace("_", "-")
            raise UsageError(f"--{name} belongs to labels of real pictures; add --from real, or leave it out")


def fit_from_real(project: Path, flags: FitFlags, real: RealFlags) -> int:
    """What `gannotate fit --from real` does."""
    _check(flags, real)
    opened = Project.open(project)
    how = _real_config(flags, real)  # wrong settings are told before anything is read
    taught = flags.decoder_kind(how.kind)
    given = json.loads(json.dumps(asdict(real), default=str))
    idle = SEEKING if real.latents else ()
    resolved = {key: value for key, value in settings_of(how).items() if key not in idle}
    config = settings(flags, decoder=taught, **given, resolved=resolved)
    name = f"{taught}-{_method(real)}"
    if flags.dry_run:
        folder = where(opened, "decoders", name, flags, config)
        return show.plan(flags, [f"fit a {taught} decoder to real pictures ({_method(real)}) in {folder}"], config)
    generator = load_generator(opened.generator_folder, prepare(flags, together=True)).requires_grad_(False)
    source = _source(real, generator)
    how = _real_config(flags, real, which_taps.named(flags.taps, source or generator))
    task = _task(flags, opened, generator, how, real, source)
    check_real(task, how)
    if real.latents is not None:
        task = replace(task, latents=_latents(flags, opened, real.latents, task))
    folder = distributed.from_first(lambda: open_run(opened, "decoders", name, flags, config))
    with recorded_once(folder, "fit", config, flags.seed) as record:
        record.about = {"label_sources": {"real": len(task.labelled)}}
        if not task.held_out and source is None:
            show.say(flags, "the project has no annotations to score the decoder on, so there is no live curve")
        last = show.follow(fit_real(task, how, folder, flags.resume, flags.minutes), "fit", flags.quiet)
        if not distributed.is_first():
            return OK
        record.result = {
            "decoder": str(folder),
            "method": _method(real),
            "shots": len(task.labelled),
            "label_sources": {"real": len(task.labelled)},
            "steps": last.done if last else how.steps,
            **(last.metrics if last else {}),
            "held_out_pictures": len(task.held_out),
            "parameters": sum(parameter.numel() for parameter in load_decoder(folder).parameters()),
            "peak_rss_mb": round(peak_rss_mb()),
        }
        if task.latents is not None:
            record.result["latents_psnr_db"] = round(float(task.latents.psnr.median()), 1)
    drop_checkpoint(folder)
    labels = f"{counted(len(task.labelled), 'real picture')} ({_method(real)})"
    text = f"decoder in {folder}, from {labels}, {show.clock(record.wall_s)}"
    result = record.result | {"seconds": record.wall_s}
    next_step = f"gannotate synthesize {quoted(project)} -n 2000"
    if source is not None:
        next_step = f"gannotate predict {quoted(project)} PICTURES --through features --out DIR"
    return show.finish(flags, result, text, next_step)


def _method(real: RealFlags) -> Method:
    return real.method or ("features" if real.features else "gradient-matching")


def _check(flags: FitFlags, real: RealFlags) -> None:
    if not real.labelled:
        raise UsageError(
            "there are no labelled real pictures; give a folder or zip of images/ and masks/ with --labelled DIR"
        )
    defaults = type(flags)()
    for name in OF_ANNOTATIONS:
        if getattr(flags, name) != getattr(defaults, name):
            raise UsageError(
                f"--{name.replace('_', '-')} belongs to a project's annotations; leave it out, or leave out --from real"
            )
    if (_method(real) == "features") != (real.features is not None):
        raise UsageError(
            "--features names the network that --method features reads, and no other method reads one; give "
            "--features DIR or timm:NAME with that method or without any"
        )
    if real.features_weights is not None and real.features is None:
        raise UsageError("--features-weights are for --features timm:NAME; give that, or leave them out")
    _check_latents(real)
    check_side("--segmenter-size", real.segmenter_size)
    if flags.noise_augment:
        raise UsageError("--noise-augment belongs to a project's annotations; use --fresh-noise with --from real")
    if which_taps.is_auto(flags.taps):
        raise UsageError("--taps auto compares annotated pictures; name the taps, e.g. --taps middle, or leave it out")


def _check_latents(real: RealFlags) -> None:
    if real.latents is None:
        return
    if "inversion" not in (_method(real), real.begin):
        raise UsageError(
            "--latents are read where labelled pictures are inverted; add --method inversion or --begin inversion, or "
            "leave them out"
        )
    for name in SEEKING:
        if getattr(real, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is of seeking latents, which --latents gives; leave one out")
    if not real.latents.exists():
        raise UsageError(f"{real.latents} does not exist; {ACCEPTED}")


def _real_config(flags: FitFlags, real: RealFlags, taps: tuple[str, ...] = ()) -> RealConfig:
    """The library's settings; the taps are known when the generator is."""
    chosen = {name: getattr(real, name) for name in real.given if name not in NOT_SETTINGS}
    chosen |= {"steps": flags.steps, "batch": flags.batch, "learning_rate": flags.learning_rate}
    chosen |= {"balance": flags.balance, "seed": flags.seed}
    how = real_schedule(_method(real), flags.schedule, None, real.begin or "nothing", **chosen)
    decoder = _decoder(flags, how, taps)
    inverts = getattr(how, "warm_from", "inversion") == "inversion"
    stages = ("steps", "pretrain", *(["inversion_steps"] if inverts else []))
    limited = chosen | {name: flags.steps_of(getattr(how, name)) for name in stages if getattr(how, name, 0)}
    return real_schedule(_method(real), flags.schedule, decoder, real.begin or "nothing", **limited)


def _decoder(flags: FitFlags, how: RealConfig, taps: tuple[str, ...]) -> DecoderConfig | None:
    if flags.decoder is None and not flags.setting and not taps:
        return None
    return decoder_config(flags.decoder or how.kind, flags.decoder_settings(taps))


def _source(real: RealFlags, generator: Generator) -> FeatureSource | None:
    """The network whose activations are read in place of the generator's, for pictures like those of the generator."""
    if real.features is None:
        return None
    pictures = PictureKind(size=generator.size, image_channels=generator.image_channels)
    return open_source(real.features, pictures, real.features_weights, next(generator.parameters()).device)


def _task(
    flags: FitFlags,
    project: Project,
    generator: Generator,
    how: RealConfig,
    real: RealFlags,
    source: FeatureSource | None,
) -> RealTask:
    size = how.picture_size(generator)
    labelled = read_all(flags, project, real.labelled, flags.shots, size)
    annotations: list[Any] = project.annotations()[:SCORED] if source is None else []
    return RealTask(
        generator=generator,
        labelled=labelled,
        classes=project.classes,
        options=DrawOptions(**project.config.draw.model_dump()),
        augmentation=Augmentation(mirror=project.mirror, turn90=project.config.turn90),
        held_out=tuple(shots_of.load(project, annotations)),
        source=source,
    )


def _latents(flags: FitFlags, project: Project, path: Path, task: RealTask) -> KnownLatents:
    """Those of --latents; says so where what they draw is not much like the labelled pictures."""
    known = read_known(path, task.labelled.names, task.labelled.pictures, task.generator, task.options)
    median = float(known.likeness.median())
    if path.is_file() and median < DOUBTFUL_DB:
        drawn = project.config.draw
        show.say(
            flags,
            f"the pictures are at {median:.0f} dB from what their latents draw, little for those that drew them: see "
            f"whether psi {drawn.psi:g} and cutoff {drawn.cutoff} of {project.folder / 'project.yaml'} were theirs",
        )
    return known
