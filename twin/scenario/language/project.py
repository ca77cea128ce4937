"""The root of a user's project: the nearest folder with a twin.toml."""

import tomllib
from pathlib import Path

from twin.errors import InputError, Problem

__all__ = ["project_root"]

MARK = "twin.toml"


def project_root(scenario_file: Path) -> Path:
    """Return the nearest folder with a twin.toml, otherwise the parent of the file's folder.

    Raises InputError for a twin.toml that says anything: it has no keys, and one that seems to
    have an effect has none.
    """
    folder = scenario_file.resolve().parent
    for candidate in (folder, *folder.parents):
        if (candidate / MARK).is_file():
            _check(candidate / MARK)
            return candidate
    return folder.parent


def _check(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
        keys = list(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError([Problem(str(path), 0, 0, f"is no TOML: {error}")]) from error
    if keys:
        line = next((n for n, one in enumerate(text.splitlines(), 1) if keys[0] in one), 1)
        what = f"unknown key {keys[0]!r}: {MARK} marks the root of a project and has no keys"
        raise InputError([Problem(str(path), line, 1, what)])
