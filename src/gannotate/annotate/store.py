"""Where the annotator keeps label maps: a project's annotations, with versions, so that no stroke is ever lost.

A save names the version it started from. When the picture has moved on meanwhile (another tab, another program), the
save is refused and the refused map is kept beside, so that neither side loses work. Each save writes, in this order,
the version's own file as one that was begun, the annotation, and its row, and then counts the version; whatever is
missing after a crash is made up for when the picture is next looked at.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import UInt8

from gannotate.annotate.history import Begun, History
from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_bytes, write_text
from gannotate.jsonlines import read_rows, write_rows
from gannotate.labels import IGNORE, MAX_CLASSES, check_label_map, decode_label_map, encode_label_map
from gannotate.project import Annotation, Project, Source, annotation_of, is_real
from gannotate.project_config import ClassEntry, MirrorEntry, ProjectConfig, parse_config
from gannotate.record import now

TOOL = "gannotate annotate"

Mark = Literal["skip", "unsure"]
"""skip: not offered again. unsure: offered last."""

Started = Literal["blank", "guess", "saved"]
"""What the person's map began as: nothing, the model's guess, or an annotation that was there."""

LabelMap = UInt8[np.ndarray, "size size"]


@dataclass(frozen=True)
class Saved:
    """One picture's label map: its version (0: never labelled, the map is all ignore) and where it comes from."""

    seed: int
    version: int
    label_map: LabelMap
    source: str


class StaleVersion(GannotateError):
    """A save that started from a version which is no longer the newest; its map was kept at `recovery`."""

    def __init__(self, seed: int, base: int, current: int, recovery: Path) -> None:
        super().__init__(
            f"picture {seed} was changed elsewhere (this save started from version {base}, now it is {current}); "
            f"reload it to go on, your map was kept as {recovery.name} in annotations/recovery"
        )
        self.seed, self.current, self.recovery = seed, current, recovery


