"""What `gannotate train` learns from: labelled pictures, a dataset, pictures drawn online, or a mix of them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gannotate.cli import show
from gannotate.cli.flags import Common
from gannotate.cli.generate import generator_folder
from gannotate.cli.which_decoder import decoder_reading
from gannotate.data.labelled import LabelledSet, read_labelled
from gannotate.data.manifest import MANIFEST
from gannotate.data.pictures import PictureSource
from gannotate.data.real_pictures import SMALLEST
from gannotate.data.remote import Place, Remote, place_of
from gannotate.data.shards import read_dataset
from gannotate.decoders.build import load_decoder
from gannotate.errors import GannotateError, UsageError
from gannotate.fitting.shots import draw_some
from gannotate.generators.base import DrawOptions, draw, to_uint8
from gannotate.generators.build import load_generator
from gannotate.project import Project
from gannotate.record import RECORD, read_record
from gannotate.segmenters.online import Online
from gannotate.segmenters.predict import brought_to
from gannotate.segmenters.sources import Mixed, Source, Stored
from gannotate.synthesis import DATASET_FIRST_SEED
from gannotate.wording import counted

if TYPE_CHECKING:
    from gannotate.cli.train import TrainFlags

LARGEST_SCORED = 4096
"""Pictures are scored at no larger side in px: one of so many takes 50 MB, and its probabilities 67 MB a class."""

UNLABELLED_DRAWN = 2000
"""Pictures that --generator draws when --most-unlabelled does not say otherwise."""


@dataclass(frozen=True)
class Origin:
    """What a training learns from, as the flags say; nothing is read yet.

    folder: of the dataset, or of the decoder that labels online; None for labelled pictures alone.
    """

    kind: Literal["labelled", "dataset", "online"]
    folder: Place | None = None
    mix: float | None = None

    @property
    def name(self) -> str:
        """End of a run folder's name, for a training without other methods."""
        kind = {"labelled": "-supervised", "dataset": "", "online": "-online"}[self.kind]
        return kind + ("-mixed" if self.mix is not None else "")

    @property
    def config(self) -> dict[str, str]:
        """What goes into the run's settings in place of names and defaults."""
        key = {"dataset": "dataset", "online": "decoder"}.get(self.kind)
        return {key: str(self.folder) if self.kind == "dataset" else self.folder.name} if key and self.folder else {}


def origin_of(flags: TrainFlags, project: Project) -> Origin:
    """Which data the flags ask for.

    Raises:
        UsageError: no such dataset or decoder.
    """
    if flags.online:
        return Origin("online", decoder_reading(project, flags.decoder, "generator"), flags.mix)
    if flags.labelled and flags.mix is None:
        return Origin("labelled")
    return Origin("dataset", dataset_folder(project, flags.dataset), flags.mix)


def read_origin(
    origin: Origin, flags: TrainFlags, project: Project, device: str
) -> tuple[LabelledSet | Source, dict[str, Any]]:
    """The data, and what a run's record tells about its labels.

    Raises:
        UsageError: too few labelled pictures, or data of another kind than the project's. GannotateError: damaged
            files.
    """
    if origin.kind == "labelled":
        real = read_all(flags, project, flags.labelled, flags.shots)
        return real, {"label_source": "labelled pictures", "labels": len(real)}
    assert origin.folder is not None
    if origin.kind == "online":
        assert isinstance(origin.folder, Path)  # a decoder is in the project
        data, about = _online(origin.folder, flags, project, device), about_decoder(project, origin.folder.name)
    else:
        data = read_dataset(origin.folder, len(project.classes), flags.most)
        about = about_dataset(project, origin.folder)
    if origin.mix is None:
        return data, about
    real = read_all(flags, project, flags.labelled, flags.shots)
    made = Stored(data, flags.labels) if isinstance(data, LabelledSet) else data
    mixed = Mixed([(made, 1 - origin.mix), (Stored(real, flags.labels), origin.mix)])
    labels = None if about["labels"] is None else about["labels"] + len(real)
    source = f"{about['label_source']} and labelled pictures"
    return mixed, about | {"label_source": source, "labels": labels, "real_labels": len(real), "mix": origin.mix}


def count_pictures(data: LabelledSet | Source) -> int:
    """Pictures that a training learned from; drawn ones are counted as far as they were drawn."""
    if isinstance(data, Mixed):
        return sum(count_pictures(source) for source, _ in data.parts)
    if isinstance(data, Online):
        return data.drawn
    return len(data.data if isinstance(data, Stored) else data)  # pyright: ignore[reportArgumentType]


