"""Runs the library's scenarios again and again: each has to come to the same verdict every time.

`make library-rounds ROUNDS=20 JOBS=2`, or `python tests/acceptance/library_rounds.py --rounds 20`.
What makes them short is in tests/data/library_rounds.yaml. Prints a line per run and a table of the
verdicts by round; exit 1 when one was not the expected one. Run folders of those are kept.
"""

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from twin.cli.batch import Finished, run_apart
from twin.scenario.language.load import load_scenario
from twin.verdict.result import Verdict

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "tests" / "data" / "library_rounds.yaml"


class Short(BaseModel):
    """What makes a scenario short, and what it comes to."""

    model_config = ConfigDict(extra="forbid")
    vars: dict[str, float | int | bool | str] = {}
    verdict: Verdict = Verdict.PASS


def library(only: Sequence[str] = ()) -> dict[Path, Short]:
    """Return the scenarios with their short forms; LookupError for a name that none has."""
    files = {file.stem: file for file in sorted((ROOT / "scenarios").glob("*.yaml"))}
    given = yaml.safe_load(DATA.read_text())
    if unknown := sorted({*given, *only} - {*files}):
        raise LookupError(f"there is no scenario {', '.join(unknown)}")
    found = {files[name]: Short.model_validate(given.get(name, {})) for name in only or files}
    for file, short in found.items():
        load_scenario(str(file), short.vars)
    return found


@dataclass
class Rounds:
    """What the runs came to; `wanted` is the verdict of each scenario by its name."""

    wanted: Mapping[str, Verdict]
    out: Path
    total: int
    done: int = 0
    wrong: list[Finished] = field(default_factory=list)

    def note(self, one: Finished) -> None:
        """Print a run that has ended, and keep its folder only if it is a surprise."""
        self.done += 1
        fine = one.verdict == self.wanted[one.name].value
        print(f"{self.done:4}/{self.total} {one.verdict:8} {one.name}", flush=True)
        if fine and one.result is not None:
            shutil.rmtree(self.out / one.result.run_id)
            return
        self.wrong.append(one)
        print(f"     {one.error or (one.result and one.result.run_id)}", flush=True)
        for reason in one.result.reasons if one.result else ():
            print(f"     {reason.check}: {reason.message}", flush=True)


def commands(files: Mapping[Path, Short], out: Path) -> list[tuple[str, list[str]]]:
    """Return name and arguments of each run of one round."""
    return [
        (
            file.stem,
            [
                *(str(file), "--out", str(out)),
                *(
                    word
                    for name, value in short.vars.items()
                    for word in ("--var", f"{name}={value}")
                ),
            ],
        )
        for file, short in files.items()
    ]


def table(finished: Sequence[Finished]) -> str:
    """Return a line per scenario with its verdict of each round."""
    rows: dict[str, list[str]] = {}
    for one in finished:
        rows.setdefault(one.name, []).append(one.verdict)
    width = max(map(len, rows))
    return "\n".join(f"{name:{width}}  {' '.join(each)}" for name, each in rows.items())


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="scenarios; all without")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "library-rounds")
    given = parser.parse_args()
    files = library(given.names)
    each = commands(files, given.out) * given.rounds
    wanted = {file.stem: short.verdict for file, short in files.items()}
    rounds, began = Rounds(wanted, given.out, len(each)), time.monotonic()
    finished = asyncio.run(run_apart(each, given.jobs, rounds.note, {}))
    print(table(finished))
    took = time.monotonic() - began
    print(f"{len(each) - len(rounds.wrong)} of {len(each)} as expected, in {took:.0f} s")
    return 1 if rounds.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
