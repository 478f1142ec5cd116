"""Writing files so that a reader sees the old one or the whole new one, never half of it.

What is being written is called .NAME.part, and is locked: what a killed process left of it is taken over by the next
one that writes NAME, and what a living one writes is left alone.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from gannotate.errors import GannotateError
from gannotate.locks import alone_in, take

FULL, FORBIDDEN = (errno.ENOSPC, errno.EDQUOT), (errno.EACCES, errno.EPERM)
"""Numbers of errors: the disk, or this user's share of it, is full; this user may not."""

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # which only Windows has
"""How a file is opened that must not be there yet."""


class DiskError(GannotateError):
    """The disk is full or fails, or this user may not write or open what is there."""


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Opens a temporary file beside `path`; on success it replaces `path`, on any failure `path` stays as it was.

    Raises:
        DiskError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = _open_part(path)
        with os.fdopen(handle, "wb") as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if os.name != "posix":  # elsewhere it keeps its lock until it has its name
                    file.close()
                os.replace(part, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(part)
                raise
    except OSError as error:
        raise disk_error(error, path) from error


def _open_part(path: Path) -> tuple[int, str]:
    """An empty file beside `path` that is this process's own, open for writing, and its name."""
    part = path.with_name(f".{path.name}.part")
    if os.name == "posix":
        with contextlib.suppress(OSError):  # somebody else's: another name may do
            _drop_if_abandoned(part)
            handle = _open_new(part)
            if take(handle) and _is_alone(handle, part):
                return handle, str(part)
            os.close(handle)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    return _open_new(part), str(part)


def _open_new(part: Path) -> int:
    """Makes a file and opens it for writing; it has the mode of any new file here.

    The system takes the umask off: it is one for all threads, and to ask Python for it is to set it for a moment.
    """
    return os.open(part, NEW, 0o666)


def _drop_if_abandoned(part: Path) -> None:
    """Removes what a killed process left under a name; on a disk without locks nobody can tell, and it stays.

    Raises:
        OSError: it cannot be opened or removed.
    """
    with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as opened:
        mine = os.open(part, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        opened.callback(os.close, mine)
        other = os.open(part, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        opened.callback(os.close, other)
        if take(mine) and not take(other) and _is_alone(mine, part):
            os.unlink(part)


def drop_abandoned(folder: Path, name: str) -> None:
    """Removes what killed processes had begun to write of the files called `name` in the folders below `folder`."""
    if os.name != "posix":
        return
    for part in folder.glob(f"*/.{name}.part"):
        with contextlib.suppress(OSError):
            _drop_if_abandoned(part)


def _is_alone(handle: int, part: Path) -> bool:
    """Whether an open file is still the one of that name, and has no other name."""
    about = os.fstat(handle)
    # whoever had it may have renamed or removed it in between: then this is another file
    if not part.exists() or not os.path.samestat(about, os.stat(part, follow_symlinks=False)):
        return False
    if about.st_nlink > 1:  # `write_new` was killed between its name and its end
        os.unlink(part)
        return False
    return True


def write_new(path: str | Path, data: bytes) -> bool:
    """Writes `data` to `path` where nothing is; False when another process was faster, whose file stays.

    Raises:
        DiskError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = _open_part(path)
        with os.fdopen(handle, "wb") as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                return _name_new(part, path)
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(part)
    except OSError as error:
        raise disk_error(error, path) from error


def _name_new(part: str, path: Path) -> bool:
    try:
        os.link(part, path)  # unlike a renaming, it replaces nothing
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        os.replace(part, path)
    return True


@contextlib.contextmanager
def appearing(path: str | Path) -> Iterator[Path]:
    """Gives an empty folder beside `path` to fill: it takes that name at the end, or is removed.

    Raises:
        GannotateError: another process is making `path`, the disk is full, or the place cannot be written.
    """
    place = Path(os.path.abspath(path))
    building = place.parent / f".{place.name}.part"
    try:
        building.mkdir(parents=True, exist_ok=True)
        with alone_in(building, f"another process is making {path}; wait for its end, or give another name"):
            try:
                _empty(building)
                yield building
                os.replace(building, place)
            except BaseException:
                shutil.rmtree(building, ignore_errors=True)
                raise
    except OSError as error:
        raise disk_error(error, path) from error


def _empty(folder: Path) -> None:
    """Removes what a killed process left."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def make_folder(path: str | Path) -> Path:
    """Makes a folder, and those that it is in, where there is none; gives it.

    Raises:
        GannotateError: the disk is full, or the place cannot be written.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, path) from error
    return path


def file_in_the_way(path: str | Path) -> Path | None:
    """The file that is where `path` needs a folder, at it or above it; None where there is none."""
    path = Path(path)
    first = next((one for one in (path, *path.parents) if one.exists()), None)
    return None if first is None or first.is_dir() else first


def drop(path: str | Path) -> None:
    """Removes a file that is of no use any more, if it is there; on a disk that can no longer be written it stays."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Writes `data` to `path` atomically."""
    with atomic_write(path) as file:
        file.write(data)


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` (UTF-8) to `path` atomically."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Writes `value` as indented JSON to `path` atomically; NaN and infinity are written as null."""
    write_bytes(path, as_json(value))


def write_new_json(path: str | Path, value: Any) -> bool:
    """`write_new` of what `write_json` writes."""
    return write_new(path, as_json(value))


def as_json(value: Any) -> bytes:
    """Indented JSON; NaN and infinity as null."""
    return (json.dumps(_finite(value), indent=2, allow_nan=False) + "\n").encode()


def disk_error(error: OSError, path: str | Path) -> DiskError:
    """The sentence for a failed write: says whether the disk is full, and that nothing was replaced."""
    if error.errno in FULL:
        return DiskError(
            f"no space left on the disk while writing {path}: nothing was replaced; free some space and run the "
            "same command again"
        )
    return DiskError(f"cannot write {path} ({error.strerror or error}); give a place that can be written")


def disk_trouble(error: BaseException) -> DiskError | None:
    """The sentence for an error of the disk that nobody has answered where it happened; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in (*FULL, errno.EROFS, *FORBIDDEN):
        return None
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    if error.errno in FORBIDDEN:  # reading, writing, or no file at all (a process, a port)
        what = f"cannot open or change {path} ({error.strerror}); give another path, or get the permission"
        return DiskError(what) if path else None
    return disk_error(error, path or "a file")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Path):
        return str(value)
    return value