def read_unlabelled(flags: TrainFlags, project: Project, device: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Unlabelled pictures uint8 (n, size, size, c), real or drawn, and what a run's record tells about them.

    Raises:
        UsageError: no pictures, or a generator of another size or number of channels. GannotateError: none of the
            pictures can be read.
    """
    if flags.unlabelled is None:
        pictures = _drawn_pictures(flags, project, device)
        source = f"drawn by {flags.generator}"
    else:
        pictures = _unlabelled_pictures(flags, project)
        source = str(flags.unlabelled)
    return pictures, {"unlabelled": len(pictures), "unlabelled_source": source}


def _drawn_pictures(flags: TrainFlags, project: Project, device: str) -> np.ndarray:
    assert flags.generator is not None
    generator = load_generator(generator_folder(flags.generator), device)
    size, channels = project.config.size, project.config.image_channels
    if (generator.size, generator.image_channels) != (size, channels):
        raise UsageError(
            f"{flags.generator} draws {generator.size} px pictures with {generator.image_channels} channel(s), the "
            f"project has {size} px and {channels}; give a generator like the project's"
        )
    count = UNLABELLED_DRAWN if flags.most_unlabelled is None else flags.most_unlabelled
    seeds = range(DATASET_FIRST_SEED, DATASET_FIRST_SEED + count)
    options = DrawOptions(**project.config.draw.model_dump())
    return np.concatenate([to_uint8(drawing.picture) for _, drawing in draw(generator, seeds, options)])


def _unlabelled_pictures(flags: TrainFlags, project: Project) -> np.ndarray:
    assert flags.unlabelled is not None
    source = PictureSource(flags.unlabelled)
    read, failed = [], []
    for name in source.names[: flags.most_unlabelled]:
        try:
            image = source.read(name)
        except GannotateError as error:
            failed.append(f"{name}: {error}")
            continue
        array = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
        read.append(brought_to(array, project.config.size, project.config.image_channels))
    name_some(flags, [f"skipped {flags.unlabelled}/{reason}" for reason in failed], str(flags.unlabelled))
    if not read:
        raise GannotateError(
            f"of {counted(len(failed), 'picture')} in {flags.unlabelled} none can be read, the first: {failed[0]}"
        )
    return np.stack(read)


def _online(decoder_folder: Path, flags: TrainFlags, project: Project, device: str) -> Online:
    generator = load_generator(project.generator_folder, device)
    decoder = load_decoder(decoder_folder, device)
    return Online(generator, decoder, flags.draw_options(project), flags.online_config(), flags.labels)


def dataset_folder(project: Project, given: str | None) -> Place:
    """A dataset by its folder, its address or its name in the project; the newest one when not given."""
    if given is not None:
        place = place_of(given)
        if isinstance(place, Remote) or (place / MANIFEST).exists():
            return place
    return project.find("datasets", given)


def about_dataset(project: Project, dataset: Place) -> dict[str, Any]:
    """Where a dataset's labels come from: the decoder, and the annotations that taught it."""
    made = _record_of(dataset)
    if made is None or "decoder" not in made["config"]:
        return {"label_source": f"dataset {dataset.name}", "labels": None}
    return about_decoder(project, made["config"]["decoder"])


def _record_of(dataset: Place) -> dict[str, Any] | None:
    if isinstance(dataset, Path):
        return read_record(dataset)
    with tempfile.TemporaryDirectory() as here, contextlib.suppress(FileNotFoundError):
        (Path(here) / RECORD).write_bytes((dataset / RECORD).read_bytes())
        return read_record(here)
    return None


def about_decoder(project: Project, decoder: str) -> dict[str, Any]:
    """Where the labels of the decoder called so come from."""
    result = (read_record(project.folder / "decoders" / decoder) or {}).get("result", {})
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
    sets, names, channels = [], [item.name for item in project.classes], project.config.image_channels
    side = project.config.size if size is None else size
    for path in paths:
        data = read_labelled(path, len(names), side, channels, names)
        name_some(flags, [f"skipped {path}/{item.name}: {item.reason}" for item in data.skipped], str(path))
        if data.recoloured:
            theirs, ours = ("colour", "grey") if channels == 1 else ("grey", "colour")
            told = f"{path} has {counted(data.recoloured, f'{theirs} picture')} among its {len(data)}"
            show.say(flags, f"{told}; they are taken as {ours}, as the project's are")
        sets.append(data)
    joined = LabelledSet(
        tuple(name for data in sets for name in data.names),
        np.concatenate([data.pictures for data in sets]),
        np.concatenate([data.label_maps for data in sets]),
    )
    return joined if shots is None else joined.take(draw_some(len(joined), shots, flags.seed))


def check_side(flag: str, size: int | None) -> None:
    """Checks the side in px that `flag` asks for.

    Raises:
        UsageError: nothing can be seen at it, or it would fill the memory.
    """
    if size is not None and not SMALLEST <= size <= LARGEST_SCORED:
        raise UsageError(
            f"{flag} is {size}; give {SMALLEST} to {LARGEST_SCORED} px, or leave it out for the project's own"
        )


def name_some(flags: Common, lines: Sequence[str], place: str) -> None:
    """Hints about the first ten of `lines`, and how many more there are."""
    for line in lines[:10]:
        show.say(flags, line)
    if len(lines) > 10:
        show.say(flags, f"... and {len(lines) - 10} more of {place}")
