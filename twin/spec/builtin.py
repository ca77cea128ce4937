"""The specs and scenarios that come with the package, addressed as `builtin:NAME`."""

from pathlib import Path
from typing import Literal, TypeAlias

from twin.errors import UsageError
from twin.spec.findings import did_you_mean

__all__ = ["PREFIX", "Kind", "builtin_names", "builtin_path", "resolve"]

Kind: TypeAlias = Literal["specs", "scenarios"]

PREFIX = "builtin:"
_PACKAGE = Path(__file__).resolve().parent.parent


def builtin_path(kind: Kind, name: str) -> Path:
    """Return the file of a built-in; raises UsageError for a name that we do not ship."""
    path = _folder(kind) / f"{name}.yaml"
    if name not in builtin_names(kind):
        hint = did_you_mean(name, builtin_names(kind))
        raise UsageError(f"there is no {kind[:-1]} {PREFIX}{name}{hint}")
    return path


def builtin_names(kind: Kind) -> list[str]:
    """Return the names of all built-ins of a kind."""
    return sorted(path.stem for path in _folder(kind).glob("*.yaml"))


def resolve(kind: Kind, reference: str | Path) -> Path:
    """Return the file that a path or `builtin:NAME` means."""
    text = str(reference)
    if text.startswith(PREFIX):
        return builtin_path(kind, text.removeprefix(PREFIX))
    return Path(reference)


def _folder(kind: Kind) -> Path:
    """In a wheel the files are package data, in a source checkout they lie beside the package."""
    packed = _PACKAGE / "builtin" / kind
    return packed if packed.is_dir() else _PACKAGE.parent / kind
