"""torch's own containers: the zip of today, and the row of pickles and raw numbers before torch 1.6.

Both put tensors' numbers outside the pickle, which names them by persistent ids.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Any

from gannotate.generators.checkpoints.allowed import Allowed
from gannotate.generators.checkpoints.arrays import STORAGE_KINDS, Storage, size_of, storage_of
from gannotate.generators.checkpoints.machine import unpickle
from gannotate.generators.checkpoints.stream import Cursor, Name, Unreadable, damaged, refuse, shown

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
ZIP_START = b"PK\x03\x04"


def is_zip(data: memoryview) -> bool:
    """True for the zip container."""
    return data[:4] == ZIP_START


def is_legacy(data: memoryview) -> bool:
    """True for the container that begins with torch's magic number."""
    head = LEGACY_MAGIC.to_bytes(10, "little")
    return head in bytes(data[:32])


def read_torch(data: memoryview) -> Any:
    """What was saved in a torch file, inert.

    Raises:
        Unreadable: neither container, damaged, or it asks for something that is not allowed.
    """
    if is_zip(data):
        return _read_zip(data)
    if is_legacy(data):
        return _read_legacy(data)
    raise damaged("tensors that are neither in torch's zip nor in its older format")


def read_pickle(data: memoryview) -> Any:
    """What was saved in a plain pickle, inert; tensors in it are torch files of their own.

    Raises:
        Unreadable: damaged, or it asks for something that is not allowed.
    """
    return unpickle(Cursor(data), Allowed(len(data), load_nested=_nested_storage))


def _nested_storage(data: memoryview) -> Storage:
    storage = read_torch(data)
    if not isinstance(storage, Storage):
        raise damaged(f"{shown(storage)} where a tensor's numbers are due")
    return storage


def _storage_reference(reference: Any) -> tuple[str, str, Any]:
    """(key, kind, count) of a persistent id ("storage", class, key, device, count[, view])."""
    if not isinstance(reference, tuple) or len(reference) not in (5, 6) or reference[0] != "storage":
        raise damaged("a persistent id that names no storage")
    _, kind, key, _, count, *view = reference
    if not isinstance(kind, Name) or kind.name not in STORAGE_KINDS:
        refuse(f"a storage of the class {kind if isinstance(kind, Name) else shown(kind)}")
    if not isinstance(key, str):
        raise damaged("a storage whose key is no text")
    if any(part is not None for part in view):
        raise Unreadable("holds views of storages as torch wrote them before 0.4; save it again with a newer torch")
    return key, kind.name, count


def _read_legacy(data: memoryview) -> Any:
    cursor = Cursor(data)
    plain = Allowed(len(data))
    if unpickle(cursor, plain) != LEGACY_MAGIC or unpickle(cursor, plain) != LEGACY_PROTOCOL:
        raise damaged("it begins like a torch file and does not go on like one")
    about = unpickle(cursor, plain)
    if isinstance(about, dict) and about.get("little_endian") is False:
        raise Unreadable("was written by a big-endian machine; save it again on a common one")
    storages: dict[str, Storage] = {}

    def persistent(reference: Any) -> Storage:
        key, kind, count = _storage_reference(reference)
        return storages.setdefault(key, storage_of(kind, count))

    root = unpickle(cursor, Allowed(len(data), persistent=persistent))
    keys = unpickle(cursor, plain)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or set(keys) != set(storages):
        raise damaged("the list of its tensors' numbers does not fit its tensors")
    for key in keys:
        storage = storages[key]
        (count,) = struct.unpack("<q", cursor.take(8, "a tensor's length"))
        if count != storage.count:
            raise damaged(f"a tensor of {storage.count} numbers is followed by {count}")
        storage.fill(cursor.take(count * size_of(storage.number), "a tensor"))
    return root


def _read_zip(data: memoryview) -> Any:
    try:
        archive = zipfile.ZipFile(io.BufferedReader(_ViewFile(data)))
        entries = {entry.filename: entry for entry in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError, UnicodeDecodeError) as error:
        raise damaged(f"its zip directory cannot be read ({shown(str(error))})") from error
    roots = [name.removesuffix("data.pkl") for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise Unreadable("is a zip, but not one of torch's; give the file that holds the generator")
    (root,) = roots
    if f"{root}constants.pkl" in entries:
        raise Unreadable("is a TorchScript program, not a checkpoint; save the network's state_dict() instead")
    if f"{root}byteorder" in entries and bytes(_stored(data, entries[f"{root}byteorder"])) != b"little":
        raise Unreadable("was written by a big-endian machine; save it again on a common one")
    storages: dict[str, Storage] = {}

    def persistent(reference: Any) -> Storage:
        key, kind, count = _storage_reference(reference)
        if key not in storages:
            if f"{root}data/{key}" not in entries:
                raise damaged(f"the numbers {shown(key)!r} of a tensor are missing")
            storages[key] = storage_of(kind, count)
            storages[key].fill(_stored(data, entries[f"{root}data/{key}"]))
        return storages[key]

    pickle = _stored(data, entries[f"{root}data.pkl"])
    return unpickle(Cursor(pickle), Allowed(len(pickle), persistent=persistent))


def _stored(data: memoryview, entry: zipfile.ZipInfo) -> memoryview:
    """The bytes of a zip's entry. torch never compresses, so what is compressed is refused: it could grow to any size.

    Raises:
        Unreadable: compressed, beyond the file, or with a wrong checksum.
    """
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size or entry.flag_bits & 1:
        raise Unreadable("is a compressed or encrypted zip, which torch never writes; give the file as torch saved it")
    header = Cursor(data, min(max(entry.header_offset, 0), len(data)))
    fixed = header.take(30, "an entry's head")
    if fixed[:4] != ZIP_START:
        raise damaged("an entry of its zip is not where the directory says")
    names, extra = struct.unpack("<HH", fixed[26:30])
    header.take(names + extra, "an entry's head")
    content = header.take(entry.file_size, "an entry")
    if zlib.crc32(content) != entry.CRC:
        raise damaged(f"the checksum of {shown(entry.filename)} is wrong")
    return content


class _ViewFile(io.RawIOBase):
    """A memoryview as a file, without a copy."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, len(self._data))[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        part = self._data[self._at : self._at + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)
