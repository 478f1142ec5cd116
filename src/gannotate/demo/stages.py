"""What the demonstration does, stage by stage."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gannotate.data.labelled import LabelledSet
from gannotate.data.manifest import Manifest
from gannotate.data.portraits import CLASSES, render_many
from gannotate.data.shards import read_dataset
from gannotate.data.writing import encode_picture
from gannotate.decoders.build import decoder_config, load_decoder
from gannotate.files import drop
from gannotate.fitting import shots as shots_of
from gannotate.fitting.asking import ask_decoder
from gannotate.fitting.config import scheduled
from gannotate.fitting.fit import fit
from gannotate.generators.base import DrawOptions, draw, to_uint8
from gannotate.generators.build import load_generator, read_config
from gannotate.jsonlines import read_rows
from gannotate.labels import ClassInfo, Mirror, read_label_map
from gannotate.metrics.confusion import Scores, confusion, scores
from gannotate.metrics.floors import majority_floor, pixel_floor
from gannotate.project import PoolPicture, Project, digest
from gannotate.project_config import SHIPPED, ClassEntry, DrawEntry, GeneratorEntry, MirrorEntry, ProjectConfig
from gannotate.record import Record, now, peak_rss_mb, recorded
from gannotate.report.examples import ON_POOL, write_examples
from gannotate.report.page import write_report
from gannotate.seeding import numpy_stream
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.evaluate import Answers, ask, evaluate
from gannotate.segmenters.predict import Segmenter
from gannotate.segmenters.supervised import SegmenterTraining, train_segmenter
from gannotate.synthesis import DatasetConfig, write_dataset
from gannotate.training.loop import Progress

TEST_FIRST_SEED, SUPERVISED_FIRST_SEED = 1_000_000, 2_000_000
"""Renders of the test and of the supervised segmenter; generator and annotator saw lower seeds only."""

COLOURS = (
    (40, 40, 40), (244, 162, 97), (66, 135, 245), (170, 110, 40), (46, 196, 182), (230, 57, 80), (255, 214, 70),
    (130, 70, 210), (255, 120, 170), (90, 160, 60), (0, 220, 255),
)  # fmt: skip
"""Colours of the portraits' classes."""


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """How much of everything the demonstration does; with the defaults under 4 minutes and 2 GB on two cores."""

    shots: int = 5
    """Annotated pictures that the decoder learns from, and exactly labelled renders for the supervised segmenter."""
    seed: int = 0
    """Chooses the annotated pictures and the supervised segmenter's renders, and seeds every other random draw."""
    decoder: str = "mlp"
    """Kind of decoder; of this generator's taps an MLP reads small parts (ears) best (docs/log.md)."""
    fit_steps: int = 300
    """Optimisation steps of the decoder."""
    synthetic: int = 1500
    """Pictures that generator and decoder label."""
    segmenter_steps: int = 700
    """Optimisation steps of the segmenter."""
    supervised_steps: int = 700
    """Optimisation steps of the supervised segmenter, to its plateau (`bench/demo_plateau.py`)."""
    batch: int = 8
    """Pictures a step, for both segmenters."""
    test: int = 200
    """Test pictures."""


