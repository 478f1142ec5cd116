"""Labelled datasets on disk: WebDataset tar shards, or a folder of plain files; a manifest.json says what they are.

    manifest.json                                        shard-000000.tar   KEY.png KEY.label.png KEY.soft.npy KEY.json
    images/KEY.png masks/KEY.png soft/KEY.npy about/KEY.json                (the folder format has these four instead)

They may lie on a disk, or at any address that fsspec reaches (see remote.py).

A dataset is written in parts (a shard each, or as many samples in plain files). A part is written whole, then noted in
a file of its own, parts/NUMBER.json: what is not noted does not count, and the next run writes it again, byte for byte.
So several processes write the parts whose numbers are theirs, and know nothing of each other (see sharing.py). Whoever
finds all noted names them in the manifest (see manifest.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from webdataset.writer import TarWriter

from gannotate.data.formats.arrays import decode
from gannotate.data.labelled import LabelledSet
from gannotate.data.manifest import Format, Manifest
from gannotate.data.pictures import decode_picture
from gannotate.data.remote import Place, Remote, place_of, put, stems
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import ClassInfo, decode_label_map, encode_label_map

FOLDERS = {
    "png": "images/{}.png",
    "label.png": "masks/{}.png",
    "soft.npy": "soft/{}.npy",
    "json": "about/{}.json",
}
"""Where the folder format keeps each part of a sample."""

MAX_MEMBER_BYTES = 1 << 30
"""A larger file in a shard is refused: no sample is that big."""


@dataclass(frozen=True)
class Labelled:
    """One generated picture with its labels.

    seed: what it was drawn from. picture: uint8 (h, w, c). label_map: uint8 (h, w) class ids. soft: float16 (k, h, w)
    class probabilities. confidence: mean over the pixels of the largest probability, 1/k to 1. uncertainty: that of
    its most uncertain tenth in nats (disagreement of an ensemble's members, or else entropy), from 0.
    """

    seed: int
    picture: np.ndarray
    label_map: np.ndarray
    soft: np.ndarray
    confidence: float
    uncertainty: float = 0.0


def sample_key(seed: int) -> str:
    """Name of a seed's files."""
    return f"{seed:010d}"


def encode_sample(sample: Labelled, classes: Sequence[ClassInfo], soft: bool) -> dict[str, bytes]:
    """The files of one sample by their ending; the probabilities only with `soft`."""
    about = {"seed": sample.seed, "confidence": round(sample.confidence, 6)}
    about["uncertainty"] = round(sample.uncertainty, 6)
    files = {
        "png": _encode_picture(sample.picture),
        "label.png": encode_label_map(sample.label_map, classes),
        "json": json.dumps(about).encode(),
    }
    if soft:
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(sample.soft, np.float16), allow_pickle=False)
        files["soft.npy"] = buffer.getvalue()
    return files


def write_part(folder: Place, layout: Format, index: int, samples: Iterable[tuple[str, dict[str, bytes]]]) -> str:
    """Writes (key, files by ending) as part `index`; returns the sha256 of all their bytes.

    Raises:
        GannotateError: the disk is full or the folder cannot be written.
    """
    if layout == "shards":
        return _write_shard(folder / shard_name(index), samples)
    digest = hashlib.sha256()
    for key, files in samples:
        for ending in sorted(files):
            # whole or not at all: other processes may have finished the dataset in the meantime
            put(folder / FOLDERS[ending].format(key), files[ending])
            digest.update(files[ending])
    return digest.hexdigest()


def shard_name(index: int) -> str:
    """File name of shard `index`."""
    return f"shard-{index:06d}.tar"


def _write_shard(path: Place, samples: Iterable[tuple[str, dict[str, bytes]]]) -> str:
    buffer = io.BytesIO()
    # fixed time, owner and order: the same samples make the same bytes
    with TarWriter(buffer, encoder=False, mtime=0, user="gannotate", group="gannotate", mode=0o644) as tar:
        for key, files in samples:
            tar.write({"__key__": key, **files})
    data = buffer.getvalue()
    put(path, data)
    return hashlib.sha256(data).hexdigest()


def _encode_picture(picture: np.ndarray) -> bytes:
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=False)
    return buffer.getvalue()


# ---------------------------------------------------------------------------------------------------------------
# Reading


def read_dataset(folder: str | Place, classes: int, most: int | None = None) -> LabelledSet:
    """Reads a dataset of either format into memory; only the first `most` samples when given.

    `folder` may be an address that fsspec reaches, e.g. s3://bucket/cells.

    Raises:
        UsageError: not a dataset, or of another number of classes. GannotateError: not finished, damaged, or with
            unknown class ids; names the file.
    """
    folder = place_of(folder)
    manifest = Manifest.read(folder)
    _check_readable(folder, manifest, classes, most)
    names, pictures, label_maps, soft = [], [], [], []
    for source, files in _iterate_files(folder, manifest):
        if most is not None and len(names) >= most:
            break
        picture, label_map, probabilities = _decode_sample(source, files, classes, bool(manifest.settings["soft"]))
        if pictures and picture.shape != pictures[0].shape:
            raise GannotateError(
                f"{source}: the picture is {_shape(picture)}, those before it are {_shape(pictures[0])}"
            )
        names.append(source.rsplit("/", 1)[-1])
        pictures.append(picture)
        label_maps.append(label_map)
        soft.append(probabilities)
    if not names:
        raise GannotateError(f"{folder} holds no samples; write it again with `gannotate synthesize`")
    stacked = np.stack(soft) if soft[0] is not None else None
    return LabelledSet(tuple(names), np.stack(pictures), np.stack(label_maps), stacked)


