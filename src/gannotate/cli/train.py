"""`gannotate train`: a segmentation network, from generated or labelled pictures, supervised or semi-supervised."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from gannotate.cli import show
from gannotate.cli.app import OK
from gannotate.cli.compute import SPEED, Precise, told
from gannotate.cli.device import prepare
from gannotate.cli.flags import settings
from gannotate.cli.kept import kept_by, kept_text, next_step, say_size, will_keep
from gannotate.cli.processes import recorded_once
from gannotate.cli.runs import check_not_held, drop_checkpoint, open_run, where
from gannotate.cli.train_methods import SEMANTIC_GAN, SUPERVISED, check_flags, method_settings, run_name, start_method
from gannotate.cli.training_data import count_pictures, origin_of, read_origin, read_unlabelled
from gannotate.data.augment import WARPS
from gannotate.generators.base import DrawOptions
from gannotate.project import Project
from gannotate.record import peak_rss_mb
from gannotate.segmenters.build import Architecture, SegmenterConfig
from gannotate.segmenters.online import OnlineConfig
from gannotate.segmenters.sources import Labels
from gannotate.segmenters.start_weights import encoder_in
from gannotate.segmenters.supervised import SegmenterTraining, train_segmenter
from gannotate.training import distributed
from gannotate.training.descent import Compute

Method = Literal["supervised", "pseudo-labels", "adversarial", "mean-teacher", "gct", "s4gan", "semantic-gan"]
"""How a segmenter learns; all but the first learn from unlabelled pictures too."""

ONLINE = Parameter(group=Group("Drawing online", sort_key=1))
SEMI = Parameter(group=Group("Semi-supervised methods", sort_key=2))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TrainFlags(Precise):
    """Flags of `train`."""

    method: Method = "supervised"
    """How it learns; all but supervised use unlabelled pictures too."""
    architecture: Architecture = SegmenterConfig.architecture
    """The network; unet-mobile and lraspp are small and fast, for CPUs."""
    encoder: str = SegmenterConfig.encoder
    """Encoder by its name in segmentation-models-pytorch, tu-NAME for timm's; the network's own when not given."""
    depth: int = SegmenterConfig.depth
    """Times the encoder halves the picture, 3 to 5; the network's own when 0."""
    weights: str = SegmenterConfig.weights
    """What the encoder starts from: random, imagenet (installed or fetched), a weights file, or the folder of a
    segmenter or of a pre-trained encoder, which also says which encoder and depth."""
    init: str | None = None
    """Start from a pre-trained encoder's or a segmenter's folder; another word for --weights DIR."""
    dataset: str | None = None
    """Dataset to learn from: its name in the project, e.g. 0001, a folder, or an address that fsspec reaches, e.g.
    s3://bucket/cells; the newest one when not given."""
    most: int | None = None
    """Use only the dataset's first so many pictures."""
    labelled: Annotated[tuple[Path, ...], Parameter(negative="")] = ()
    """Learn from labelled pictures instead: folder or zip of images/ and masks/; may be given several times."""
    shots: int | None = None
    """Use only so many of the labelled pictures, drawn with --seed."""
    mix: float | None = None
    """Fill this part of each batch, e.g. 0.25, from the labelled pictures, and the rest from the dataset or online."""
    steps: int | None = None
    """Optimisation steps; 600 when not given, and the method's own number with semantic-gan."""
    batch: int = SegmenterTraining.batch
    """Pictures a step."""
    learning_rate: float = SegmenterTraining.learning_rate
    """Largest step size; it rises for a twentieth of the steps, then falls to zero along a cosine."""
    labels: Labels = SegmenterTraining.labels
    """soft: learn from class probabilities where the data has them; hard: from label maps."""
    warp: Literal["aligned", "repurpose", "none"] = "aligned"
    """How far pictures are scaled, turned and moved: aligned (a little), repurpose (as RepurposeGAN) or none."""
    photometric: Annotated[bool, Parameter(negative="")] = SegmenterTraining.photometric
    """Change brightness, contrast, saturation and gamma too."""
    keep_every: int | None = None
    """Keep the network as it was after every so many steps, and after the last one, in the segmenter's folder kept:
    for evaluate --among. Each takes as much disk as the segmenter."""

    online: Annotated[bool, ONLINE, Parameter(negative="")] = False
    """Let generator and decoder draw while the network learns: no dataset is needed."""
    decoder: Annotated[str | None, ONLINE] = None
    """Decoder that labels online, e.g. 0001-light; the newest one of the generator when not given."""
    refresh: Annotated[float | None, ONLINE] = None
    """Part of a batch that is newly drawn, above 0 to 1; 0.25 when not given: a picture is seen about four times."""
    buffer: Annotated[int | None, ONLINE] = None
    """Drawn pictures that are kept to take batches from, 512 when not given; 0 keeps one batch only."""
    keep: Annotated[float | None, ONLINE] = None
    """Part of the buffer that is learned from, the most certain pictures; 1 when not given."""
    psi: Annotated[float | None, ONLINE] = None
    """Truncation; the project's own when not given."""
    cutoff: Annotated[int | None, ONLINE] = None
    """Truncate only the first so many styles; the project's own when not given."""
    noise: Annotated[Literal["const", "seeded", "none"] | None, ONLINE] = None
    """Per-pixel noise: const, seeded or none; the project's own when not given."""

    unlabelled: Annotated[Path | None, SEMI] = None
    """Unlabelled pictures: folder or zip."""
    generator: Annotated[Path | None, SEMI] = None
    """Draw the unlabelled pictures with this generator or project; semantic-gan starts from it instead."""
    most_unlabelled: Annotated[int | None, SEMI] = None
    """Use only the first so many unlabelled pictures; with --generator, draw so many (2000 when not given)."""
    method_setting: Annotated[tuple[str, ...], SEMI, Parameter(negative="")] = ()
    """A setting of the method, NAME=VALUE; may be given several times. A wrong name lists them all."""

    compile: Annotated[bool, SPEED, Parameter(negative="")] = False
    """Compile the network with torch.compile: a slow first step, then faster ones, most on CUDA cards."""

    def compute(self) -> Compute:
        """How it is computed."""
        return Compute(accumulate=self.accumulate, precision=self.precision, compile=self.compile)

    def segmenter_training(self, project: Project) -> SegmenterTraining:
        """The library's settings; flips and turns are as the project allows."""
        return SegmenterTraining(
            steps=self.steps_of(SegmenterTraining.steps if self.steps is None else self.steps),
            batch=self.batch,
            learning_rate=self.learning_rate,
            labels=self.labels,
            warp=WARPS[self.warp],
            mirror=project.mirror,
            turn90=project.config.turn90,
            photometric=self.photometric,
            minutes=self.minutes,
            keep_every=self.keep_every,
            seed=self.seed,
        )

    def segmenter_config(self, project: Project) -> SegmenterConfig:
        """The network for the project's pictures and classes."""
        weights = self.weights if self.init is None else self.init
        known = encoder_in(weights)
        return SegmenterConfig.of_classes(
            project.classes,
            image_channels=project.config.image_channels,
            size=project.config.size,
            architecture=self.architecture,
            encoder=self.encoder or known.get("encoder", ""),
            depth=self.depth or known.get("depth", 0),
            weights=weights,
        )

    def online_config(self) -> OnlineConfig:
        """How pictures are drawn online."""
        given = {name: getattr(self, name) for name in ("refresh", "buffer", "keep") if getattr(self, name) is not None}
        return OnlineConfig(**given, seed=self.seed)

    def draw_options(self, project: Project) -> DrawOptions:
        """How the generator draws online: as the project says, where no flag says otherwise."""
        own = project.config.draw.model_dump()
        return DrawOptions(**{name: own[name] if getattr(self, name) is None else getattr(self, name) for name in own})


