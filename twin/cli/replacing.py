"""Files that a command writes where the user says: whole, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twin.errors import UsageError

__all__ = ["replacing"]


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Give a file to write, which takes the place of `out` once it is whole.

    What is no regular file, as /dev/stdout, is given itself. UsageError when it cannot be written.
    """
    regular = out.is_file() or not out.exists()
    part = out.with_name(f".{out.name}.{os.getpid()}.part") if regular else out
    try:
        yield part
        if regular:
            part.replace(out)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        if regular:
            with suppress(OSError):
                part.unlink(missing_ok=True)