def _check_readable(folder: Place, manifest: Manifest, classes: int, most: int | None) -> None:
    known = len(manifest.settings["classes"])
    if known != classes:
        raise UsageError(
            f"{folder} has {known} classes, {classes} were expected; use the project that it was made with"
        )
    wanted = int(manifest.settings["count"]) if most is None else most
    if not manifest.complete and manifest.samples < wanted:
        raise GannotateError(
            f"{folder} is not finished ({manifest.samples} of {manifest.settings['count']} samples); run the same "
            "`gannotate synthesize` again to finish it"
        )


def _iterate_files(folder: Place, manifest: Manifest) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yields (path/KEY for messages, files by ending) of each sample, in the order written."""
    plain = manifest.settings["format"] == "folder"
    # where the least certain of a part's seeds were left out, its samples are those that are there
    left_out = plain and manifest.settings.get("keep", 1.0) != 1
    there = stems(folder / "images", ".png") if left_out else None
    for index, part in enumerate(manifest.parts):
        if plain:
            yield from _read_plain(folder, _keys_of_part(folder, manifest, index, there))
            continue
        path, found = folder / shard_name(index), 0
        for sample in read_shard(path):
            found += 1
            yield sample
        if found != part["samples"]:
            raise GannotateError(
                f"{path} has {found} samples, the manifest says {part['samples']}; write the dataset again"
            )


def _read_plain(folder: Place, keys: Iterable[str]) -> Iterator[tuple[str, dict[str, bytes]]]:
    for key in keys:
        files = {}
        for ending, name in FOLDERS.items():
            with contextlib.suppress(FileNotFoundError):
                files[ending] = (folder / name.format(key)).read_bytes()
        yield str(folder / key), files


def _keys_of_part(folder: Place, manifest: Manifest, index: int, there: Sequence[str] | None) -> Iterable[str]:
    """The keys of a part's samples; `there`: all that are in the folder, sorted, where not all seeds were kept."""
    part = manifest.parts[index]
    first, samples = part["first_seed"], part["samples"]
    if there is None:  # one by one: a damaged manifest may say that there are billions
        return (sample_key(seed) for seed in range(first, first + samples))
    last = index + 1 == len(manifest.parts)
    end = len(there) if last else bisect_left(there, sample_key(manifest.parts[index + 1]["first_seed"]))
    found = list(there[bisect_left(there, sample_key(first)) : end])
    # after the last part there may be files of one that was not finished
    if len(found) < samples or (len(found) > samples and not last):
        raise GannotateError(
            f"{folder / 'images'} has {len(found)} samples of part {index}, the manifest says {samples}; write the "
            "dataset again"
        )
    return found[:samples]


def read_shard(path: Place) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yields (path/KEY, files by ending) of a tar shard.

    Raises:
        GannotateError: missing, or not a whole tar of plain files.
    """
    held, files = "", {}
    try:
        with _open_tar(path) as tar:
            for member in tar:
                if not member.isreg() or member.size > MAX_MEMBER_BYTES:
                    raise GannotateError(
                        f"{path}: {member.name!r} is not a plain file of a sample; write the dataset again"
                    )
                key, _, ending = member.name.partition(".")
                if key != held and files:
                    yield f"{path}/{held}", files
                    files = {}
                content = tar.extractfile(member)
                held = key
                files[ending] = content.read() if content else b""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise GannotateError(f"{path} is not a whole shard ({error}); write the dataset again") from error
    if files:
        yield f"{path}/{held}", files


def _open_tar(path: Place) -> tarfile.TarFile:
    if isinstance(path, Remote):
        return tarfile.open(fileobj=io.BytesIO(path.read_bytes()), mode="r:")
    return tarfile.open(path, "r:")


def _decode_sample(
    source: str, files: dict[str, bytes], classes: int, with_soft: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    needed = ("png", "label.png", "soft.npy") if with_soft else ("png", "label.png")
    for ending in needed:
        if ending not in files:
            raise GannotateError(f"{source}: the file .{ending} is missing; write the dataset again")
    try:
        image = decode_picture(files["png"])
    except GannotateError as error:
        raise GannotateError(f"{source}.png: {error}") from error
    picture = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    label_map = decode_label_map(files["label.png"], classes, f"{source}.label.png")
    if label_map.shape != picture.shape[:2]:
        raise GannotateError(f"{source}: the label map is {_shape(label_map)}, the picture {_shape(picture)}")
    soft = _decode_soft(source, files["soft.npy"], (classes, *label_map.shape)) if with_soft else None
    return picture, label_map, soft


def _decode_soft(source: str, data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    try:
        soft = decode(data)
    except GannotateError as error:
        raise GannotateError(f"{source}.soft.npy is not a whole array: it {error}; write the dataset again") from error
    if soft.dtype != np.float16 or soft.shape != shape:
        raise GannotateError(
            f"{source}.soft.npy: it should be float16 {shape}, class probabilities; write the dataset again"
        )
    if not np.isfinite(soft).all() or soft.min() < 0 or np.abs(soft.sum(axis=0, dtype=np.float32) - 1).max() > 0.05:
        raise GannotateError(f"{source}.soft.npy: its class probabilities do not add up to 1; write the dataset again")
    return soft


def _shape(array: np.ndarray) -> str:
    return f"{array.shape[1]}x{array.shape[0]} px"