class Demo:
    """The stages, in order; what one makes is kept in the project or here for the next."""

    def __init__(self, folder: Path, name: str, config: DemoConfig, device: str, shipped: Path) -> None:
        self.folder, self.name, self.config = folder, name, config
        self.device, self.shipped = device, shipped
        self.miou: dict[str, float] = {}

    def stages(self) -> tuple[tuple[str, Callable[[], Iterator[Progress]]], ...]:
        """Names and iterators; the supervised segmenter comes first, so that the project's newest is the other."""
        return (
            ("prepare", lambda: _one_by_one(self._create, self._draw_pool, self._annotate, self._render)),
            ("fit", self._fit),
            ("synthesize", self._synthesize),
            ("supervised", self._train_supervised),
            ("train", self._train),
            ("test", lambda: _one_by_one(self._test_decoder, self._test_supervised, self._test_segmenter)),
            ("report", lambda: _one_by_one(lambda: write_report(self.project))),
        )

    def result(self, seconds: dict[str, float]) -> dict[str, Any]:
        """What `gannotate demo --json` prints."""
        order = ("floor_majority", "floor_pixels", "supervised", "decoder", "segmenter")
        return {
            "shots": self.config.shots,
            "test_pictures": len(self.test),
            "miou": {name: round(self.miou[name], 4) for name in order},
            "seconds": seconds,
            "peak_rss_mb": peak_rss_mb(),
        }

    # -----------------------------------------------------------------------------------------------------------
    # The project

    def _create(self) -> None:
        folder, rows = self.shipped / "generator", read_rows(self.shipped / "pool.jsonl", ("seed", "psi", "noise"))
        about, self.generator = read_config(folder), load_generator(folder, self.device)
        self.project = Project.create(
            self.folder,
            ProjectConfig(
                name=self.name,
                created=now(),
                size=self.generator.size,
                image_channels=3,
                classes=portrait_classes(),
                mirror=MirrorEntry(rule="yes"),
                draw=DrawEntry(psi=rows[0]["psi"], cutoff=rows[0].get("cutoff"), noise=rows[0]["noise"]),
                generator=GeneratorEntry(
                    source=SHIPPED,
                    architecture=about["generator"]["architecture"],
                    sha256=digest(folder / "model.safetensors"),
                    about=about.get("about", {}),
                ),
            ),
            folder,
        )
        self.pool_seeds = [int(row["seed"]) for row in rows]
        self.options = DrawOptions(**self.project.config.draw.model_dump())

    def _draw_pool(self) -> None:
        drawn = draw(self.generator, self.pool_seeds, self.options)
        self.project.add_to_pool(
            [
                (PoolPicture(seed, asdict(self.options)), encode_picture(to_uint8(drawing.picture)[0]))
                for seed, drawing in drawn
            ]
        )

    def _annotate(self) -> None:
        rows = read_rows(self.shipped / "annotations" / "annotations.jsonl", ("seed", "source", "about"))
        for row in rows:
            label_map = read_label_map(self.shipped / "annotations" / f"{row['seed']}.png", len(CLASSES))
            self.project.write_annotation(int(row["seed"]), label_map, row["source"], row["about"])

    def _render(self) -> None:
        size = self.project.config.size
        self.test = render_set(range(TEST_FIRST_SEED, TEST_FIRST_SEED + self.config.test), size)
        self.labelled = render_set(supervised_seeds(self.config.seed, self.config.shots), size)

    # -----------------------------------------------------------------------------------------------------------
    # What is trained

    def _fit(self) -> Iterator[Progress]:
        chosen = shots_of.choose(self.project, self.config.shots, seed=self.config.seed)
        shots, kind = shots_of.load(self.project, chosen), decoder_config(self.config.decoder, {})
        steps, seed = self.config.fit_steps, self.config.seed
        how = scheduled(kind, "ours", len(shots), self.generator.size, steps=steps, seed=seed)
        self.decoder_folder = self.project.next_folder("decoders", self.config.decoder)
        self.sources = dict(Counter(annotation.source for annotation in chosen))
        config = asdict(how) | {"annotations": [shot.seed for shot in shots]}
        with self._recorded(self.decoder_folder, "fit", config) as record:
            record.about |= {"label_sources": self.sources}
            yield from fit(self.generator, shots, len(CLASSES), how, self.options, self.decoder_folder)
            record.result = {"decoder": self._inside(self.decoder_folder), "shots": len(shots)}
            record.result["label_sources"] = self.sources
        _drop_checkpoint(self.decoder_folder)
        self.decoder = load_decoder(self.decoder_folder, self.device)
        self.held_out = [one for one in self.project.annotations() if one not in chosen]

    def _synthesize(self) -> Iterator[Progress]:
        self.dataset_folder, count = self.project.next_folder("datasets"), self.config.synthetic
        # renders have sensor noise of their own: one noise map for all pictures would be learned by heart
        options = replace(self.options, noise="seeded")
        config = {"count": count, "decoder": self.decoder_folder.name, "draw": asdict(options)}
        with self._recorded(self.dataset_folder, "synthesize", config) as record:
            how, classes = DatasetConfig(), self.project.classes
            yield from write_dataset(self.dataset_folder, self.generator, self.decoder, classes, count, options, how)
            record.result = {"dataset": self._inside(self.dataset_folder), "pictures": count}
            record.result["confidence"] = round(Manifest.read(self.dataset_folder).confidence or 0.0, 6)

    def _train_supervised(self) -> Iterator[Progress]:
        self.supervised_folder = self.project.next_folder("segmenters", "unet-supervised")
        self.supervised = {"label_source": "exactly labelled renders", "labels": len(self.labelled)}
        steps = self.config.supervised_steps
        yield from self._train_on(self.labelled, self.supervised_folder, steps, self.supervised)

    def _train(self) -> Iterator[Progress]:
        self.segmenter_folder = self.project.next_folder("segmenters", "unet")
        self.generated = {"label_source": f"decoder {self.decoder_folder.name}", "labels": self.config.shots}
        self.generated["decoder_label_sources"] = self.sources
        data, steps = read_dataset(self.dataset_folder, len(CLASSES)), self.config.segmenter_steps
        yield from self._train_on(data, self.segmenter_folder, steps, self.generated)

    def _train_on(self, data: LabelledSet, folder: Path, steps: int, about: dict[str, Any]) -> Iterator[Progress]:
        project = self.project
        network = network_of(project.classes, project.config.size)
        how = training_of(steps, project.mirror, self.config.seed, self.config.batch)
        with self._recorded(folder, "train", {"network": asdict(network), "settings": asdict(how)}) as record:
            record.about |= about
            source = about["label_source"]
            yield from train_segmenter(data, network, how, folder, source=source, device=self.device)
            record.result = {"segmenter": self._inside(folder), "pictures": len(data), **about}
        _drop_checkpoint(folder)

    # -----------------------------------------------------------------------------------------------------------
    # How good it is

    def _test_decoder(self) -> None:
        shots = shots_of.load(self.project, self.held_out)
        with self._tested("decoder", self.decoder_folder, ON_POOL) as (record, folder):
            pool, answers = ask_decoder(self.generator, self.decoder, shots, self.options)
            counts = confusion(pool.label_maps, answers.predictions, len(CLASSES))
            record.result |= {"labels": self.config.shots, **_named(scores(counts))}
            record.result |= {"confusion": counts.tolist(), "pictures": len(shots), "absent": "skip"}
            self._keep_examples(folder, pool, answers)
        self.miou["decoder"] = record.result["miou"]

    def _test_supervised(self) -> None:
        with self._tested("segmenter", self.supervised_folder, self._test_name) as (record, _):
            record.result |= self.supervised | evaluate(Segmenter.load(self.supervised_folder, self.device), self.test)
        self.miou["supervised"] = record.result["miou"]

    def _test_segmenter(self) -> None:
        segmenter = Segmenter.load(self.segmenter_folder, self.device)
        with self._tested("segmenter", self.segmenter_folder, self._test_name) as (record, folder):
            answers = ask(segmenter, self.test)
            found = evaluate(segmenter, self.test, answers=answers)
            record.result |= self.generated | found | {"floors": self._floors()}
            self._keep_examples(folder, self.test, answers)
        self.miou["segmenter"] = record.result["miou"]

    def _keep_examples(self, folder: Path, test: LabelledSet, answers: Answers) -> None:
        said, unsure = answers.predictions, answers.uncertainty
        write_examples(folder / "examples", test, said, self.project.classes, seed=self.config.seed, uncertainty=unsure)

    def _floors(self) -> dict[str, Any]:
        majority = majority_floor(self.labelled, self.test, len(CLASSES))
        pixels = pixel_floor(self.labelled, self.test, len(CLASSES), self.config.seed)
        self.miou |= {"floor_majority": majority.miou, "floor_pixels": pixels.miou}
        floors = {"majority": majority, "pixels": pixels}
        return {name: {"labels": len(self.labelled), **_named(found)} for name, found in floors.items()}

    @property
    def _test_name(self) -> str:
        return f"portraits rendered from seed {TEST_FIRST_SEED}"

    # -----------------------------------------------------------------------------------------------------------
    # Records

    @contextlib.contextmanager
    def _recorded(self, folder: Path, verb: str, config: dict[str, Any]) -> Iterator[Record]:
        command = f"gannotate demo --shots {self.config.shots} --seed {self.config.seed}"
        with recorded(folder, verb, config, self.config.seed) as record:
            record.about = {"command": command}
            yield record

    @contextlib.contextmanager
    def _tested(self, of: str, scored: Path, test: str) -> Iterator[tuple[Record, Path]]:
        folder, scored_name = self.project.next_folder("runs", "evaluate"), self._inside(scored)
        with self._recorded(folder, "evaluate", {"of": of, of: scored_name, "test": test}) as record:
            record.result = {"of": of, "scored": scored_name, "test": test}
            yield record, folder

    def _inside(self, folder: Path) -> str:
        # the project's own place changes when the demonstration is done
        return folder.relative_to(self.project.folder).as_posix()


