"""Generator and decoder write a labelled dataset: seeds -> pictures, label maps, class probabilities, confidence."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.data.manifest import (
    MANIFEST,
    Format,
    Manifest,
    check_format,
    is_complete,
    part_notes,
    write_first_manifest,
)
from gannotate.data.remote import Place, place_of
from gannotate.data.shards import Labelled, encode_sample, sample_key, write_part
from gannotate.data.sharing import PartNotes, Worker
from gannotate.decoders.base import Decoder
from gannotate.errors import UsageError
from gannotate.generators.base import CHUNK, Drawing, DrawOptions, Generator, draw, to_uint8
from gannotate.labels import ClassInfo
from gannotate.metrics.uncertainty import entropy, jensen_shannon, of_pictures
from gannotate.training.loop import Progress
from gannotate.training.resuming import check_place

__all__ = [
    "DATASET_FIRST_SEED",
    "DatasetConfig",
    "Labelled",
    "annotate_seeds",
    "fingerprint",
    "write_dataset",
]

DATASET_FIRST_SEED = 10_000_000
"""Datasets are drawn from this seed upwards; the pool that people annotate starts at 0, so the two never meet."""

DECODE_PIXELS = CHUNK * 64 * 64
"""Pixels decoded in one pass: whole chunks at 64 px, one picture at a time from 256 px."""


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """How a dataset is drawn and stored."""

    format: Format = "shards"
    """shards (WebDataset tar files) or folder (plain files in images/, masks/, soft/ and about/)."""
    first_seed: int = DATASET_FIRST_SEED
    """Seed of the first picture; the next ones follow."""
    part: int = 256
    """Samples a shard, and samples after which a stopped run can go on."""
    soft: bool = True
    """Store the class probabilities too."""
    keep: float = 1.0
    """Part of the pictures drawn for a part of the dataset that is kept, the most certain ones (DatasetGAN: 0.9)."""

    def __post_init__(self) -> None:
        check_format(self.format)
        if not 0.1 <= self.keep <= 1:
            raise UsageError(f"keep is {self.keep}; use 0.1 to 1, e.g. 0.9 to leave the least certain tenth out")
        if self.part < 1:
            raise UsageError(f"{self.part} samples a shard were asked for; use at least 1, most often 256")

    def drawn(self, count: int) -> int:
        """Pictures drawn for a dataset of `count`: whole parts are drawn, so that a part is kept from its own alone."""
        whole, rest = divmod(count, self.part)
        return whole * self._drawn_for(self.part) + (self._drawn_for(rest) if rest else 0)

    def seeds_of_part(self, index: int, count: int) -> range:
        """Seeds drawn for part `index` of a dataset of `count` pictures."""
        first = self.first_seed + index * self._drawn_for(self.part)
        return range(first, first + self._drawn_for(min(self.part, count - index * self.part)))

    def _drawn_for(self, samples: int) -> int:
        return math.ceil(samples / self.keep)


def annotate_seeds(
    generator: Generator, decoder: Decoder, seeds: Iterable[int], options: DrawOptions | None = None
) -> Iterator[Labelled]:
    """Draws and labels pictures in the order given, bit-identical for any selection of seeds (as `draw`).

    Raises:
        GannotateError: the decoder is of another generator.
    """
    decoder.check_fits(generator)
    decoder.eval()
    for index, wanted in groupby(seeds, key=lambda seed: seed // CHUNK):
        # whole chunks, since a float sum depends on the batch it is part of; draw() has made the chunk anyway
        chunk = range(index * CHUNK, (index + 1) * CHUNK)
        labelled = _label_chunk(list(draw(generator, chunk, options, decoder.tap_names)), decoder)
        yield from (labelled[seed - chunk.start] for seed in wanted)


@torch.inference_mode()
def _label_chunk(drawn: Sequence[tuple[int, Drawing]], decoder: Decoder) -> list[Labelled]:
    batch = max(1, DECODE_PIXELS // decoder.size**2)
    labelled = []
    for start in range(0, len(drawn), batch):
        some = drawn[start : start + batch]
        taps = {name: torch.cat([drawing.taps[name] for _, drawing in some]) for name in decoder.tap_names}
        members = decoder.member_probabilities(taps)
        labelled += _to_labelled(some, decoder.pooled(members), members)
    return labelled


def _to_labelled(
    drawn: Sequence[tuple[int, Drawing]],
    probabilities: Float[Tensor, "n k h w"],
    members: Float[Tensor, "n m k h w"],
) -> Iterator[Labelled]:
    largest, label_maps = probabilities.max(dim=1)
    # members that contradict each other tell more than one that is unsure, which it may be at every edge
    unsure = of_pictures(jensen_shannon(members) if members.shape[1] > 1 else entropy(probabilities)).tolist()
    soft = probabilities.half().contiguous().cpu().numpy()
    hard = label_maps.to(torch.uint8).cpu().numpy()
    for place, (seed, drawing) in enumerate(drawn):
        picture = to_uint8(drawing.picture)[0]
        yield Labelled(seed, picture, hard[place], soft[place], float(largest[place].mean()), unsure[place])


def fingerprint(module: nn.Module) -> str:
    """sha256 over names and values of a network's parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def write_dataset(
    folder: str | Place,
    generator: Generator,
    decoder: Decoder,
    classes: Sequence[ClassInfo],
    count: int,
    options: DrawOptions | None = None,
    config: DatasetConfig | None = None,
    worker: Worker | None = None,
) -> Iterator[Progress]:
    """Writes `count` labelled pictures; yields progress after each chunk of them.

    `folder` may be an address that fsspec reaches, e.g. s3://bucket/cells.

    A run that was stopped goes on after its last whole part, and the result is the same byte for byte. So it is for any
    number of processes that write it together: each gives itself a `worker`. They may begin and end when they like, be
    killed, and be started again in another number; the first ends when the dataset is whole.

    Raises:
        UsageError: the folder holds something else, or a dataset with other settings, or the classes do not fit the
            decoder.
        GannotateError: the disk is full, or the other processes finished no part for too long.
    """
    options, config, worker = options or DrawOptions(), config or DatasetConfig(), worker or Worker()
    folder = place_of(folder)
    if count < 1:
        raise UsageError(f"{count} pictures were asked for; ask for at least 1, e.g. -n 2000")
    if len(classes) != decoder.classes:
        raise UsageError(f"the decoder knows {decoder.classes} classes, {len(classes)} were given; fit it again")
    decoder.check_fits(generator)
    manifest = _open_manifest(folder, _settings(generator, decoder, classes, count, options, config))
    notes, parts = part_notes(folder), -(-count // config.part)
    own, noted = worker.own(range(parts)), notes.exist()  # asked once: at an address each look takes its time
    missing = [index for index in own if index >= len(manifest.parts) and not (noted and notes.get(index))]
    goal = sum(_samples(index, count, config) for index in own)
    before = goal - sum(_samples(index, count, config) for index in missing)
    done, started, slowest_s = before, time.monotonic(), 0.0
    for index in missing:
        if is_complete(folder):  # by others that have begun since, in another number
            break
        wanted, begun = _samples(index, count, config), time.monotonic()
        confidence = None
        if notes.get(index) is None:
            samples: list[Labelled] = []
            for drawn, samples in _draw_part(generator, decoder, config.seeds_of_part(index, count), options):
                if len(samples) < drawn:
                    yield _progress(done + len(samples) * wanted // drawn, goal, before, started)
            samples = _most_certain(samples, wanted)
            if is_complete(folder):
                break
            files = ((sample_key(sample.seed), encode_sample(sample, classes, config.soft)) for sample in samples)
            digest = write_part(folder, config.format, index, files)
            summary = _summary(samples, len(classes))
            notes.add(index, {**summary, "sha256": digest})
            confidence, slowest_s = summary["confidence"], max(slowest_s, time.monotonic() - begun)
        done += wanted
        yield _progress(done, goal, before, started, confidence)
    yield from _complete(folder, notes, count, parts, worker, slowest_s)


def _draw_part(
    generator: Generator, decoder: Decoder, seeds: range, options: DrawOptions
) -> Iterator[tuple[int, list[Labelled]]]:
    """Yields (how many in all, those drawn so far) after each chunk and at the end; always the same list."""
    samples: list[Labelled] = []
    for sample in annotate_seeds(generator, decoder, seeds, options):
        samples.append(sample)
        if len(samples) % CHUNK == 0 and len(samples) < len(seeds):
            yield len(seeds), samples
    yield len(seeds), samples


def _samples(index: int, count: int, config: DatasetConfig) -> int:
    return min(config.part, count - index * config.part)


def _complete(
    folder: Place, notes: PartNotes, count: int, parts: int, worker: Worker, slowest_s: float
) -> Iterator[Progress]:
    """Writes the whole manifest once all parts are there, whoever wrote them; the first process waits for that."""
    started = time.monotonic()
    manifest, known = Manifest.read_file(folder), list[dict[str, Any]]()

    def found() -> int:
        nonlocal manifest, known
        manifest = Manifest.read_file(folder)
        noted = (notes.get(index) for index in range(len(manifest.parts), parts))
        known = [*manifest.parts, *(part for part in noted if part is not None)]
        return len(known)

    if worker.number == 0:
        for _ in worker.waits(found, parts, folder, slowest_s):
            yield _progress(sum(part["samples"] for part in known), count, 0, started)
    elif found() < parts:
        return
    if not manifest.complete:  # two processes may do so at once: they write the same
        Manifest(manifest.settings, known, complete=True).write(folder)
    notes.drop()


def _most_certain(samples: list[Labelled], wanted: int) -> list[Labelled]:
    """The `wanted` least uncertain ones, in their order."""
    if len(samples) == wanted:
        return samples
    chosen = sorted(range(len(samples)), key=lambda index: samples[index].uncertainty)[:wanted]
    return [samples[index] for index in sorted(chosen)]


def check_new_dataset(folder: Place) -> None:
    """Checks that a dataset can begin, or go on, in `folder`; an address is not looked through.

    Raises:
        UsageError: it holds something else.
    """
    if not isinstance(folder, Path):
        return
    try:
        check_place(folder, "synthesize")
    except UsageError:
        if not (folder / MANIFEST).exists():  # else of this dataset, or of another, which is told apart later
            raise


def _open_manifest(folder: Place, settings: dict[str, Any]) -> Manifest:
    """The folder's manifest, without what is noted, when it is of the same dataset; or a new one, written."""
    if not (folder / MANIFEST).exists():
        check_new_dataset(folder)
        manifest = Manifest(settings)
        if write_first_manifest(folder, manifest):
            return manifest
    manifest = Manifest.read_file(folder)
    changed = sorted(name for name in settings if manifest.settings.get(name) != settings[name])
    if changed:
        raise UsageError(
            f"{folder} holds a dataset with another {', '.join(changed)}; give another folder, or the same settings "
            "to go on with it"
        )
    return manifest


def _settings(
    generator: Generator,
    decoder: Decoder,
    classes: Sequence[ClassInfo],
    count: int,
    options: DrawOptions,
    config: DatasetConfig,
) -> dict[str, Any]:
    settings = {
        **asdict(config),
        "count": count,
        "size": generator.size,
        "image_channels": generator.image_channels,
        "classes": [asdict(item) for item in classes],
        "draw": asdict(options),
        "generator": fingerprint(generator),
        "decoder": fingerprint(decoder),
        "temperature": decoder.temperature,
    }
    return json.loads(json.dumps(settings))  # as it reads back: tuples are lists


def _summary(samples: Sequence[Labelled], classes: int) -> dict[str, Any]:
    pixels = sum(np.bincount(sample.label_map.ravel(), minlength=classes) for sample in samples)
    return {
        "first_seed": samples[0].seed,
        "samples": len(samples),
        "confidence": round(float(np.mean([sample.confidence for sample in samples])), 6),
        "uncertainty": round(float(np.mean([sample.uncertainty for sample in samples])), 6),
        "class_px": np.asarray(pixels).tolist(),
    }


def _progress(done: int, count: int, before: int, started: float, confidence: float | None = None) -> Progress:
    seconds = time.monotonic() - started
    eta_s = seconds / max(done - before, 1) * (count - done)
    return Progress(done, count, seconds, eta_s, {} if confidence is None else {"confidence": confidence})