class Store:
    """The annotations of one project, for many threads of one process."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.folder = project.folder / "annotations"
        self.history = History(self.folder / "history")
        self._lock = threading.RLock()
        self._parts: dict[int, tuple[int, int, float]] = {}  # by picture: time and number of the file, labelled part
        self._last: dict[int, tuple[str, int]] = {}  # of each picture: who saved last, and from which version

    @property
    def blank(self) -> LabelMap:
        """A map without any label."""
        return np.full((self.project.config.size,) * 2, IGNORE, np.uint8)

    def load(self, seed: int) -> Saved:
        """The newest label map of a pool picture.

        Raises:
            UsageError: not a picture of the pool. GannotateError: a file that cannot be read.
        """
        with self._lock:
            self.check_seed(seed)
            version = self._settle(seed)
            row = self._row(seed)
            return Saved(seed, version, self._current(seed), row.source if row else "unknown" if version else "none")

    def save(self, seed: int, label_map: LabelMap, base: int, started: Started = "blank", editor: str = "") -> int:
        """Writes the map that a person made out of version `base`; returns its own version.

        Saving the newest map again changes nothing. `editor` tells tabs apart: one whose last answer was lost on the
        way may save once more from the same base.

        Raises:
            StaleVersion: the picture has another version by now. UsageError: not a picture of the pool.
            GannotateError: unknown class ids, another size, or a disk that takes no more: then nothing changed, or the
                save is ended when the picture is next looked at.
        """
        with self._lock:
            self.check_seed(seed)
            check_label_map(label_map, len(self.project.classes), f"label map of picture {seed}")
            if label_map.shape != self.blank.shape:
                raise GannotateError(f"the label map is {label_map.shape}; this project's are {self.blank.shape}")
            current = self._settle(seed)
            if current and np.array_equal(label_map, self._current(seed)):
                return current
            own_again = bool(editor) and self._last.get(seed) == (editor, base) and base == current - 1
            if base != current and not own_again:
                raise StaleVersion(seed, base, current, self._recover(seed, base, label_map))
            self.history.begin(seed, current + 1, encode_label_map(label_map, self.project.classes), started)
            self._last[seed] = (editor, base)  # even if the rest fails: what was begun will be a version
            self._write(seed, label_map, current + 1, {"started_from": started})
            self.history.end(seed, current + 1)
            return current + 1

    def put(self, seed: int, label_map: LabelMap, source: str, about: dict[str, Any]) -> int:
        """Writes a map that was not made here, as a version of its own; the one before stays in the history.

        Unlike `save` it asks for no base: who calls it has decided to replace. An equal map changes nothing.

        Raises:
            UsageError: not a picture of the pool. GannotateError: unknown class ids, another size, or a full disk.
        """
        with self._lock:
            self.check_seed(seed)
            current = self._settle(seed)
            if current and np.array_equal(label_map, self._current(seed)):
                return current
            self.project.write_annotation(seed, label_map, source, about)
            return self._settle(seed)

    def version(self, seed: int, version: int) -> LabelMap:
        """An older map.

        Raises:
            UsageError: not a picture of the pool. GannotateError: no such version, or no longer.
        """
        with self._lock:
            self.check_seed(seed)
            self._settle(seed)
            return self._decode(seed, version)

    def labelled(self, source: Source = "any") -> dict[int, float]:
        """Which pictures of the pool have labels, by seed, and on which part of their pixels (above 0, up to 1)."""
        pool, found = set(self.seeds(source)), {}
        for path in sorted(self.folder.glob("*.png")):
            if path.stem.isdecimal() and int(path.stem) in pool:
                seed, about = int(path.stem), path.stat()
                held = self._parts.get(seed)
                if held is None or held[:2] != (about.st_mtime_ns, about.st_ino):  # a save makes a new file
                    part = float((self.project.read_annotation(seed) != IGNORE).mean())
                    held = self._parts[seed] = (about.st_mtime_ns, about.st_ino, part)
                if held[2]:
                    found[seed] = held[2]
        return dict(sorted(found.items()))

    def marks(self) -> dict[int, Mark]:
        """The pictures that were put aside."""
        rows = read_rows(self.folder / "marks.jsonl", ("seed", "mark"))
        return {int(row["seed"]): row["mark"] for row in rows if row["mark"] in get_args(Mark)}

    def mark(self, seed: int, mark: Mark | None) -> None:
        """Puts a picture aside, or (None) takes it back.

        Raises:
            UsageError: not a picture of the pool.
        """
        with self._lock:
            self.check_seed(seed)
            path = self.folder / "marks.jsonl"
            rows = [row for row in read_rows(path, ("seed", "mark")) if int(row["seed"]) != seed]
            if mark is not None:
                rows.append({"seed": seed, "mark": mark, "saved": now()})
            write_rows(path, rows)

    def check_seed(self, seed: int) -> None:
        """Raises UsageError when the pool has no picture of this seed."""
        if not self.project.pool_picture_path(seed).exists() or seed not in self.seeds():
            how = "--pictures DIR" if is_real(seed) else f"--first-seed {seed} -n 1"
            raise UsageError(f"the pool has no picture {seed}; add it with `gannotate sample {how}`")

    def seeds(self, source: Source = "any") -> list[int]:
        """Pictures of the pool, ascending: all of them, or the generated or real ones."""
        return [picture.seed for picture in self.project.pool(source)]

    def classes_version(self) -> str:
        """Changes with every change of project.yaml; a change of classes names the one it started from."""
        return hashlib.sha256((self.project.folder / "project.yaml").read_bytes()).hexdigest()[:16]

    def change_classes(self, classes: Sequence[ClassEntry], base: str) -> None:
        """Renames, recolours or adds classes; a class keeps its place, because its place is its id.

        Raises:
            UsageError: fewer classes than before, or a name that is empty or there twice.
            GannotateError: project.yaml was changed since version `base`.
        """
        with self._lock:
            path = self.project.folder / "project.yaml"
            if self.classes_version() != base:
                raise GannotateError("the classes were changed elsewhere; reload the page to see them")
            config = parse_config(path.read_text(), str(path))
            changed = changed_classes(config, classes)
            write_text(path, changed.to_yaml())
            self.project = Project(self.project.folder, changed)

    def _settle(self, seed: int) -> int:
        """Brings history, annotation and row together, after a crash or another program's edit; gives the version."""
        if begun := self.history.begun(seed):
            self._finish(seed, begun)
        head, current = self.history.head(seed), self._current(seed)
        if head == 0:
            return self._adopt(seed, 1, current) if self.project.annotation_path(seed).exists() else 0
        if np.array_equal(current, self._decode(seed, head)):
            return head
        return self._adopt(seed, head + 1, current)

    def _finish(self, seed: int, begun: Begun) -> None:
        """Ends a save that was cut off; a map that another program has put there since comes after it."""
        head, current = self.history.head(seed), self._current(seed)
        old = self._decode(seed, head) if head else self.blank
        new = decode_label_map(begun.png, len(self.project.classes), f"version {begun.version} of picture {seed}")
        if np.array_equal(current, new) or np.array_equal(current, old):
            self._write(seed, new, begun.version, {"started_from": begun.started})
        self.history.end(seed, begun.version)

    def _adopt(self, seed: int, version: int, label_map: LabelMap) -> int:
        """Takes what another program put there as a version of its own; its row stays as that program wrote it."""
        self.history.add(seed, version, encode_label_map(label_map, self.project.classes))
        return version

    def _current(self, seed: int) -> LabelMap:
        return self.project.read_annotation(seed) if self.project.annotation_path(seed).exists() else self.blank

    def _decode(self, seed: int, version: int) -> LabelMap:
        png = self.history.read(seed, version)
        return decode_label_map(png, len(self.project.classes), f"version {version} of picture {seed}")

    def _write(self, seed: int, label_map: LabelMap, version: int, about: dict[str, Any]) -> None:
        self.project.write_annotation(seed, label_map, "person", {"tool": TOOL, "version": version, **about})

    def _row(self, seed: int) -> Annotation | None:
        rows = read_rows(self.folder / "annotations.jsonl", ("seed", "source"))
        for row in rows:
            if int(row["seed"]) == seed:
                return annotation_of(seed, row)
        return None

    def _recover(self, seed: int, base: int, label_map: LabelMap) -> Path:
        png = encode_label_map(label_map, self.project.classes)
        path = self.folder / "recovery" / f"{seed}-from-{base:06d}-{hashlib.sha256(png).hexdigest()[:8]}.png"
        write_bytes(path, png)
        return path


