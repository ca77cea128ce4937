"""Files of a run folder: written whole or not at all, and recognised by their digest."""

import hashlib
import os
from pathlib import Path

__all__ = ["file_digest", "write_atomic"]


def write_atomic(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Replace `path` by `data`; a crash leaves the old file or the new one, never a part.

    `mode` is that of the new file, from its first byte on, less what the umask takes away.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        with open(os.open(part, flags, mode), "wb") as file:  # noqa: PTH123 - a mode from the start
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
