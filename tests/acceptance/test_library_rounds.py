"""The campaign over the library: its short forms fit, and a surprise is one."""

from pathlib import Path

import pytest
from library_rounds import Rounds, Short, commands, library, table

from twin.cli.batch import Finished
from twin.verdict.result import Verdict

ROOT = Path(__file__).parent.parent.parent


def test_every_shipped_scenario_takes_part() -> None:
    """Each has a short form whose values its parameters take, and a verdict to come to."""
    files = library()
    assert set(files) == set((ROOT / "scenarios").glob("*.yaml"))
    assert list(library(["rover"])) == [ROOT / "scenarios" / "rover.yaml"]
    with pytest.raises(LookupError, match="there is no scenario rovr"):
        library(["rovr"])


def test_short_values_reach_the_command() -> None:
    """What makes a scenario short is given as it would be on a command line."""
    [(name, words)] = commands({Path("a/b.yaml"): Short(vars={"bots": 3})}, Path("out"))
    assert (name, words) == ("b", ["a/b.yaml", "--out", "out", "--var", "bots=3"])


def test_another_verdict_than_expected_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run without a verdict is wrong whatever was expected, and is shown in its round."""
    rounds = Rounds({"one": Verdict.FAIL}, tmp_path, 2)
    failed = Finished("one", None, "no broker", 4)
    rounds.note(failed)
    assert rounds.wrong == [failed]
    assert capsys.readouterr().out.splitlines() == ["   1/2 ERROR    one", "     no broker"]
    assert table([failed, failed]) == "one  ERROR ERROR"
