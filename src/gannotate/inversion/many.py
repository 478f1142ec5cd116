"""Inverting many pictures into a folder, picture by picture on disk, so that a stopped run goes on.

The folder gets latents/NAME.safetensors (`w` and `noise0`, `noise1`, ...), pictures/NAME.png (what the latents draw),
inversion.jsonl (one row a picture) and inversion.json (the settings).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gannotate.data.writing import encode_picture
from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_bytes, write_json
from gannotate.generators.base import to_uint8
from gannotate.inversion.gate import STATISTICS, Gate
from gannotate.inversion.inverter import Inverter
from gannotate.inversion.projector import Inverted
from gannotate.jsonlines import read_rows, write_rows
from gannotate.parsing import read_ours
from gannotate.viz import contact_sheet, enlarge

BATCH = 16
"""Pictures that are inverted together."""

ROWS, SETTINGS = "inversion.jsonl", "inversion.json"

SHEET_PAIRS, SHEET_COLUMNS, SHEET_PX = 64, 8, 128
"""Most pairs on the sheet, pictures in a row of it, and the side that small pictures are enlarged to."""


@dataclass(frozen=True)
class InversionProgress:
    """Progress in optimisation steps of all batches."""

    done: int
    steps: int
    seconds: float
    eta_s: float
    metrics: dict[str, float]


def invert_pictures(
    inverter: Inverter,
    names: Sequence[str],
    pictures: UInt8[np.ndarray, "n h w c"],
    folder: str | Path,
    batch: int = BATCH,
) -> Iterator[InversionProgress]:
    """Inverts `pictures` (of the generator's size) into `folder`; iterate to the end.

    Whole batches that are there already are kept, so a stopped run goes on, with the same result. A picture that was
    changed is inverted again; those of other names stay, behind the given ones in inversion.jsonl.

    Raises:
        UsageError: the folder holds inversions with other settings, or of these names but of other pictures alone; two
            pictures of one name, or a batch below 1.
    """
    folder = Path(folder)
    if batch < 1:
        raise UsageError(f"batch is {batch}; use 1 or more")
    if len(set(names)) != len(names):
        raise UsageError("two pictures have the same name; give each its own")
    _open(folder, inverter.settings | {"batch": batch})
    hashes = [picture_hash(picture) for picture in pictures]
    kept = {row["name"]: row for row in read_rows(folder / ROWS, ("name", "sha256", "psnr", *STATISTICS))}
    _check_same(folder, dict(zip(names, hashes, strict=True)), kept)
    batches = [range(first, min(first + batch, len(names))) for first in range(0, len(names), batch)]
    todo = [places for places in batches if not _is_done(folder, [(names[i], hashes[i]) for i in places], kept)]
    begin, per_batch = time.monotonic(), inverter.config.steps
    total, before = per_batch * len(batches), per_batch * (len(batches) - len(todo))
    for number, places in enumerate(todo):
        projection = inverter.projection(pictures[places.start : places.stop])
        for step, distance in inverter.steps(projection):
            done, seconds = number * per_batch + step, time.monotonic() - begin
            if step == per_batch:  # written first: who sees the last step finds the files
                rows = _write(folder, [names[i] for i in places], inverter, projection.finish())
                kept |= {row["name"]: row | {"sha256": hashes[i]} for row, i in zip(rows, places, strict=True)}
                write_rows(folder / ROWS, in_order(kept.values(), names))
            eta_s = seconds / done * (total - before - done)
            yield InversionProgress(before + done, total, seconds, eta_s, {"distance": distance})
    write_rows(folder / ROWS, in_order(kept.values(), names))


def in_order(rows: Iterable[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of these pictures in their order, then the others."""
    places = {name: place for place, name in enumerate(names)}
    return sorted(rows, key=lambda row: places.get(row["name"], len(places)))


def picture_hash(picture: UInt8[np.ndarray, "h w c"]) -> str:
    """What a row of inversion.jsonl knows its picture by."""
    return hashlib.sha256(picture.tobytes()).hexdigest()[:16]


def read_settings(folder: str | Path) -> dict[str, Any]:
    """The settings that a folder's pictures were inverted with, see `Inverter.settings`.

    Raises:
        GannotateError: inversion.json is missing or damaged.
    """
    remedy = "invert the pictures into another --out"
    return read_ours(Path(folder) / SETTINGS, remedy, lambda found: dict(found["settings"]))


def read_inversions(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of inversion.jsonl: name, psnr (dB), distance, typicality, and verdict where a gate judged."""
    return read_rows(Path(folder) / ROWS, ("name", "psnr", *STATISTICS))


def judge(folder: str | Path, gate: Gate | None) -> list[dict[str, Any]]:
    """Adds each picture's score and verdict (accepted, refused) to the rows; without a gate takes them away."""
    rows = read_inversions(folder)
    rows = [{key: value for key, value in row.items() if key not in ("score", "verdict")} for row in rows]
    if gate is not None and rows:
        rows = [row | judged for row, judged in zip(rows, verdicts(gate, statistics_of(rows)), strict=True)]
    write_rows(Path(folder) / ROWS, rows)
    return rows


def verdicts(gate: Gate, statistics: Mapping[str, Float[np.ndarray, " n"]]) -> list[dict[str, Any]]:
    """Score and verdict of each picture."""
    scores, accepted = gate.scores(statistics), gate.accepts(statistics)
    return [
        {"score": round(float(score), 4), "verdict": "accepted" if yes else "refused"}
        for score, yes in zip(scores, accepted, strict=True)
    ]


def statistics_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Float[np.ndarray, " n"]]:
    """What a gate looks at, from rows of inversion.jsonl."""
    return {name: np.array([float(row[name]) for row in rows]) for name in STATISTICS}


def load_latents(folder: str | Path, name: str) -> tuple[Float[Tensor, "styles w"], list[Tensor]]:
    """w+ of one picture and its noise maps (1, h, w), in drawing order.

    Raises:
        GannotateError: missing or damaged.
    """
    path = latents_path(folder, name)
    try:
        tensors = load(path.read_bytes())
        noise = [tensors[f"noise{index}"] for index in range(len(tensors) - 1)]
        return tensors["w"], noise
    except (OSError, SafetensorError, KeyError) as error:
        raise GannotateError(f"{path} is missing or damaged ({error}); invert that picture again") from error


def latents_path(folder: str | Path, name: str) -> Path:
    """Where the latents of a picture are."""
    return Path(folder) / "latents" / f"{name}.safetensors"


def picture_path(folder: str | Path, name: str) -> Path:
    """Where the redrawn picture is."""
    return Path(folder) / "pictures" / f"{name}.png"


def side_by_side(
    pictures: Sequence[UInt8[np.ndarray, "h w c"]], redrawn: Sequence[UInt8[np.ndarray, "h w c"]]
) -> UInt8[np.ndarray, "H W 3"]:
    """A sheet: every picture and, right of it, what the generator draws for it."""
    pairs = [one for pair in zip(pictures[:SHEET_PAIRS], redrawn[:SHEET_PAIRS], strict=True) for one in pair]
    factor = max(1, SHEET_PX // pairs[0].shape[0])
    return contact_sheet([enlarge(one, factor) for one in pairs], SHEET_COLUMNS)


def _open(folder: Path, settings: dict[str, Any]) -> None:
    """Checks that the folder is of the same inversion, or writes its settings."""
    path, settings = folder / SETTINGS, json.loads(json.dumps(settings))
    if path.exists():
        before = read_settings(folder)
        changed = sorted(name for name in settings if before.get(name) != settings[name])
        if changed:
            raise UsageError(
                f"{folder} holds inversions with another {', '.join(changed)}; give another --out, or the same "
                "settings to go on"
            )
    write_json(path, {"format_version": 1, "settings": settings})


def _check_same(folder: Path, hashes: Mapping[str, str], kept: Mapping[str, Mapping[str, Any]]) -> None:
    """Checks that not every picture of a known name is another one: that is a mistaken folder, not a change."""
    known = [name for name in hashes if name in kept]
    if known and all(kept[name]["sha256"] != hashes[name] for name in known):
        raise UsageError(
            f"{folder} holds inversions of other pictures with the same names, e.g. {known[0]}; give another --out, or "
            f"remove {folder / ROWS} to invert these in their place"
        )


def _is_done(folder: Path, pictures: Sequence[tuple[str, str]], rows: Mapping[str, Mapping[str, Any]]) -> bool:
    return all(
        rows.get(name, {}).get("sha256") == sha256
        and latents_path(folder, name).exists()
        and picture_path(folder, name).exists()
        for name, sha256 in pictures
    )


def _write(folder: Path, names: Sequence[str], inverter: Inverter, found: Inverted) -> list[dict[str, Any]]:
    """Writes one batch's files; returns its rows."""
    drawn, statistics, rows = to_uint8(found.pictures), inverter.gate_statistics(found), []
    for place, name in enumerate(names):
        tensors = {"w": found.w[place]} | {f"noise{k}": single[place] for k, single in enumerate(found.noise)}
        tensors = {key: value.cpu().contiguous() for key, value in tensors.items()}
        write_bytes(latents_path(folder, name), save(tensors))
        write_bytes(picture_path(folder, name), encode_picture(drawn[place]))
        values = {key: round(float(values[place]), 6) for key, values in statistics.items()}
        rows.append({"name": name, "psnr": round(float(found.psnr[place]), 3), **values})
    return rows
