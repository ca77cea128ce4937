"""One writer a store: a lock file that holds the writer's pid."""

import fcntl
import os
from pathlib import Path
from typing import IO

from twin.errors import StoreError

__all__ = ["lock_store"]


def lock_store(folder: Path) -> IO[str]:
    """Return the lock, held until it is closed; StoreError when another process has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise StoreError(f"the store {folder} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read(20).strip() or "unknown"
        file.close()
        raise StoreError(f"the store {folder} is in use by process {holder}") from error
    except OSError as error:
        file.close()
        raise StoreError(f"the store {folder} cannot be opened: {error.strerror}") from error
    return file