def train(project: Path, /, *, flags: TrainFlags = TrainFlags()) -> int:
    """Train a segmentation network on the project's dataset, on drawn or labelled pictures, or on a mix.

    Args:
        project: the project's folder.
    """
    opened = Project.open(project)
    check_flags(flags)
    compute = flags.compute()
    network, how = flags.segmenter_config(opened), flags.segmenter_training(opened)
    origin = origin_of(flags, opened)
    name, config = run_name(flags, origin), settings(flags, **origin.config)
    chosen = method_settings(flags, network, how)
    config |= {"encoder": network.encoder, "depth": network.depth, "weights": network.weights}
    config["steps"] = (chosen if flags.method == SEMANTIC_GAN else how).steps
    if flags.online:
        config |= {"draw": vars(flags.draw_options(opened)), "online_config": vars(flags.online_config())}
    if flags.dry_run:
        would = f"train {name} in {where(opened, 'segmenters', name, flags, config)}"
        return show.plan(flags, [would, *will_keep(how)], config)
    device = prepare(flags, together=True)
    distributed.from_first(lambda: check_not_held(opened, "segmenters", name, flags, config))
    data, about = read_origin(origin, flags, opened, device)
    unlabelled = None
    if flags.method != SUPERVISED:
        unlabelled, drawn = read_unlabelled(flags, opened, device)
        about |= {"method": flags.method, **drawn}
    folder = distributed.from_first(lambda: open_run(opened, "segmenters", name, flags, config))
    with recorded_once(folder, "train", config, flags.seed) as record:
        record.about = about
        if unlabelled is None:
            running = train_segmenter(data, network, how, folder, flags.resume, about["label_source"], device, compute)
        else:
            source = about["label_source"]
            running = start_method(flags, chosen, data, unlabelled, network, how, folder, source, device)
        last = show.follow(say_size(told(running, flags), flags, how, folder), "train", flags.quiet)
        if not distributed.is_first():
            return OK
        steps = {"steps": last.done, **last.metrics} if last else {}
        record.result = {"segmenter": str(folder), "pictures": count_pictures(data), **about, **steps}
        record.result |= kept_by(how, folder)
        record.result["peak_rss_mb"] = round(peak_rss_mb())
    drop_checkpoint(folder)
    pictures, source = record.result["pictures"], about["label_source"]
    text = f"segmenter in {folder}, from {pictures} pictures ({source}), {show.clock(record.wall_s)}"
    result = record.result | {"seconds": record.wall_s}
    return show.finish(flags, result, text + kept_text(result), next_step(project, result))
