"""`gannotate train`: a segmentation network, from a generated dataset or from labelled pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.device import prepare
from gannotate.cli.flags import Common, Training, settings
from gannotate.cli.runs import drop_checkpoint, open_run, where
from gannotate.data.augment import WARPS
from gannotate.data.labelled import LabelledSet, read_labelled
from gannotate.data.shards import read_dataset
from gannotate.errors import UsageError
from gannotate.fitting.shots import draw_some
from gannotate.project import Project
from gannotate.record import read_record, recorded
from gannotate.segmenters.build import Architecture, SegmenterConfig
from gannotate.segmenters.sources import Labels
from gannotate.segmenters.supervised import SegmenterTraining, train_segmenter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TrainFlags(Training):
    """Flags of `train`."""

    architecture: Architecture = SegmenterConfig.architecture
    """The network; unet-mobile and lraspp are small and fast, for CPUs."""
    encoder: str = SegmenterConfig.encoder
    """Encoder by its name in segmentation-models-pytorch, tu-NAME for timm's; the network's own when not given."""
    depth: int = SegmenterConfig.depth
    """Times the encoder halves the picture, 3 to 5; the network's own when 0."""
    weights: str = SegmenterConfig.weights
    """What the encoder starts from: random, imagenet (fetched from the hub), a segmenter's folder or a weights file."""
    dataset: str | None = None
    """Dataset to learn from: its name in the project, e.g. 0001, or a folder; the newest one when not given."""
    most: int | None = None
    """Use only the dataset's first so many pictures."""
    labelled: Annotated[tuple[Path, ...], Parameter(negative="")] = ()
    """Learn from labelled pictures instead: folder or zip of images/ and masks/; may be given several times."""
    shots: int | None = None
    """Use only so many of the labelled pictures, drawn with --seed."""
    steps: int = SegmenterTraining.steps
    """Optimisation steps."""
    batch: int = SegmenterTraining.batch
    """Pictures a step."""
    learning_rate: float = SegmenterTraining.learning_rate
    """Largest step size; it rises for a twentieth of the steps, then falls to zero along a cosine."""
    labels: Labels = SegmenterTraining.labels
    """soft: learn from class probabilities where the dataset has them; hard: from label maps."""
    warp: Literal["aligned", "repurpose", "none"] = "aligned"
    """How far pictures are scaled, turned and moved: aligned (a little), repurpose (as RepurposeGAN) or none."""
    photometric: Annotated[bool, Parameter(negative="")] = SegmenterTraining.photometric
    """Change brightness, contrast, saturation and gamma too."""

    def segmenter_training(self, project: Project) -> SegmenterTraining:
        """The library's settings; flips and turns are as the project allows."""
        return SegmenterTraining(
            steps=self.steps_of(self.steps),
            batch=self.batch,
            learning_rate=self.learning_rate,
            labels=self.labels,
            warp=WARPS[self.warp],
            mirror=project.mirror,
            turn90=project.config.turn90,
            photometric=self.photometric,
            minutes=self.minutes,
            seed=self.seed,
        )

    def segmenter_config(self, project: Project) -> SegmenterConfig:
        """The network for the project's pictures and classes."""
        return SegmenterConfig.of_classes(
            project.classes,
            image_channels=project.config.image_channels,
            size=project.config.size,
            architecture=self.architecture,
            encoder=self.encoder,
            depth=self.depth,
            weights=self.weights,
        )


def train(project: Path, /, *, flags: TrainFlags = TrainFlags()) -> int:
    """Train a segmentation network on the project's dataset, or on labelled pictures.

    Args:
        project: the project's folder.
    """
    opened = Project.open(project)
    network, how = flags.segmenter_config(opened), flags.segmenter_training(opened)
    if flags.labelled:
        about: dict[str, Any] = {"label_source": "labelled pictures"}
        name, config = f"{flags.architecture}-supervised", settings(flags)
    elif flags.shots is not None:
        raise UsageError("--shots draws from labelled pictures; give them with --labelled, or leave --shots out")
    else:
        dataset = dataset_folder(opened, flags.dataset)
        about, name = about_dataset(opened, dataset), flags.architecture
        config = settings(flags, dataset=str(dataset))
    config |= {"encoder": network.encoder, "depth": network.depth}
    if flags.dry_run:
        return show.plan(flags, [f"train {name} in {where(opened, 'segmenters', name, flags, config)}"], config)
    device = prepare(flags)
    if flags.labelled:
        data = read_all(flags, opened, flags.labelled, flags.shots)
        about["labels"] = len(data)
    else:
        data = read_dataset(Path(config["dataset"]), len(opened.classes), flags.most)
    folder = open_run(opened, "segmenters", name, flags, config)
    with recorded(folder, "train", config, flags.seed) as record:
        record.about = about
        running = train_segmenter(data, network, how, folder, flags.resume, about["label_source"], device)
        last = show.follow(running, "train", flags.quiet)
        steps = {"steps": last.done, **last.metrics} if last else {}
        record.result = {"segmenter": str(folder), "pictures": len(data), **about, **steps}
    drop_checkpoint(folder)
    text = f"segmenter in {folder}, from {len(data)} pictures ({about['label_source']}), {show.clock(record.wall_s)}"
    result = record.result | {"seconds": record.wall_s}
    return show.finish(flags, result, text, f"gannotate evaluate {project} --test DIR")


def dataset_folder(project: Project, given: str | None) -> Path:
    """A dataset by its folder or by its name in the project; the newest one when not given."""
    if given is not None and (Path(given) / "manifest.json").exists():
        return Path(given)
    return project.find("datasets", given)


def about_dataset(project: Project, dataset: Path) -> dict[str, Any]:
    """Where a dataset's labels come from: the decoder, and the annotations that taught it."""
    made = read_record(dataset)
    if made is None or "decoder" not in made["config"]:
        return {"label_source": f"dataset {dataset.name}", "labels": None}
    decoder = made["config"]["decoder"]
    taught = read_record(project.folder / "decoders" / decoder) or {}
    result = taught.get("result", {})
    return {
        "label_source": f"decoder {decoder}",
        "labels": result.get("shots"),
        "decoder_label_sources": result.get("label_sources"),
    }


def read_all(
    flags: Common, project: Project, paths: Sequence[Path], shots: int | None, size: int | None = None
) -> LabelledSet:
    """Labelled pictures of all `paths` together, at `size` (the project's) px; `shots` of them drawn with --seed.

    Raises:
        UsageError: fewer pictures than `shots`; and what `read_labelled` raises.
    """
    sets = []
    for path in paths:
        data = read_labelled(path, len(project.classes), size or project.config.size, project.config.image_channels)
        for item in data.skipped[:10]:
            show.say(flags, f"skipped {path}/{item.name}: {item.reason}")
        if len(data.skipped) > 10:
            show.say(flags, f"... and {len(data.skipped) - 10} more of {path}")
        sets.append(data)
    joined = LabelledSet(
        tuple(name for data in sets for name in data.names),
        np.concatenate([data.pictures for data in sets]),
        np.concatenate([data.label_maps for data in sets]),
    )
    return joined if shots is None else joined.take(draw_some(len(joined), shots, flags.seed))