def portrait_classes() -> tuple[ClassEntry, ...]:
    """The classes of the portraits with colours that go well together."""
    return tuple(ClassEntry(name=name, colour=colour) for name, colour in zip(CLASSES, COLOURS, strict=True))


def supervised_seeds(seed: int, count: int) -> range:
    """Seeds of the renders that the supervised segmenter of the demonstration with `seed` learns from."""
    first = SUPERVISED_FIRST_SEED + int(numpy_stream(seed, "supervised").integers(900_000))
    return range(first, first + count)


def network_of(classes: Sequence[ClassInfo], size: int) -> SegmenterConfig:
    """The network of both segmenters."""
    return SegmenterConfig.of_classes(classes, image_channels=3, size=size)


def training_of(steps: int, mirror: Mirror, seed: int, batch: int = DemoConfig.batch) -> SegmenterTraining:
    """How both segmenters learn: only their labels and the number of steps differ."""
    return SegmenterTraining(steps=steps, batch=batch, mirror=mirror, seed=seed)


def render_set(seeds: Sequence[int], size: int) -> LabelledSet:
    """Rendered portraits with their exact label maps."""
    portraits = [portrait for _, portrait in render_many(seeds, size)]
    return LabelledSet(
        tuple(str(seed) for seed in seeds),
        np.stack([portrait.picture for portrait in portraits]),
        np.stack([portrait.label_map for portrait in portraits]),
    )


def _one_by_one(*jobs: Callable[[], object]) -> Iterator[Progress]:
    begin = time.monotonic()
    for done, job in enumerate(jobs, start=1):
        job()
        seconds = time.monotonic() - begin
        yield Progress(done, len(jobs), seconds, seconds / done * (len(jobs) - done), {})


def _named(found: Scores) -> dict[str, Any]:
    return asdict(found) | {"per_class": dict(zip(CLASSES, found.per_class, strict=True))}


def _drop_checkpoint(folder: Path) -> None:
    # a finished run needs none, and it is ten times as large as what it made
    drop(folder / "checkpoint.safetensors")
