"""Where the annotator keeps label maps: a project's annotations, with versions, so that no stroke is ever lost.

A save names the version it started from. When the picture has moved on meanwhile (another tab, another program), the
save is refused and the refused map is kept beside, so that neither side loses work. Each save writes, in this order,
the version's own file as one that was begun, the annotation, and its row, and then counts the version; whatever is
missing after a crash is made up for when the picture is next looked at.

An annotation that cannot be read (another size, other class ids, no PNG) is nobody's loss but that picture's: it is
shown without labels and with the reason, and kept in the history before anything is written over it.
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
    """One picture's label map: its version (0: never labelled, the map is all ignore) and where it comes from.

    trouble: why the map that is there cannot be read, and what to do; `label_map` is all ignore then.
    """

    seed: int
    version: int
    label_map: LabelMap
    source: str
    trouble: str = ""


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
        saved = self.look(seed)
        if saved.trouble:
            raise GannotateError(saved.trouble)
        return saved

    def look(self, seed: int) -> Saved:
        """Like `load`, but a label map that cannot be read is an empty one that says why.

        Raises:
            UsageError: not a picture of the pool. GannotateError: another file that cannot be read, as a history's.
        """
        with self._lock:
            self.check_seed(seed)
            version = self._settle(seed)
            row = self._row(seed)
            label_map, trouble = self._there(seed)
            source = row.source if row else "unknown" if version else "none"
            return Saved(seed, version, label_map, source, trouble)

    def save(self, seed: int, label_map: LabelMap, base: int, started: Started = "blank", editor: str = "") -> int:
        """Writes the map that a person made out of version `base`; returns its own version.

        Saving the newest map again changes nothing. `editor` tells tabs apart: one whose last answer was lost on the
        way may save once more from the same base.

        Raises:
            StaleVersion: the picture has another version by now. UsageError: not a picture of the pool.
            GannotateError: unknown class ids, another size, a file in its place that nobody may read, or a disk that
                takes no more: then nothing changed, or the save is ended when the picture is next looked at.
        """
        with self._lock:
            self.check_seed(seed)
            check_label_map(label_map, len(self.project.classes), f"label map of picture {seed}")
            if label_map.shape != self.blank.shape:
                raise GannotateError(f"the label map is {label_map.shape}; this project's are {self.blank.shape}")
            current = self._settle(seed)
            if self._is_newest(seed, current, label_map):
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
            if self._is_newest(seed, current, label_map):
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
        """Which pictures of the pool have labels, by seed, and on which part of their pixels (above 0, up to 1).

        Those whose label map cannot be read are left out.
        """
        return {seed: part for seed, part in self._files(source).items() if isinstance(part, float) and part}

    def unreadable(self, source: Source = "any") -> dict[int, str]:
        """Which pictures of the pool have a label map that cannot be read, by seed: why, and what to do."""
        return {seed: told for seed, told in self._files(source).items() if isinstance(told, str)}

    def check_readable(self, source: Source = "any") -> None:
        """Raises GannotateError when a label map cannot be read: what takes all of them would leave it out."""
        for told in self.unreadable(source).values():
            raise GannotateError(told)

    def sources(self) -> dict[int, str]:
        """Where the label map of each picture comes from, by seed, of those that have one.

        Raises:
            GannotateError: a damaged list.
        """
        rows = {int(row["seed"]): row for row in read_rows(self.folder / "annotations.jsonl", ("seed", "source"))}
        seeds = [int(path.stem) for path in self.folder.glob("*.png") if path.stem.isdecimal()]
        return {seed: annotation_of(seed, rows.get(seed, {"source": "unknown"})).source for seed in seeds}

    def _files(self, source: Source) -> dict[int, float | str]:
        """Of each picture of the pool that has a label map: its labelled part, or why it cannot be read."""
        found: dict[int, float | str] = {}
        for seed in self.seeds(source):
            try:
                about = self.project.annotation_path(seed).stat()
            except OSError:  # none
                continue
            held = self._parts.get(seed)
            if held is None or held[:2] != (about.st_mtime_ns, about.st_ino):  # a save makes a new file
                try:
                    part = float((self.project.read_annotation(seed) != IGNORE).mean())
                except GannotateError as error:  # not held: another class or permission may mend it
                    found[seed] = _trouble(error)
                    continue
                held = self._parts[seed] = (about.st_mtime_ns, about.st_ino, part)
            found[seed] = held[2]
        return found

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
        head = self.history.head(seed)
        current, trouble = self._there(seed)
        if trouble:
            return self._keep(seed, head)
        if head == 0:
            return self._adopt(seed, 1, current) if self.project.annotation_path(seed).exists() else 0
        if self.history.unreadable(seed, head) is None and np.array_equal(current, self._decode(seed, head)):
            return head
        return self._adopt(seed, head + 1, current)

    def _finish(self, seed: int, begun: Begun) -> None:
        """Ends a save that was cut off; a map that another program has put there since comes after it."""
        head = self.history.head(seed)
        current, trouble = self._there(seed)
        new = decode_label_map(begun.png, len(self.project.classes), f"version {begun.version} of picture {seed}")
        if trouble:
            over = self._is_kept(seed, head)
        elif self.history.unreadable(seed, head) is not None:
            over = np.array_equal(current, new)
        else:
            old = self._decode(seed, head) if head else self.blank
            over = np.array_equal(current, new) or np.array_equal(current, old)
        if over:
            self._write(seed, new, begun.version, {"started_from": begun.started})
        self.history.end(seed, begun.version)

    def _adopt(self, seed: int, version: int, label_map: LabelMap) -> int:
        """Takes what another program put there as a version of its own; its row stays as that program wrote it."""
        self.history.add(seed, version, encode_label_map(label_map, self.project.classes))
        return version

    def _keep(self, seed: int, head: int) -> int:
        """Gives an annotation that cannot be read a number of its own, unless not even its bytes can be had."""
        if self._is_kept(seed, head):
            return head
        try:
            data = self.project.annotation_path(seed).read_bytes()
        except OSError:
            return head
        self.history.add_unreadable(seed, head + 1, data)
        return head + 1

    def _is_kept(self, seed: int, version: int) -> bool:
        """Whether the annotation, which cannot be read, is kept under this number."""
        try:
            return self.project.annotation_path(seed).read_bytes() == self.history.unreadable(seed, version)
        except OSError:
            return False

    def _is_newest(self, seed: int, version: int, label_map: LabelMap) -> bool:
        """Whether a map is the newest version already.

        Raises:
            GannotateError: what is there can neither be read nor kept, so that nothing may be written over it.
        """
        there, trouble = self._there(seed)
        if trouble and not self._is_kept(seed, version):
            raise GannotateError(trouble)
        return bool(version) and not trouble and np.array_equal(label_map, there)

    def _there(self, seed: int) -> tuple[LabelMap, str]:
        """The annotation, and why it cannot be read: then it is a blank one."""
        if not self.project.annotation_path(seed).exists():
            return self.blank, ""
        try:
            return self.project.read_annotation(seed), ""
        except GannotateError as error:
            return self.blank, _trouble(error)

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


def _trouble(error: GannotateError) -> str:
    """Why an annotation cannot be read, and what to do."""
    if isinstance(error.__cause__, OSError):  # not even its bytes can be had
        return f"{error}; make it readable, or move it away"
    return f"{error}; label the picture anew (this file is kept in annotations/history), or put one there that fits"


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
