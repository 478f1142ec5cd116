"""Label maps of other tools onto the pictures of a pool; real pictures with masks come into the pool with them.

Everything is looked at first, and nothing is written when something does not fit; then it is read once more and
written, so that memory holds one picture at a time. An annotation that is replaced stays in the history.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gannotate.annotate.exporting import read_pool_picture
from gannotate.annotate.store import LabelMap, Store
from gannotate.data.formats.base import BACKGROUND, IGNORED, Blended, Entry, Labels, ReadOptions
from gannotate.data.pictures import decode_picture
from gannotate.data.real_pictures import cut, fit_labels, fit_picture, safe_name, unique_name
from gannotate.data.writing import encode_picture
from gannotate.errors import GannotateError, UsageError, nearest
from gannotate.labels import IGNORE
from gannotate.project import PoolPicture, Project, RealPicture

ALIKE = 6.0
"""Mean difference of two pictures (of 255) up to which one is the other, stored as JPEG for instance. The two most
alike of 300 X-rays differ by 15, of 40 blood cells by 11, of 60 portraits by 19, all at 64 px."""

SHOWN = 3
"""So many are named where many are wrong."""


@dataclass(frozen=True)
class Taken:
    """One label map that will be imported. seed: of its picture in the pool; None: the picture comes in as well."""

    entry: Entry
    seed: int | None
    real: RealPicture | None = None


@dataclass(frozen=True)
class Plan:
    """What an import will write. same: label maps that are there already. notes: what the user should know."""

    taken: tuple[Taken, ...]
    same: int
    notes: tuple[str, ...]


@dataclass
class Problems:
    """What does not fit, gathered over all masks. unknown: pixels of each unknown class, and in how many masks."""

    unknown: Counter[str] = field(default_factory=Counter)
    masks: Counter[str] = field(default_factory=Counter)
    unusable: list[tuple[str, str]] = field(default_factory=list)
    labelled: list[str] = field(default_factory=list)


class Importer:
    """Brings the entries of one source into one project.

    mapping: class names (or ids, or colours) of the source, and the project's class or `ignore` for each. crop: real
    pictures that are not square come in as their central square. replace: pictures that have labels get these. store:
    the one to write through, where there is one already.
    """

    def __init__(
        self,
        project: Project,
        mapping: Mapping[str, str],
        replace: bool = False,
        crop: bool = False,
        store: Store | None = None,
    ) -> None:
        self.project, self.mapping, self.replace, self.crop = project, mapping, replace, crop
        self.store = store or Store(project)
        self.names = [item.name for item in project.classes]
        self._pool = {picture.name: picture for picture in project.pool("any")}
        self._hashes = {one.real.sha256: one for one in self._pool.values() if one.real}
        for source, target in mapping.items():
            if self._id_of(target) is None:
                raise UsageError(
                    f"--map {source}={target} names {target!r}, which is no class of the project; they are "
                    f"{', '.join(self.names)}, and ignore{nearest(target, self.names)}"
                )

    def options(self, blended: Blended) -> ReadOptions:
        """What the readers need to know of the project."""
        return ReadOptions(
            classes=self.project.classes, mapped=frozenset(self.mapping), blended=blended, sizes=self._size_of
        )

    def plan(self, entries: Sequence[Entry], source: str) -> Plan:
        """Looks at everything, and writes nothing.

        Raises:
            UsageError: classes that the project has not, or pictures that are labelled already without `replace`.
            GannotateError: masks that cannot be used; says how many, the first one, and why.
        """
        problems, taken, seen, same, nothing = Problems(), [], set(self.mapping), 0, list[str]()
        names, used = {*self._pool}, Counter()
        for entry in entries:
            try:
                labels = entry.labels()
                seen -= set(labels.classes)
                self._count_unknown(labels, problems)
                one = self._place(entry, names)
                label_map = self._fitted(labels, one)
            except GannotateError as error:
                problems.unusable.append((entry.name, str(error)))
                continue
            used[one.real.name if one.real else one.seed] += 1
            if (label_map == IGNORE).all():  # it would count as an annotation, and teaches nothing
                nothing.append(entry.name)
                continue
            if one.seed is not None and self.project.annotation_path(one.seed).exists():
                if np.array_equal(self.store.look(one.seed).label_map, label_map):
                    same += 1
                    continue
                if not self.replace:
                    problems.labelled.append(entry.name)
            taken.append(one)
        problems.unusable += [(str(picture), f"has {count} label maps") for picture, count in used.items() if count > 1]
        self._raise(problems, len(entries), source)
        return Plan(tuple(taken), same, self._notes(seen, nothing))

    def carry_out(self, plan: Plan, about: dict[str, Any]) -> Iterator[int]:
        """Writes what was planned: real pictures into the pool, then every label map; yields its picture's number.

        Cut off anywhere, the same import again does the rest.
        """
        new = [one for one in plan.taken if one.seed is None]
        numbers = iter(self.project.add_real(self._new_pictures(new))) if new else iter(())
        for one in plan.taken:
            seed = next(numbers) if one.seed is None else one.seed
            self.store.put(seed, self._fitted(one.entry.labels(), one), "imported", about)
            yield seed

    def _new_pictures(self, new: Sequence[Taken]) -> Iterator[tuple[RealPicture, bytes]]:
        for one in new:
            assert one.entry.picture is not None
            assert one.real is not None
            image = decode_picture(one.entry.picture())
            pixels = cut(image, one.real, self.project.config.size, self.project.config.image_channels)
            yield one.real, encode_picture(pixels)

    def _place(self, entry: Entry, names: set[str]) -> Taken:
        """Which picture a label map belongs to.

        By name when there is no picture beside it. With one: the pool's if it is the same file, or has that name and
        looks the same; otherwise it is a new real picture.
        """
        called = safe_name(entry.name)
        number = str(int(entry.name)) if entry.name.isdecimal() else entry.name
        candidates = [self._pool[name] for name in dict.fromkeys((entry.name, number, called)) if name in self._pool]
        if entry.picture is None:
            if not candidates:
                raise GannotateError("fits no picture of the pool by its name, and has no picture beside it")
            return Taken(entry, candidates[0].seed, candidates[0].real)
        data = entry.picture()
        own = self._hashes.get(hashlib.sha256(data).hexdigest())
        if own is not None:
            return Taken(entry, own.seed, own.real)
        for candidate in candidates:
            if self._looks_like(data, candidate):
                return Taken(entry, candidate.seed, candidate.real)
        config = self.project.config
        name = unique_name(called, names)
        try:
            real, _ = fit_picture(data, entry.name, name, config.size, config.image_channels, self.crop)
        except GannotateError as error:
            raise GannotateError(f"has a picture that {error}") from error
        names.add(name)
        return Taken(entry, None, real)

    def _looks_like(self, data: bytes, candidate: PoolPicture) -> bool:
        size, channels = self.project.config.size, self.project.config.image_channels
        image = decode_picture(data)
        if image.size == (size, size):
            whole = RealPicture("", "", "", size, size, 0, 0, size)
        elif candidate.real and image.size == (candidate.real.width, candidate.real.height):
            whole = candidate.real
        else:
            return False
        shown = read_pool_picture(self.project, candidate.seed).astype(np.int16)
        return float(np.abs(cut(image, whole, size, channels) - shown).mean()) <= ALIKE

    def _fitted(self, labels: Labels, one: Taken) -> LabelMap:
        """The label map in the project's ids and size."""
        table = np.full(256, IGNORE, np.uint8)
        for place, name in enumerate(labels.classes):
            index = self._id_of(self.mapping.get(name, name))
            table[place] = IGNORE if index is None else index
        return fit_labels(table[labels.label_map], one.real, self.project.config.size)

    def _id_of(self, name: str) -> int | None:
        """Class id of a name; the background's for `background`, IGNORE for `ignore`, None for no class."""
        if name in self.names:
            return self.names.index(name)
        if name in (IGNORED, BACKGROUND):
            return IGNORE if name == IGNORED else 0
        return int(name) if name.isdecimal() and int(name) < len(self.names) else None

    def _count_unknown(self, labels: Labels, problems: Problems) -> None:
        for place, name in enumerate(labels.classes):
            if self._id_of(self.mapping.get(name, name)) is None:
                pixels = int((labels.label_map == place).sum())
                problems.unknown[name] += pixels
                problems.masks[name] += bool(pixels)

    def _raise(self, problems: Problems, total: int, source: str) -> None:
        unknown = {name: px for name, px in problems.unknown.most_common() if px}
        if unknown:
            shown = ", ".join(
                f"{name} ({px} px in {problems.masks[name]} of {total} masks)" for name, px in unknown.items()
            )
            first = next(iter(unknown))
            raise UsageError(
                f"{source} has classes that the project has not: {shown}; add --map {first}=CLASS or --map "
                f"{first}=ignore for each, the project's classes are {', '.join(self.names)}"
            )
        if problems.unusable:
            (name, reason), count = problems.unusable[0], len(problems.unusable)
            others = f" ({count - 1} more cannot be used)" if count > 1 else ""
            raise GannotateError(f"nothing of {source} was imported: the mask of {name} {reason}{others}")
        if problems.labelled:
            shown = ", ".join(problems.labelled[:SHOWN]) + (", ..." if len(problems.labelled) > SHOWN else "")
            raise UsageError(
                f"{len(problems.labelled)} of the {total} pictures have other labels already ({shown}); add --replace "
                "to take these in their place, the old ones stay in annotations/history"
            )

    def _notes(self, unseen: set[str], nothing: Sequence[str]) -> tuple[str, ...]:
        notes = [f"no mask has what --map calls {', '.join(sorted(unseen))}"] if unseen else []
        if nothing:
            shown = ", ".join(nothing[:SHOWN]) + (", ..." if len(nothing) > SHOWN else "")
            notes.append(f"left out, as no pixel is labelled: {shown} ({len(nothing)} in all)")
        return tuple(notes)

    def _size_of(self, name: str) -> tuple[int, int] | None:
        picture = self._pool.get(name) or self._pool.get(safe_name(name))
        if picture is None:
            return None
        size = self.project.config.size
        return (picture.real.width, picture.real.height) if picture.real else (size, size)


def parse_map(words: Sequence[str]) -> dict[str, str]:
    """`--map hat=nose` as {"hat": "nose"}; the last = divides.

    Raises:
        UsageError: there is no =, or one name twice.
    """
    mapping: dict[str, str] = {}
    for word in words:
        source, sign, target = word.rpartition("=")
        source = source.strip()
        source = source.removeprefix("#").lower() if source.startswith("#") else source
        if not sign or not source or not target.strip() or source in mapping:
            raise UsageError(f"--map {word!r} is not OLD=NEW, or OLD was given before; give e.g. --map hat=head")
        mapping[source] = target.strip()
    return mapping


def name_of(source: Path) -> str:
    """How a source is called in the project: without this machine's folders."""
    return source.name or source.resolve().name
