"""What is in a file or folder, as a digest: two copies of the same pictures are the same input of a cell."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gannotate.errors import UsageError
from gannotate.project import digest as file_digest

NETWORK = ("config.json", "*.safetensors")
"""Files that make a network's folder what it is; its card, log and snapshots may change."""


def content_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of a folder's files (of a network's: its weights).

    Raises:
        UsageError: nothing is there.
    """
    if path.is_file():
        return file_digest(path)
    if not path.is_dir():
        raise UsageError(f"{path} is not there")
    patterns = NETWORK if (path / "model.safetensors").exists() else ("**/*",)
    files = sorted({one for pattern in patterns for one in path.glob(pattern) if one.is_file()})
    whole = hashlib.sha256()
    for one in files:
        name = one.relative_to(path).as_posix()
        if not any(part.startswith(".") for part in name.split("/")):
            whole.update(f"{name}\0{file_digest(one)}\n".encode())
    return whole.hexdigest()
