"""Which files lie below a folder, links to folders included: large datasets are often linked into place."""

from __future__ import annotations

import os
from pathlib import Path

from gannotate.errors import GannotateError


def names_below(folder: str | Path) -> list[str]:
    """Names of the files below `folder` and relative to it, sorted, with / between folders; hidden ones left out.

    A link to a folder is followed, but not one to a folder that it lies in: that would lead round in circles.

    Raises:
        GannotateError: a folder in it cannot be read.
    """
    top = Path(folder)

    def refuse(error: OSError) -> None:
        raise unreadable(str(error.filename), error) from error

    found: list[str] = []
    for place, folders, files in os.walk(top, onerror=refuse, followlinks=True):
        here = Path(place)
        folders[:] = [name for name in folders if not hidden(name) and not _leads_back(here / name, top)]
        found += [(here / name).relative_to(top).as_posix() for name in files if not hidden(name)]
    return sorted(name for name in found if (top / name).is_file())  # no broken links, sockets and the like


def hidden(name: str) -> bool:
    """Whether a file, or a folder that it lies in, is none of the user's: .DS_Store, __MACOSX/a.png."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def unreadable(name: str, error: OSError) -> GannotateError:
    """The error of a file or folder that the system does not let us read."""
    return GannotateError(f"{name} cannot be read ({error.strerror or error})")


def _leads_back(folder: Path, top: Path) -> bool:
    """Whether it is a link to one of the folders that were gone through on the way to it, or to one above such."""
    if not folder.is_symlink():
        return False
    target = folder.resolve()
    here = folder.parent.relative_to(top)
    return any((top / place).resolve().is_relative_to(target) for place in (here, *here.parents))