def changed_classes(config: ProjectConfig, classes: Sequence[ClassEntry]) -> ProjectConfig:
    """project.yaml with other names and colours, and with more classes at the end; mirror pairs follow the names.

    Raises:
        UsageError: fewer classes than before, too many, or a name that is empty or there twice.
    """
    names = [item.name.strip() for item in classes]
    if len(names) < len(config.classes):
        raise UsageError(
            f"{len(names)} classes were given, the project has {len(config.classes)}; classes can be renamed and "
            "added, not removed: their place is their id in every label map"
        )
    if len(names) > MAX_CLASSES:
        raise UsageError(f"{len(names)} classes were given; a project has {MAX_CLASSES} at most")
    for name in names:
        if not name or names.count(name) > 1:
            raise UsageError(f"the class name {name!r} is empty or there twice; give each class its own name")
    renamed = {item.name: name for item, name in zip(config.classes, names, strict=False)}
    pairs = tuple((renamed[left], renamed[right]) for left, right in config.mirror.pairs)
    entries = [ClassEntry(name=name, colour=item.colour) for name, item in zip(names, classes, strict=True)]
    values = config.model_dump() | {
        "classes": entries,
        "mirror": MirrorEntry(rule=config.mirror.rule, pairs=pairs),
    }
    return ProjectConfig.model_validate(values)
