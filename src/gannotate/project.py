"""The project folder: project.yaml, generator/, pool/, annotations/ and numbered folders of what was made.

Everything is a plain file (YAML, PNG palette label maps, JSON lines, safetensors), written atomically. A generated
picture is its seed: pool and annotations are kept by seed, never as feature dumps. A real picture has a number from
FIRST_REAL on in place of a seed, which no generated one has, so that it is kept in the same way.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from gannotate.errors import GannotateError, UsageError, nearest
from gannotate.files import appearing, disk_error, drop_abandoned, write_bytes, write_text
from gannotate.jsonlines import read_rows, write_rows
from gannotate.labels import ClassInfo, Mirror, encode_label_map, read_label_map
from gannotate.locks import alone_in
from gannotate.project_config import FORMAT_VERSION, DrawEntry, ProjectConfig, parse_config
from gannotate.project_pictures import (
    FIRST_REAL,
    Annotation,
    PoolPicture,
    RealPicture,
    Source,
    annotation_of,
    belongs,
    is_real,
    real_picture,
)
from gannotate.record import RECORD, is_finished, now
from gannotate.wording import quoted

__all__ = [
    "FIRST_REAL",
    "FORMAT_VERSION",
    "Annotation",
    "PoolPicture",
    "Project",
    "ProjectConfig",
    "RealPicture",
    "Source",
    "annotation_of",
    "is_real",
]

KINDS = {
    "decoders": "gannotate fit",
    "datasets": "gannotate synthesize",
    "segmenters": "gannotate train",
    "runs": "gannotate evaluate",
}
"""Folders of numbered runs, and the command that makes one."""

OF_GENERATORS = ("decoders", "datasets")
"""Those of them that a project of real pictures alone never has."""

GENERATOR_FILES = ("config.json", "model.safetensors", "card.md", "discriminator.safetensors")


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
                f"{folder} is not a project (no project.yaml); make one with `gannotate new {quoted(folder)} "
                "--classes background,... --generator DIR`"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise GannotateError(f"{path} cannot be read ({error})") from error
        return cls(folder, parse_config(text, str(path)))

    @classmethod
    def create(
        cls,
        folder: str | Path,
        config: ProjectConfig,
        generator: str | Path | None = None,
        fill: Callable[[Project], object] | None = None,
    ) -> Project:
        """Makes a project with a copy of the generator folder, if any; the folder appears whole or not at all.

        `fill` may put more into the project, before it gets its name.

        Raises:
            UsageError: `folder` exists and is not empty.
        """
        folder = Path(folder)
        check_unused(folder)
        with appearing(folder) as building:
            if generator is not None:
                _copy_generator(Path(generator), building / "generator")
            write_text(building / "project.yaml", config.to_yaml())
            made = cls(building, config)
            if fill is not None:
                fill(made)
        return cls(folder, made.config)

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
        """The project's own copy of the generator.

        Raises:
            UsageError: a project of real pictures only.
        """
        if self.config.generator is None:
            raise self._without_generator()
        return self.folder / "generator"

    def _without_generator(self) -> UsageError:
        return UsageError(
            f"{self.folder} has no generator, only real pictures; write their labels with `gannotate data export "
            f"{quoted(self.folder)} --format palette --out DIR` and train on them with `gannotate train "
            f"{quoted(self.folder)} --labelled DIR`"
        )

    @property
    def more_pictures(self) -> str:
        """The command that adds pictures to the pool."""
        kind = "-n 20" if self.config.generator is not None else "--pictures DIR"
        return f"gannotate sample {quoted(self.folder)} {kind}"

    def pool(self, source: Source = "generated") -> list[PoolPicture]:
        """The pictures offered for labelling, by seed, the real ones last.

        Who draws pictures again, or reads their activations, asks for the generated ones; who shows or labels them,
        for any.
        """
        rows = read_rows(self.folder / "pool" / "pool.jsonl", ("seed",))
        pictures = [self._picture(row) for row in rows if belongs(int(row["seed"]), source)]
        return sorted(pictures, key=lambda picture: picture.seed)

    def _picture(self, row: dict[str, Any]) -> PoolPicture:
        seed = int(row["seed"])
        try:
            if is_real(seed):
                return PoolPicture(seed, {}, real_picture(row))
            options = {name: row[name] for name in ("psi", "cutoff", "noise")}
            DrawEntry.model_validate(options)
            return PoolPicture(seed, options)
        except KeyError as error:
            raise GannotateError(
                f"{self.folder}/pool/pool.jsonl lacks {error} for picture {seed}; mend or remove that line"
            ) from error
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            raise GannotateError(
                f"{self.folder}/pool/pool.jsonl, picture {seed}: {'.'.join(map(str, problem['loc']))}: "
                f"{problem['msg']}; mend or remove that line"
            ) from error

    def pool_picture_path(self, seed: int) -> Path:
        """Where the picture of `seed` is."""
        return self.folder / "pool" / "images" / f"{seed}.png"

    def add_to_pool(self, pictures: Iterable[tuple[PoolPicture, bytes]]) -> None:
        """Adds pictures (with their PNG bytes); the list is written last, so it names only whole files."""
        kept = {picture.seed: picture for picture in self.pool("any")}
        for picture, png in pictures:
            write_bytes(self.pool_picture_path(picture.seed), png)
            kept[picture.seed] = picture
        write_rows(self.folder / "pool" / "pool.jsonl", [kept[seed].as_row() for seed in sorted(kept)])

    def add_real(self, pictures: Iterable[tuple[RealPicture, bytes]]) -> list[int]:
        """Adds real pictures (with the PNG bytes of what the pool shows); gives the number of each.

        An older gannotate cannot open the project from then on.
        """
        self._upgrade()
        first = max([FIRST_REAL - 1, *(picture.seed for picture in self.pool("real"))]) + 1
        added: list[int] = []

        def numbered() -> Iterator[tuple[PoolPicture, bytes]]:
            for seed, (real, png) in enumerate(pictures, start=first):
                added.append(seed)
                yield PoolPicture(seed, {}, real), png

        self.add_to_pool(numbered())
        return added

    def _upgrade(self) -> None:
        """Raises the format in project.yaml, so that a gannotate that knows no real pictures refuses it."""
        if self.config.format_version < FORMAT_VERSION:
            self.config = self.config.model_copy(update={"format_version": FORMAT_VERSION})
            write_text(self.folder / "project.yaml", self.config.to_yaml())

    def changing(self) -> AbstractContextManager[None]:
        """While the body runs, no other command adds to the pool or labels its pictures by itself.

        Raises:
            GannotateError: another command does so already.
        """
        busy = f"another command is changing the pictures of {self.folder}; wait for its end and type this one again"
        return alone_in(self.folder, busy)

    def annotations(self, source: Source = "generated") -> list[Annotation]:
        """Every annotations/SEED.png by seed, with what annotations.jsonl says about it.

        source: of which pictures; a decoder learns from those of generated ones only.

        Raises:
            GannotateError: a PNG there is not named by a seed.
        """
        folder = self.folder / "annotations"
        rows = {int(row["seed"]): row for row in read_rows(folder / "annotations.jsonl", ("seed", "source"))}
        found = []
        for path in folder.glob("*.png"):
            if not path.stem.isdecimal():
                raise GannotateError(f"{path} is not named by a picture's seed; name it like annotations/17.png")
            if not belongs(int(path.stem), source):
                continue
            row = rows.get(int(path.stem), {"source": "unknown"})
            found.append(annotation_of(int(path.stem), row))
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
        row = {"seed": seed, "source": source, "saved": now(), "about": about}
        png = encode_label_map(label_map, self.classes)
        new = source != "person" and not self.annotation_path(seed).exists()
        # wherever this is cut off: no map is there without its row, and none with a row that belongs to another maker
        self._write_row(seed, row if new else None, unless=source)
        write_bytes(self.annotation_path(seed), png)
        if not new:
            self._write_row(seed, row)

    def _write_row(self, seed: int, row: dict[str, Any] | None, unless: str = "") -> None:
        """Puts a picture's row into annotations.jsonl in place of the old one; other processes that do so wait.

        Without a new row the old one is removed, unless its source is `unless`.
        """
        path = self.folder / "annotations" / "annotations.jsonl"
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise disk_error(error, path) from error
        with alone_in(path.parent):
            rows = {int(other["seed"]): other for other in read_rows(path, ("seed", "source"))}
            old = rows.pop(seed, None)
            if row is None and (old is None or old["source"] == unless):
                return
            more = [] if row is None else [row]
            write_rows(path, sorted([*rows.values(), *more], key=lambda other: int(other["seed"])))

    def made(self, kind: str) -> list[Path]:
        """The numbered folders of one kind (see KINDS), oldest first."""
        if kind not in KINDS:
            raise UsageError(f"{kind!r} is no kind of folder here; known are {', '.join(KINDS)}")
        folders = [path for path in (self.folder / kind).glob("*") if path.is_dir() and _number(path) is not None]
        return sorted(folders, key=lambda path: (_number(path) or 0, path.name))

    def next_folder(self, kind: str, name: str = "") -> Path:
        """Makes the next folder of a kind, e.g. decoders/0002-light; one that exists is never taken."""
        drop_abandoned(self.folder / kind, RECORD)  # of runs that were killed, which nobody goes on with
        numbers = [_number(path) or 0 for path in self.made(kind)]
        for number in itertools.count(max(numbers, default=0) + 1):
            path = self.folder / kind / (f"{number:04d}-{name}" if name else f"{number:04d}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:  # another process was faster
                continue
            except OSError as error:
                raise disk_error(error, path) from error
            return path
        raise AssertionError("numbers do not end")

    def unfinished(self, kind: str, name: str = "") -> Path | None:
        """The latest folder of a kind and name when its run did not reach its end, for resuming."""
        same = [path for path in self.made(kind) if path.name[5:] == name]
        return same[-1] if same and not is_finished(same[-1]) else None

    def newest(self, kind: str) -> Path | None:
        """The newest finished folder of a kind; None when there is none."""
        return next((path for path in reversed(self.made(kind)) if is_finished(path)), None)

    def latest(self, kind: str) -> Path:
        """The newest finished folder of a kind.

        Raises:
            UsageError: there is none; says how to make one.
        """
        newest = self.newest(kind)
        if newest is not None:
            return newest
        if kind in OF_GENERATORS and self.config.generator is None:
            raise self._without_generator()
        raise UsageError(
            f"{self.folder} has no finished {kind[:-1]} yet; make one with `{KINDS[kind]} {quoted(self.folder)}`"
        )

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


def check_unused(folder: Path) -> None:
    """Checks that a project can be made in `folder`.

    Raises:
        UsageError: it exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not empty; give a new folder")


def _copy_generator(origin: Path, target: Path) -> None:
    for name in GENERATOR_FILES:
        if (origin / name).exists():
            write_bytes(target / name, (origin / name).read_bytes())


def digest(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _number(path: Path) -> int | None:
    match = re.match(r"(\d{4})(-|$)", path.name)
    return int(match[1]) if match else None
