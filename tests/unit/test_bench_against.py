"""Two versions measured in turns: each side runs its own code, wherever the command was given."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from twin.bench import against
from twin.errors import InfrastructureError

PACKAGE = Path(against.__file__).parents[1]
MEASURED = """
import json
from twin import MARKER
print(json.dumps({"piece": MARKER}))
"""
MEASURE = """
import json
from twin.bench.against import other_version, present_version, turns
with other_version("HEAD~1") as base:
    print(json.dumps(turns(base, present_version(), 2, lambda number: None)))
"""


def git(root: Path, *arguments: str) -> None:
    """Run git in a checkout, as somebody."""
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True)  # noqa: S607


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout of a tiny twin: its piece costs 1 in the first commit, 2 in the second."""
    root = tmp_path / "checkout"
    (root / "twin" / "bench").mkdir(parents=True)
    (root / "twin" / "bench" / "__init__.py").touch()
    (root / "twin" / "__main__.py").write_text(MEASURED)
    (root / against.LOCK).touch()
    for name in ("errors.py", "bench/against.py"):
        shutil.copy(PACKAGE / name, root / "twin" / name)
    git(tmp_path, "init", "--quiet", str(root))
    for marker in (1, 2):
        (root / "twin" / "__init__.py").write_text(f"MARKER = {marker}.0\n")
        git(root, "add", ".")
        git(root, "commit", "--quiet", "-m", str(marker))
    return root


@pytest.mark.parametrize("place", ["checkout", "elsewhere", "other"])
def test_each_side_runs_its_own_code(checkout: Path, tmp_path: Path, place: str) -> None:
    """From within the checkout, from outside, and from within a checkout of something else."""
    folder = tmp_path / place
    (folder / "twin").mkdir(parents=True, exist_ok=True)
    if place == "other":
        (folder / "twin" / "__init__.py").write_text("MARKER = 3.0\n")
        (folder / "twin" / "__main__.py").write_text(MEASURED)
    found = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(checkout)!r})\n{MEASURE}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert json.loads(found.stdout) == [{"piece": [1.0, 1.0]}, {"piece": [2.0, 2.0]}]


def test_a_comparison_that_is_terminated_leaves_no_checkout_behind(checkout: Path) -> None:
    """SIGTERM while the other version is measured, as a job that is cancelled gets it."""
    waiting = (
        "import os, signal\n"
        "from twin.bench.against import other_version\n"
        "with other_version('HEAD~1'):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    signal.pause()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(checkout)!r})\n{waiting}"],
        cwd=checkout,
        env={**os.environ, "TMPDIR": str(checkout.parent)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "KeyboardInterrupt" in done.stderr
    assert not list((checkout / ".git").glob("worktrees/*"))
    assert not list(checkout.parent.glob("twin-against-*"))


def test_a_version_that_is_not_built_in_time_is_told(checkout: Path) -> None:
    """Other dependencies that take too long to install are exit code 4, no internal error."""
    (checkout / against.LOCK).write_text("other\n")
    building = (
        "from twin.bench import against\n"
        "from twin.errors import InfrastructureError\n"
        "against.BUILD_S = 0.01\n"
        "try:\n"
        "    with against.other_version('HEAD~1'):\n"
        "        pass\n"
        "except InfrastructureError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(checkout)!r})\n{building}"],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert done.stdout == "the other version was not built in 0.01 s.\n"
    assert not list((checkout / ".git").glob("worktrees/*"))


def test_a_version_that_hangs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn that does not end is exit code 4 with the version's name, no internal error."""
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / "__init__.py").touch()
    (tmp_path / "twin" / "__main__.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(against, "TURN_S", 0.5)
    version = against.Version("main (1234)", Path(sys.executable), tmp_path)
    with pytest.raises(InfrastructureError, match=r"main \(1234\) has not measured"):
        version.turn()
