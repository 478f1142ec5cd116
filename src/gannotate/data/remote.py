"""Places of datasets: folders on a disk, and addresses that fsspec reaches, e.g. s3://bucket/cells or memory://cells.

A disk's path stays a `Path`, and is written as always. An address is a `Remote`, which has those of a path's methods
that datasets need. What is written there is there whole or not at all: an object store's put is so by itself, and
anywhere else a file is written beside its place and moved there.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from gannotate.errors import GannotateError, UsageError
from gannotate.files import as_json, write_bytes, write_new_json

WHOLE_PUTS = frozenset(
    ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "r2", "hf", "memory")
)  # fmt: skip
"""fsspec's names of stores where a put is seen whole or not at all; others are file systems."""


class Remote:
    """A file or folder at an address such as s3://bucket/folder."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def __truediv__(self, name: str) -> Remote:
        system, path = self._place
        inner = Remote(f"{self.address}/{name}")
        # not found by its own address: in one like dir://part::s3://bucket the path is not what stands last
        inner.__dict__["_place"] = system, f"{path.rstrip('/')}/{name}" if path else name
        return inner

    def __str__(self) -> str:
        return self.address

    def __repr__(self) -> str:
        return f"Remote({self.address!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.address.rsplit("/", 1)[-1]

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system, and the place in it."""
        import fsspec  # only where an address is used

        try:
            return fsspec.core.url_to_fs(self.address)
        except ImportError as error:
            raise UsageError(f"{self.address} needs another package: {error}") from error
        except ValueError as error:
            raise UsageError(
                f"{self.address} is no address that fsspec knows ({error}); give a folder's path"
            ) from error

    def exists(self) -> bool:
        """Whether something is there."""
        system, path = self._place
        with self._told("read"):
            return bool(system.exists(path))

    def read_bytes(self) -> bytes:
        """The file's content.

        Raises:
            FileNotFoundError: there is none. GannotateError: it cannot be reached.
        """
        system, path = self._place
        with self._told("read"):
            return system.cat_file(path)

    def read_text(self) -> str:
        """The file's content, UTF-8; see `read_bytes`."""
        return self.read_bytes().decode()

    def names(self) -> list[str]:
        """Names of what is in the folder; none where there is no folder."""
        system, path = self._place
        with self._told("read"):
            try:
                return [str(found).rstrip("/").rsplit("/", 1)[-1] for found in system.ls(path, detail=False)]
            except FileNotFoundError:
                return []

    def write(self, data: bytes) -> None:
        """Makes or replaces the file, whole or not at all."""
        system, path = self._place
        with self._told("write"):
            if self._puts_whole():
                system.pipe_file(path, data)
                return
            folder, _, name = path.rpartition("/")
            beside = f"{folder}/.{name}.{uuid.uuid4().hex}.part"
            system.makedirs(folder, exist_ok=True)
            try:
                system.pipe_file(beside, data)
                system.mv(beside, path)
            except BaseException:
                with contextlib.suppress(Exception):
                    system.rm_file(beside)
                raise

    def write_new(self, data: bytes) -> bool:
        """Makes the file where there is none; False where there is one.

        Of several processes one makes it where the store can tell (S3, Google's, memory); elsewhere two that look in
        the same moment may both think so, and the later one's content stays.
        """
        if self.exists():
            return False
        if not self._puts_whole():
            self.write(data)
            return True
        system, path = self._place
        with self._told("write"):
            try:
                system.pipe_file(path, data, mode="create")
            except FileExistsError:
                return False
            except (TypeError, NotImplementedError, ValueError):  # a store that cannot tell
                system.pipe_file(path, data)
        return True

    def remove(self) -> None:
        """Removes the file, or the folder with all in it, where there is one."""
        system, path = self._place
        with self._told("write"), contextlib.suppress(FileNotFoundError):
            system.rm(path, recursive=True)

    def _puts_whole(self) -> bool:
        protocol = self._place[0].protocol
        return bool(WHOLE_PUTS & {protocol} if isinstance(protocol, str) else WHOLE_PUTS & set(protocol))

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, GannotateError):
            raise
        except Exception as error:  # each store has errors of its own
            reason = " ".join(str(error).split()) or type(error).__name__
            raise GannotateError(
                f"cannot {what} {self.address} ({reason}); check the address and your access to it"
            ) from error


Place = Path | Remote
"""Where a dataset, or one of its files, is."""


def place_of(given: str | Path | Remote) -> Place:
    """A path, or what stands behind an address like s3://bucket/folder; file:// is a path."""
    if isinstance(given, Remote) or "://" not in str(given):
        return given if isinstance(given, Remote) else Path(given)
    address = str(given)
    for scheme in ("file://", "local://"):
        if address.startswith(scheme):
            return Path(address.removeprefix(scheme))
    return Remote(address)


def put(place: Place, data: bytes) -> None:
    """Makes or replaces a file, whole or not at all.

    Raises:
        GannotateError: the disk is full, or the place cannot be written.
    """
    if isinstance(place, Remote):
        place.write(data)
    else:
        write_bytes(place, data)


def put_json(place: Place, value: Any) -> None:
    """`put` of what `files.write_json` writes."""
    put(place, as_json(value))


def put_new_json(place: Place, value: Any) -> bool:
    """Writes JSON where nothing is; False when another process was faster, whose file stays."""
    return place.write_new(as_json(value)) if isinstance(place, Remote) else write_new_json(place, value)


def stems(folder: Place, ending: str) -> list[str]:
    """Names of the files in a folder that end so, without the ending, sorted."""
    names = folder.names() if isinstance(folder, Remote) else [path.name for path in folder.glob(f"*{ending}")]
    return sorted(name.removesuffix(ending) for name in names if name.endswith(ending))
