"""The project folder: project.yaml, generator/, pool/, annotations/ and numbered folders of what was made.

Everything is a plain file (YAML, PNG palette label maps, JSON lines, safetensors), written atomically. A
picture is its seed: pool and annotations are kept by seed, never as feature dumps.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gannotate.errors import GannotateError, UsageError, nearest
from gannotate.files import disk_error, write_bytes, write_text
from gannotate.jsonlines import read_rows, write_rows
from gannotate.labels import ClassInfo, Mirror, read_label_map, write_label_map
from gannotate.project_config import FORMAT_VERSION, ProjectConfig, parse_config
from gannotate.record import is_finished, now

__all__ = ["FORMAT_VERSION", "Annotation", "PoolPicture", "Project", "ProjectConfig"]

KINDS = {
    "decoders": "gannotate fit",
    "datasets": "gannotate synthesize",
    "segmenters": "gannotate train",
    "runs": "gannotate evaluate",
}
"""Folders of numbered runs, and the command that makes one."""

GENERATOR_FILES = ("config.json", "model.safetensors", "card.md")


@dataclass(frozen=True)
class PoolPicture:
    """A picture offered for labelling: its seed and how it was drawn (psi, cutoff, noise)."""

    seed: int
    options: dict[str, Any]


@dataclass(frozen=True)
class Annotation:
    """Where one annotation comes from. Its label map is annotations/SEED.png.

    source: `person`, `simulated` (a network trained on other labels), `exact` (a renderer), or `unknown` for
    a file without a row. about: for a simulated one, which network, how many labels it saw and its own mIoU.
    """

    seed: int
    source: str
    about: dict[str, Any] = field(default_factory=dict)
    saved: str = ""


class Project:
    """An opened project folder."""

    def __init__(self, folder: Path, config: ProjectConfig) -> None:
        self.folder = folder
        self.config = config

    @classmethod
    def open(cls, folder: str | Path) -> Project:
        """Opens the project in `folder`.

        Raises:
            UsageError: not a project. GannotateError: damaged, with unknown keys, or of a newer version.
        """
        folder = Path(folder)
        path = folder / "project.yaml"
        try:
            text = path.read_text()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(
                f"{folder} is not a project (no project.yaml); make one with `gannotate new {folder} "
                "--classes background,... --generator DIR`"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise GannotateError(f"{path} cannot be read ({error})") from error
        return cls(folder, parse_config(text, str(path)))

    @classmethod
    def create(cls, folder: str | Path, config: ProjectConfig, generator: str | Path) -> Project:
        """Makes a project with a copy of the generator folder; the folder appears whole or not at all.

        Raises:
            UsageError: `folder` exists and is not empty.
        """
        folder = Path(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} exists and is not empty; give a new folder")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        except OSError as error:
            raise disk_error(error, folder) from error
        try:
            building.chmod(0o755)
            for name in GENERATOR_FILES:
                if (Path(generator) / name).exists():
                    write_bytes(building / "generator" / name, (Path(generator) / name).read_bytes())
            write_text(building / "project.yaml", config.to_yaml())
            os.replace(building, folder)
        except OSError as error:
            raise disk_error(error, folder) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return cls(folder, config)

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes; a class id is the place in this list."""
        return tuple(ClassInfo(item.name, item.colour) for item in self.config.classes)

    @property
    def mirror(self) -> Mirror:
        """What a left-right flip means here, with class ids."""
        return self.config.mirror.with_ids([item.name for item in self.config.classes])

    @property
    def generator_folder(self) -> Path:
        """The project's own copy of the generator."""
        return self.folder / "generator"

    def pool(self) -> list[PoolPicture]:
        """The pictures offered for labelling, by seed."""
        rows = read_rows(self.folder / "pool" / "pool.jsonl", ("seed", "psi", "cutoff", "noise"))
        pictures = [
            PoolPicture(int(row["seed"]), {name: row[name] for name in ("psi", "cutoff", "noise")}) for row in rows
        ]
        return sorted(pictures, key=lambda picture: picture.seed)

    def pool_picture_path(self, seed: int) -> Path:
        """Where the picture of `seed` is."""
        return self.folder / "pool" / "images" / f"{seed}.png"

    def add_to_pool(self, pictures: Sequence[tuple[PoolPicture, bytes]]) -> None:
        """Adds pictures (with their PNG bytes); the list is written last, so it names only whole files."""
        kept = {picture.seed: picture for picture in self.pool()}
        for picture, png in pictures:
            write_bytes(self.pool_picture_path(picture.seed), png)
            kept[picture.seed] = picture
        rows = [{"seed": seed, **kept[seed].options} for seed in sorted(kept)]
        write_rows(self.folder / "pool" / "pool.jsonl", rows)

    def annotations(self) -> list[Annotation]:
        """Every annotations/SEED.png by seed, with what annotations.jsonl says about it.

        Raises:
            GannotateError: a PNG there is not named by a seed.
        """
        folder = self.folder / "annotations"
        rows = {int(row["seed"]): row for row in read_rows(folder / "annotations.jsonl", ("seed", "source"))}
        found = []
        for path in folder.glob("*.png"):
            if not path.stem.isdecimal():
                raise GannotateError(f"{path} is not named by a picture's seed; name it like annotations/17.png")
            row = rows.get(int(path.stem), {})
            found.append(
                Annotation(int(path.stem), row.get("source", "unknown"), row.get("about", {}), row.get("saved", ""))
            )
        return sorted(found, key=lambda annotation: annotation.seed)

    def annotation_path(self, seed: int) -> Path:
        """Where the label map of `seed` is."""
        return self.folder / "annotations" / f"{seed}.png"

    def read_annotation(self, seed: int) -> np.ndarray:
        """The label map of `seed`, uint8 (size, size), 255 = ignore.

        Raises:
            GannotateError: not readable, unknown class ids, or another size than the project's pictures.
        """
        path, size = self.annotation_path(seed), self.config.size
        label_map = read_label_map(path, len(self.config.classes))
        if label_map.shape != (size, size):
            height, width = label_map.shape
            raise GannotateError(f"{path} is {width}x{height} px; label maps of this project are {size}x{size} px")
        return label_map

    def write_annotation(self, seed: int, label_map: np.ndarray, source: str, about: dict[str, Any]) -> None:
        """Writes annotations/SEED.png and its row, which says where the labels come from."""
        if label_map.shape != (self.config.size,) * 2:
            raise GannotateError(
                f"the label map of seed {seed} is {label_map.shape}, this project's are ({self.config.size}, "
                f"{self.config.size})"
            )
        path = self.folder / "annotations" / "annotations.jsonl"
        rows = [row for row in read_rows(path, ("seed", "source")) if int(row["seed"]) != seed]
        rows.append({"seed": seed, "source": source, "saved": now(), "about": about})
        write_label_map(self.annotation_path(seed), label_map, self.classes)
        write_rows(path, sorted(rows, key=lambda row: int(row["seed"])))

    def made(self, kind: str) -> list[Path]:
        """The numbered folders of one kind (see KINDS), oldest first."""
        if kind not in KINDS:
            raise UsageError(f"{kind!r} is no kind of folder here; known are {', '.join(KINDS)}")
        folders = [path for path in (self.folder / kind).glob("*") if path.is_dir() and _number(path) is not None]
        return sorted(folders, key=lambda path: (_number(path) or 0, path.name))

    def next_folder(self, kind: str, name: str = "") -> Path:
        """Makes the next folder of a kind, e.g. decoders/0002-light; one that exists is never taken."""
        numbers = [_number(path) or 0 for path in self.made(kind)]
        number = max(numbers, default=0) + 1
        path = self.folder / kind / (f"{number:04d}-{name}" if name else f"{number:04d}")
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise disk_error(error, path) from error
        return path

    def unfinished(self, kind: str, name: str = "") -> Path | None:
        """The latest folder of a kind and name when its run did not reach its end, for resuming."""
        same = [path for path in self.made(kind) if path.name[5:] == name]
        return same[-1] if same and not is_finished(same[-1]) else None

    def latest(self, kind: str) -> Path:
        """The newest finished folder of a kind.

        Raises:
            UsageError: there is none; says how to make one.
        """
        for path in reversed(self.made(kind)):
            if is_finished(path):
                return path
        raise UsageError(f"{self.folder} has no finished {kind[:-1]} yet; make one with `{KINDS[kind]} {self.folder}`")

    def find(self, kind: str, name: str | None) -> Path:
        """The folder called `name` (0002-light, 0002 or 2); the newest finished one when not given.

        Raises:
            UsageError: no such folder; names the nearest.
        """
        if name is None:
            return self.latest(kind)
        made = self.made(kind)
        for path in made:
            if name in (path.name, path.name[:4]) or (name.isdecimal() and int(name) == _number(path)):
                return path
        known = [path.name for path in made]
        shown = ", ".join(known) or "none yet"
        raise UsageError(f"{self.folder} has no {kind[:-1]} {name!r}; it has {shown}{nearest(name, known)}")


def digest(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _number(path: Path) -> int | None:
    match = re.match(r"(\d{4})(-|$)", path.name)
    return int(match[1]) if match else None
