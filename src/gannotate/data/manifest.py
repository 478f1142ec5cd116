"""What a dataset is and which of its parts are there: manifest.json, and notes of the parts that it does not name yet.

While a dataset is written each part gets a note of its own, parts/NUMBER.json (see sharing.py). At the end, once, the
manifest names all parts and the notes go: a part costs the same however many there are. Older datasets that were not
finished name some parts in the manifest already; they go on with notes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from gannotate.data.remote import Place, place_of, put_json, put_new_json
from gannotate.data.sharing import MOST, PartNotes
from gannotate.errors import GannotateError, UsageError, newer_format
from gannotate.parsing import DAMAGED, load_json

FORMAT_VERSION = 1

MANIFEST = "manifest.json"

Format = Literal["shards", "folder"]
"""Tar files for training at scale, or plain files to look at."""

PART_NUMBERS = ("first_seed", "samples")
"""Whole numbers that are known of every part."""


@dataclass
class Manifest:
    """What a dataset is: `settings` define its bytes, `parts` are those written so far."""

    settings: dict[str, Any]
    parts: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = False

    def write(self, folder: Place) -> None:
        """Writes manifest.json atomically."""
        put_json(folder / MANIFEST, self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The content of manifest.json."""
        kept = {"settings": self.settings, "parts": self.parts, "complete": self.complete}
        return {"format_version": FORMAT_VERSION, **kept}

    @classmethod
    def read(cls, folder: str | Place) -> Manifest:
        """What is known of a dataset; of an unfinished one, the parts before the first that is missing.

        Raises:
            UsageError: not a dataset. GannotateError: damaged, or written by a newer version.
        """
        manifest = cls.read_file(folder)
        if not manifest.complete:
            notes = part_notes(place_of(folder))
            while (part := notes.get(len(manifest.parts))) is not None:
                manifest.parts.append(part)
        return manifest

    @classmethod
    def read_file(cls, folder: str | Place) -> Manifest:
        """What stands in manifest.json alone; raises as `read` does."""
        path = place_of(folder) / MANIFEST
        try:
            tree = load_json(path.read_bytes())
            version = int(tree.pop("format_version"))
            if version <= FORMAT_VERSION:
                manifest = cls(**tree)
                manifest._check()
                return manifest
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(
                f"{folder} is not a dataset (no {MANIFEST}); make one with `gannotate synthesize`"
            ) from error
        except DAMAGED as error:
            raise GannotateError(f"{path} is damaged ({error}); write the dataset again") from error
        raise newer_format(folder, version, FORMAT_VERSION)

    def _check(self) -> None:
        """Raises KeyError or ValueError when something that readers rely on is missing or of another kind."""
        if self.settings["format"] not in get_args(Format):
            raise ValueError(f"format {self.settings['format']!r}")
        numbers = [self.settings["count"], *(part[name] for part in self.parts for name in PART_NUMBERS)]
        lists = [self.settings["classes"], self.parts]
        flags = [self.settings["soft"], self.complete]
        for kind, values in ((int, numbers), (list, lists), (bool, flags)):
            if not all(type(value) is kind for value in values):
                raise ValueError(f"a value that should be {kind.__name__} is not")
        if not all(0 <= value <= MOST for value in numbers):
            raise ValueError(f"a number that is not 0 to {MOST}")

    @property
    def samples(self) -> int:
        """Samples written so far."""
        return sum(part["samples"] for part in self.parts)

    @property
    def confidence(self) -> float | None:
        """Mean over all samples of the largest class probability, unrounded; None where no part tells."""
        known = [part for part in self.parts if "confidence" in part]
        samples = sum(part["samples"] for part in known)
        return sum(part["confidence"] * part["samples"] for part in known) / samples if samples else None


def part_notes(folder: Place) -> PartNotes:
    """The notes of a dataset's parts."""
    return PartNotes(folder / "parts", PART_NUMBERS)


def is_complete(folder: Place) -> bool:
    """Whether all of a dataset is written, at a cost that does not grow with what is noted."""
    return Manifest.read_file(folder).complete


def write_first_manifest(folder: Place, manifest: Manifest) -> bool:
    """Writes manifest.json where there is none; False when another process was faster, whose one stays."""
    return put_new_json(folder / MANIFEST, manifest.as_json())


def check_format(name: str) -> None:
    """Raises UsageError when `name` is no dataset format."""
    if name not in get_args(Format):
        raise UsageError(f"dataset format {name!r} is not known; use {' or '.join(get_args(Format))}")
