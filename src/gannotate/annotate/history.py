"""Every saved label map of every picture, numbered from 1: what the annotator's versions are."""

from __future__ import annotations

from pathlib import Path

from gannotate.errors import GannotateError
from gannotate.files import write_bytes

KEEP = 100
"""Versions kept of each picture, the newest ones: each is a small PNG."""


class History:
    """Files SEED/000001.png, SEED/000002.png, ... below `folder`, each written once and whole."""

    def __init__(self, folder: Path, keep: int = KEEP) -> None:
        self.folder, self.keep = folder, keep

    def versions(self, seed: int) -> list[int]:
        """Numbers of the kept versions of one picture, oldest first."""
        found = (self.folder / str(seed)).glob("*.png")
        return sorted(int(path.stem) for path in found if path.stem.isdecimal())

    def head(self, seed: int) -> int:
        """The newest version's number; 0 when nothing was ever saved."""
        return max(self.versions(seed), default=0)

    def read(self, seed: int, version: int) -> bytes:
        """PNG bytes of one version.

        Raises:
            GannotateError: there is no such version, or no longer.
        """
        try:
            return self._path(seed, version).read_bytes()
        except FileNotFoundError as error:
            kept = self.versions(seed)
            shown = f"{kept[0]} to {kept[-1]}" if kept else "none"
            raise GannotateError(f"version {version} of picture {seed} is not kept; kept are {shown}") from error

    def add(self, seed: int, version: int, png: bytes) -> None:
        """Writes a new version, and lets those go that are too old to keep.

        Raises:
            GannotateError: it could not be written; nothing changed.
        """
        write_bytes(self._path(seed, version), png)
        for old in self.versions(seed)[: -self.keep]:
            self._path(seed, old).unlink(missing_ok=True)

    def _path(self, seed: int, version: int) -> Path:
        return self.folder / str(seed) / f"{version:06d}.png"
