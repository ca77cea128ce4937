"""Another version of this checkout beside the present one: built apart, measured in turns."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from twin.errors import InfrastructureError, UsageError

__all__ = ["Version", "other_version", "present_version", "turns"]

ROOT = Path(__file__).resolve().parents[2]
"""Where the code is that runs now."""
LOCK = "requirements.lock"
BUILD_S = 600.0
TURN_S = 120.0


class Version:
    """A version of twin that can measure its pieces: an interpreter, and where its code is."""

    def __init__(self, name: str, python: Path, source: Path) -> None:
        self.name = name
        self._python = python
        self._source = source

    def turn(self) -> dict[str, float]:
        """Measure every piece once in a fresh process; InfrastructureError where it cannot."""
        environment = {**os.environ, "PYTHONPATH": str(self._source)}
        try:
            done = subprocess.run(
                [str(self._python), "-m", "twin", "bench", "pieces", "--one-turn"],
                env=environment,
                cwd=self._source,  # `-m` looks in the working folder before PYTHONPATH
                capture_output=True,
                timeout=TURN_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise InfrastructureError(
                f"{self.name} has not measured its pieces in {TURN_S:g} s."
            ) from error
        if done.returncode:
            text = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
            raise InfrastructureError(f"{self.name} cannot measure its pieces: {text}")
        found: dict[str, float] = orjson.loads(done.stdout)
        return found


def present_version() -> Version:
    """Return the version that runs now."""
    return Version("this version", Path(sys.executable), ROOT)


@contextmanager
def other_version(ref: str) -> Iterator[Version]:
    """Check a commit out beside this one, and make what it needs; UsageError if there is none.

    Where both have the same locked dependencies the present interpreter serves, otherwise a
    virtual environment of its own is made. Meanwhile SIGTERM is KeyboardInterrupt, as Ctrl-C is:
    the checkout is removed however this ends.
    """
    if not (ROOT / ".git").exists():
        raise UsageError("--against needs a git checkout of twin to find other versions in")
    commit = _git(ROOT, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    with _termination_interrupts(), tempfile.TemporaryDirectory(prefix="twin-against-") as name:
        source = Path(name) / "source"
        _git(ROOT, "worktree", "add", "--detach", "--quiet", str(source), commit)
        try:
            yield Version(f"{ref} ({commit[:10]})", _interpreter(ROOT, source), source)
        finally:
            _git(ROOT, "worktree", "remove", "--force", str(source))


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def turns(
    base: Version, current: Version, repeats: int, tell: Callable[[int], None]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Measure both in turns, A B B A; return the samples of each by piece."""
    found: tuple[dict[str, list[float]], dict[str, list[float]]] = ({}, {})
    for number in range(repeats):
        pairs = [(base, found[0]), (current, found[1])]
        for version, samples in pairs if number % 2 == 0 else reversed(pairs):
            for piece, cost_us in version.turn().items():
                samples.setdefault(piece, []).append(cost_us)
        tell(number + 1)
    return found


def _interpreter(root: Path, source: Path) -> Path:
    if (root / LOCK).read_bytes() == (source / LOCK).read_bytes():
        return Path(sys.executable)
    place = source.parent / "venv"
    python = place / "bin" / "python"
    _built(sys.executable, "-m", "venv", str(place))
    _built(
        str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(source / LOCK)
    )
    return python


def _built(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, timeout=BUILD_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(f"the other version was not built in {BUILD_S:g} s.") from error
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip()
        raise InfrastructureError(f"the other version cannot be built: {text}")


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],  # noqa: S607 - whatever git the user has
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(f"git {arguments[0]} cannot be done: {error}") from error
    if done.returncode:
        text = (
            done.stderr.strip() or f"there is no commit {arguments[-1].removesuffix('^{commit}')!r}"
        )
        raise UsageError(f"git {arguments[0]}: {text}")
    return done.stdout.strip()
