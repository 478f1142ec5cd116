"""Kept networks: what a segmenter was every so many steps of its training, to choose among as the papers do.

They lie in TRAINING/kept/step-000300/, each a segmenter's folder like TRAINING itself.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from gannotate.errors import UsageError

KEPT = "kept"
"""The folder of kept networks, in that of their training."""

NAME = re.compile(r"step-(\d+)")


class Keeper:
    """A hook of the training loop that keeps the network after every so many steps, and after the last one.

    save: writes the network as it is into a folder, after so many steps.
    """

    def __init__(self, folder: Path, every: int, save: Callable[[Path, int], object]) -> None:
        self.folder, self.every, self.save = folder, every, save

    def __call__(self, done: int) -> dict[str, float]:
        """Keeps the network of `done` steps."""
        self.save(self.folder / KEPT / f"step-{done:06d}", done)
        return {}


def drop_others(folder: Path, every: int, done: int) -> None:
    """Removes networks that a training of `done` steps does not keep: of its end when it had less time, say."""
    for path in _steps(folder / KEPT):
        if _step(path) > done or (_step(path) % every and _step(path) != done):
            shutil.rmtree(path, ignore_errors=True)


def holds_kept(folder: Path) -> bool:
    """Whether this is a folder of kept networks, and not a segmenter's."""
    return folder.name == KEPT and folder.is_dir()


def kept_networks(folder: Path) -> list[Path]:
    """The segmenters in a folder of kept networks, in the order of their making.

    Raises:
        UsageError: there are none.
    """
    found = [path for path in _steps(folder) if (path / "config.json").exists()]
    if not found:
        raise UsageError(f"{folder} holds no kept networks; train with `--keep-every N`, or give segmenters")
    return found


def training_of(folder: Path) -> Path:
    """The folder of a segmenter's training: its own, or of a kept network the one that its kept folder is in."""
    return folder.parent.parent if _is_kept(folder) else folder


def called(folder: Path) -> str:
    """A segmenter's name in a project: `0002-unet`, or `0002-unet/kept/step-000300`."""
    return f"{training_of(folder).name}/{KEPT}/{folder.name}" if _is_kept(folder) else folder.name


def disk_bytes(folders: list[Path]) -> int:
    """What networks take on the disk."""
    return sum(path.stat().st_size for folder in folders for path in folder.iterdir())


def _is_kept(folder: Path) -> bool:
    return folder.parent.name == KEPT and NAME.fullmatch(folder.name) is not None


def _steps(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("step-*") if NAME.fullmatch(path.name)), key=_step)


def _step(path: Path) -> int:
    return int(path.name.partition("-")[2])
