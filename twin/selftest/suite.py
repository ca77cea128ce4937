"""Carries trials out, each as a run of its own, and says which were found."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from twin.errors import TwinError
from twin.lag.sample import ConsumerSample
from twin.report.progress import Snapshot
from twin.scenario.evidence.monitors import faithfully
from twin.scenario.language.load import load_scenario
from twin.scenario.plan import Settings
from twin.scenario.runner import RunOptions, run_scenario
from twin.selftest.trials import Trial
from twin.verdict.judge import judge
from twin.verdict.result import Result, write_result

__all__ = ["Detection", "run_trials"]

AT_ONCE = 2
"""Runs at a time: while one waits, the other works."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A trial and what the verdict said; `ok` if it is what it has to be."""

    name: str
    kind: str
    how: str
    expected: str
    verdict: str
    reason: str
    ok: bool
    seconds: float
    run: str

    def as_row(self) -> dict[str, str | bool | float]:
        """Return it for JSON."""
        return asdict(self)


async def run_trials(
    trials: Iterable[Trial], out: Path, done: Callable[[Detection], None]
) -> list[Detection]:
    """Run all, two at a time; call `done` after each, return them in the given order."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(trial: Trial) -> Detection:
        async with turn:
            found = await _run(trial, out)
        done(found)
        return found

    return list(await asyncio.gather(*(one(trial) for trial in trials)))


async def _run(trial: Trial, out: Path) -> Detection:
    """Run a trial until what is built in is found, so often as it may be tried."""
    for _ in range(trial.tries - 1):
        found = await _try(trial, out)
        if found.ok:
            return found
    return await _try(trial, out)


async def _try(trial: Trial, out: Path) -> Detection:
    folder = out / trial.name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scenario.yaml"
    file.write_text(trial.text(), encoding="utf-8")
    options = RunOptions(
        out=folder,
        settings=Settings(
            memory_storage=trial.memory_storage,
            persist_async=trial.persist_async,
            duplicate_window_s=trial.duplicate_window_s,
        ),
        monitor_reads=blindly if trial.blind_monitor else faithfully,
    )
    began = time.monotonic()
    expected = " or ".join(sorted(trial.verdicts)) + (f", {trial.check}" if trial.check else "")
    try:
        run = await run_scenario(load_scenario(str(file)), options, _watch_nothing)
    except TwinError as error:
        verdict, reason, ok, where = "error", str(error).splitlines()[0], False, str(folder)
    else:
        result = judge(run)
        write_result(run, result)
        verdict, ok, where = result.verdict.value, _found(trial, result), str(run)
        reason = _reason(trial, result)
    seconds = round(time.monotonic() - began, 1)
    return Detection(
        trial.name, trial.kind, trial.how, expected, verdict, reason, ok, seconds, where
    )


def _found(trial: Trial, result: Result) -> bool:
    named = not trial.check or any(one.check == trial.check for one in result.reasons)
    return result.verdict in trial.verdicts and named


def _reason(trial: Trial, result: Result) -> str:
    """Return the reason that a trial is about, otherwise the weightiest."""
    mine = [one for one in result.reasons if one.check == trial.check] or list(result.reasons)
    return mine[0].message if mine else ""


def blindly(sample: ConsumerSample) -> ConsumerSample:
    """Read every backlog as none, as a monitor does that takes a missing figure for 0."""
    return sample._replace(
        num_pending=0, num_ack_pending=0, backlog=0, oldest_age_s=0.0, num_redelivered=0
    )


def _watch_nothing(snapshot: Snapshot) -> None:
    """Show nothing while a trial lasts."""
