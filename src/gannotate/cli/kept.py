"""`gannotate train --keep-every`: how many networks are kept, what they take on the disk, and what they are for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gannotate.cli import show
from gannotate.cli.flags import Common
from gannotate.segmenters.kept import KEPT, disk_bytes, holds_kept, kept_networks
from gannotate.segmenters.supervised import SegmenterTraining
from gannotate.training import distributed
from gannotate.training.loop import Progress
from gannotate.wording import counted, quoted


def will_keep(training: SegmenterTraining) -> list[str]:
    """For --dry-run: what would be kept on the way."""
    if training.keep_every is None:
        return []
    return [f"keep {counted(_number(training), 'network')} of it in its folder {KEPT}, each as large as the segmenter"]


def say_size(
    running: Iterator[Progress], flags: Common, training: SegmenterTraining, folder: Path
) -> Iterator[Progress]:
    """The same progress; says what all kept networks will take as soon as there is one."""
    said = training.keep_every is None or not distributed.is_first()
    for progress in running:
        if not said and progress.done >= (training.keep_every or 0) and (found := _there(folder)):
            size, said = disk_bytes(found[:1]), True
            number = _number(training)
            show.say(flags, f"{counted(number, 'kept network')} in {folder / KEPT} will take {_mb(number * size)} MB")
        yield progress


def kept_by(training: SegmenterTraining, folder: Path) -> dict[str, Any]:
    """Where a training that has ended kept its networks, how many, and the MB that they take; empty if it kept none."""
    if training.keep_every is None:
        return {}
    found = _there(folder)
    return {"kept": {"folder": str(folder / KEPT), "networks": len(found), "mb": _mb(disk_bytes(found))}}


def kept_text(result: Mapping[str, Any]) -> str:
    """The same at the end of a sentence."""
    if "kept" not in result:
        return ""
    kept = result["kept"]
    return f"; {counted(kept['networks'], 'network')} of its training in {kept['folder']} ({kept['mb']} MB)"


def next_step(project: Path, result: Mapping[str, Any]) -> str:
    """What to type after a training: a test, before which one of the kept networks is chosen."""
    kept = result.get("kept", {})
    choice = f" --among {quoted(kept['folder'])} --validation DIR --protocol NAME" if kept.get("networks") else ""
    return f"gannotate evaluate {quoted(project)} --test DIR{choice}"


def _there(folder: Path) -> list[Path]:
    """The kept networks of a training; none where they were deleted, which a training that goes on does not mind."""
    return kept_networks(folder / KEPT) if holds_kept(folder / KEPT) else []


def _number(training: SegmenterTraining) -> int:
    return -(-training.steps // (training.keep_every or training.steps))


def _mb(size: int) -> float:
    return round(size / 1e6, 1)
