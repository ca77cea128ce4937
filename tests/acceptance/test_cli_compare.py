"""`twin compare`, as CI calls it."""

import json
import subprocess
from pathlib import Path

from in_process import twin_here

STEADY = [1.0, 1.02, 0.99, 1.01, 1.0, 0.98]


def twin(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return twin_here(Path(), *arguments)


def result(path: Path, factor: float = 1.0, **more: object) -> Path:
    """Write a result whose only metric is `factor` times as slow."""
    samples = [value * factor for value in STEADY]
    metrics = {"encode": {"unit": "s", "better": "lower", "samples": samples}}
    document = {"name": "pieces", "machine": {"cores": 2}, "metrics": metrics, **more}
    path.write_text(json.dumps(document))
    return path


def test_a_regression_is_exit_code_1_and_named(tmp_path: Path) -> None:
    """The table names metric and outcome; the same result compared with itself is the same."""
    base, slow = result(tmp_path / "base.json"), result(tmp_path / "slow.json", 1.15)
    done = twin("compare", base, slow)
    assert done.returncode == 1
    assert "regressed" in done.stdout
    same = twin("compare", base, base, "--json")
    assert same.returncode == 0
    assert json.loads(same.stdout)[0]["outcome"] == "same"


def test_another_machine_is_refused_unless_told_to(tmp_path: Path) -> None:
    """Exit code 3 names what differs; --anyway compares."""
    base = result(tmp_path / "base.json", machine={"cores": 2})
    other = result(tmp_path / "other.json", machine={"cores": 8})
    done = twin("compare", base, other)
    assert done.returncode == 3
    assert "machine.cores: 2 and 8" in done.stderr
    assert twin("compare", base, other, "--anyway").returncode == 0


def test_what_shows_nothing_is_not_green(tmp_path: Path) -> None:
    """A metric that has vanished, no word of the machine, too few repeats: exit code 3."""
    base = result(tmp_path / "base.json")
    one = {"unit": "s", "better": "lower", "samples": STEADY}
    few = {"encode": {**one, "samples": [1.0, 1.0]}}
    for name, more, told in (
        ("renamed", {"metrics": {"encode2": one, "decode": one}}, "only the first has it"),
        ("nowhere", {"machine": {}}, "the second does not say where it was measured"),
        ("few", {"metrics": few}, ""),
    ):
        done = twin("compare", base, result(tmp_path / f"{name}.json", **more))
        assert done.returncode == 3, name
        assert told in done.stderr
    more = {"encode": one, "decode": one}
    assert twin("compare", base, result(tmp_path / "new.json", metrics=more)).returncode == 0


def test_what_is_no_result_is_one_clear_message(tmp_path: Path) -> None:
    """A missing file and a file of another kind: exit code 2, the file named, no traceback."""
    base = result(tmp_path / "base.json")
    (tmp_path / "strange.json").write_text('{"name": "x", "metrics": 3}')
    for name in ("missing.json", "strange.json"):
        done = twin("compare", base, tmp_path / name)
        assert done.returncode == 2
        assert name in done.stderr
        assert "Traceback" not in done.stderr


def test_other_versions_are_told(tmp_path: Path) -> None:
    """A newer Python may be why something is faster; the comparison says so and is made."""
    base = result(tmp_path / "base.json", versions={"python": "3.11.7"})
    newer = result(tmp_path / "newer.json", versions={"python": "3.13.0"})
    done = twin("compare", base, newer)
    assert (done.returncode, done.stderr) == (
        0,
        "a change may come from versions.python: 3.11.7 and 3.13.0\n",
    )


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    """NaN and infinity in a result are exit code 2 with their place, no internal error."""
    base = result(tmp_path / "base.json")
    for word in ("NaN", "Infinity"):
        path = result(tmp_path / "odd.json")
        path.write_text(path.read_text().replace("1.02", word))
        done = twin("compare", base, path)
        assert done.returncode == 2
        assert "metrics.encode.samples.1" in done.stderr


def test_a_name_is_shown_as_it_is(tmp_path: Path) -> None:
    """What looks like markup or moves a cursor in a name is text."""
    metric = {"unit": "[bold]s", "better": "lower", "samples": STEADY}
    base = result(tmp_path / "base.json", metrics={"\x1b[2Jcpu[/nope]": metric})
    done = twin("compare", base, base)
    assert (done.returncode, done.stderr) == (0, "")
    assert "cpu[/nope]" in done.stdout
    assert "[bold]s" in done.stdout
    assert "\x1b" not in done.stdout
