"""`gannotate synthesize`: a labelled dataset from generator and decoder."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gannotate.cli import show
from gannotate.cli.app import OK
from gannotate.cli.device import prepare
from gannotate.cli.flags import Resumable, settings
from gannotate.cli.generate import check_cutoff
from gannotate.cli.processes import recorded_once
from gannotate.cli.runs import open_run, where
from gannotate.cli.which_decoder import decoder_reading
from gannotate.data.manifest import MANIFEST, Format, Manifest
from gannotate.data.remote import Place, place_of, put
from gannotate.data.sharing import Worker
from gannotate.decoders.build import load_decoder
from gannotate.errors import UsageError
from gannotate.generators.base import LAST_SEED, DrawOptions
from gannotate.generators.build import load_generator
from gannotate.project import Project
from gannotate.record import RECORD
from gannotate.report.dataset_card import write_dataset_card
from gannotate.synthesis import DATASET_FIRST_SEED, DatasetConfig, check_new_dataset, write_dataset
from gannotate.training.launched import launched
from gannotate.wording import quoted


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SynthesizeFlags(Resumable):
    """Flags of `synthesize`."""

    count: Annotated[int, Parameter(name=["--count", "-n"])]
    """Number of labelled pictures."""
    out: str | None = None
    """Folder for the dataset, or an address that fsspec reaches, e.g. s3://bucket/cells; the next one in
    PROJECT/datasets when not given."""
    format: Format = "shards"
    """shards (WebDataset tar files) or folder (plain files to look at)."""
    soft: bool = True
    """Store the class probabilities too."""
    keep: float = 1.0
    """Part of the pictures drawn that is kept, the most certain ones; 0.9 draws a ninth more and leaves them out."""
    decoder: str | None = None
    """Decoder to use, e.g. 0001-light; the newest one of the generator when not given."""
    first_seed: int = DATASET_FIRST_SEED
    """Seed of the first picture, the others follow; the pool's seeds lie far below the default."""
    psi: float | None = None
    """Truncation; the project's own when not given."""
    cutoff: int | None = None
    """Truncate only the first so many styles; the project's own when not given."""
    noise: Literal["const", "seeded", "none"] | None = None
    """Per-pixel noise: const, seeded or none; the project's own when not given."""

    def options(self, project: Project) -> DrawOptions:
        """How the pictures are drawn."""
        own = project.config.draw.model_dump()
        return DrawOptions(**{name: own[name] if getattr(self, name) is None else getattr(self, name) for name in own})


def synthesize(project: Path, /, *, flags: SynthesizeFlags) -> int:
    """Write a labelled dataset with generator and decoder; the same command goes on with an unfinished one.

    Args:
        project: the project's folder.
    """
    if flags.count < 1:
        raise UsageError(f"-n is {flags.count}; give the number of pictures, 1 or more")
    _check_seeds(flags)
    rank, processes = launched()
    if processes > 1 and flags.out is None:
        raise UsageError(
            f"{processes} processes write one dataset and do not speak with each other; give its folder with --out"
        )
    opened = Project.open(project)
    decoder_folder = decoder_reading(opened, flags.decoder, "generator")
    _check_apart(opened, flags)
    options = flags.options(opened)
    if flags.out:
        _check_place(place_of(flags.out), flags.resume, processes)
    config = settings(flags, decoder=decoder_folder.name, draw=vars(options))
    if flags.dry_run:
        folder = str(flags.out) if flags.out else where(opened, "datasets", "", flags, config)
        return show.plan(flags, [f"draw and label {flags.count} pictures in {folder}"], config)
    device = prepare(flags)
    generator, decoder = load_generator(opened.generator_folder, device), load_decoder(decoder_folder, device)
    check_cutoff(flags.cutoff, generator)
    folder = place_of(flags.out) if flags.out else open_run(opened, "datasets", "", flags, config)
    how = DatasetConfig(format=flags.format, first_seed=flags.first_seed, soft=flags.soft, keep=flags.keep)
    with _record_in(folder) as records, recorded_once(records, "synthesize", config, flags.seed) as record:
        worker = Worker(number=rank, numbers=processes)
        running = write_dataset(folder, generator, decoder, opened.classes, flags.count, options, how, worker)
        show.follow(running, "synthesize", flags.quiet)
        if rank > 0:
            return OK
        record.result = _summary(folder, [item.name for item in opened.classes])
        if isinstance(folder, Path):
            write_dataset_card(folder, opened)
    text = f"{flags.count} labelled pictures in {folder}, mean confidence {record.result['confidence']:.3f}"
    return show.finish(flags, record.result | {"seconds": record.wall_s}, text, f"gannotate train {quoted(project)}")


@contextlib.contextmanager
def _record_in(folder: Place) -> Iterator[Path]:
    """Where run.json is kept while the dataset is written: with it, or here, and brought to its address at the end."""
    if isinstance(folder, Path):
        yield folder
        return
    with tempfile.TemporaryDirectory() as here:
        yield Path(here)
        for path in Path(here).glob(RECORD):
            put(folder / RECORD, path.read_bytes())


def _check_place(folder: Place, resume: bool, processes: int) -> None:
    """Whether a dataset can begin in --out, or go on where that is wanted."""
    if not resume and processes > 1:
        raise UsageError(
            "--no-resume with several processes: the others would meet what the first has begun; leave it out, and "
            "give a new --out"
        )
    if not resume and (folder / MANIFEST).exists():
        raise UsageError(
            f"{folder} holds a dataset, and --no-resume begins a new one; give another --out, or leave --no-resume out "
            "to go on with it"
        )
    check_new_dataset(folder)


def _check_seeds(flags: SynthesizeFlags) -> None:
    """Whether there is a seed for each picture that will be drawn: more are than are kept."""
    last = flags.first_seed + DatasetConfig(first_seed=flags.first_seed, keep=flags.keep).drawn(flags.count) - 1
    if last > LAST_SEED:
        what = f"-n {flags.count}" + ("" if flags.keep == 1 else f" with --keep {flags.keep:g}")
        raise UsageError(
            f"{what} from --first-seed {flags.first_seed} on would draw up to seed {last}, and the last one is "
            f"{LAST_SEED}; give a lower --first-seed or a smaller -n"
        )


def _check_apart(project: Project, flags: SynthesizeFlags) -> None:
    # the pool's pictures may be held out to score the decoder: a dataset that contained them would spoil that
    drawn = DatasetConfig(first_seed=flags.first_seed, keep=flags.keep).drawn(flags.count)
    seeds = range(flags.first_seed, flags.first_seed + drawn)
    shared = [picture.seed for picture in project.pool() if picture.seed in seeds]
    if shared:
        raise UsageError(
            f"--first-seed {flags.first_seed} with {flags.count} pictures would take seed {shared[0]} of the pool; "
            f"leave it out to start at {DATASET_FIRST_SEED}"
        )


def _summary(folder: Place, names: list[str]) -> dict[str, Any]:
    manifest = Manifest.read(folder)
    parts = manifest.parts
    pixels = [sum(part["class_px"][index] for part in parts) for index in range(len(names))]
    assert manifest.confidence is not None  # each part that was just written tells
    return {
        "dataset": str(folder),
        "pictures": manifest.samples,
        "confidence": round(manifest.confidence, 6),  # with fewer digits the third would be rounded twice when shown
        "class_share": {name: round(count / sum(pixels), 5) for name, count in zip(names, pixels, strict=True)},
    }
