"""Several scenarios: which ones are meant, each in a process of its own, all in one report."""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from twin.errors import InfrastructureError, UsageError
from twin.processes import ChildProcess, tail
from twin.scenario.language.load import LoadedScenario, load_scenario
from twin.scenario.language.parameters import Scalar
from twin.spec.builtin import PREFIX
from twin.verdict.result import Result, Verdict

__all__ = [
    "Finished",
    "as_document",
    "exit_code",
    "find_scenarios",
    "run_apart",
    "verdicts",
]

JUDGED = {verdict.exit_code for verdict in Verdict}
ORDER = (Verdict.PASS, Verdict.INVALID, Verdict.FAIL)


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that ended: with a result, or with the error that kept it from having one."""

    name: str
    result: Result | None
    error: str = ""
    code: int = 0

    @property
    def verdict(self) -> str:
        """PASS, FAIL or INVALID, and ERROR without a result."""
        return self.result.verdict.value if self.result is not None else "ERROR"


def find_scenarios(
    references: Iterable[str], tags: Sequence[str], given: Mapping[str, Scalar]
) -> list[LoadedScenario]:
    """Load files, builtin:NAMEs and what lies in folders, if it has all of `tags`.

    Raises UsageError when nothing is left, InputError for a file that is no scenario.
    """
    files: list[str] = []
    for reference in references:
        path = Path(reference)
        if reference.startswith(PREFIX) or not path.is_dir():
            files.append(reference)
            continue
        inside = sorted(str(one) for pattern in ("*.yaml", "*.yml") for one in path.glob(pattern))
        if not inside:
            raise UsageError(f"{reference} has no scenario: no *.yaml is in it")
        files += inside
    loaded = [load_scenario(file, given) for file in files]
    found = [one for one in loaded if set(tags) <= set(one.scenario.tags)]
    if not found:
        known = sorted({tag for one in loaded for tag in one.scenario.tags})
        there = f"there are: {', '.join(known)}" if known else "none of them has a tag"
        raise UsageError(f"no scenario has the tag {' and '.join(tags)}; {there}")
    return found


async def run_apart(
    commands: Sequence[tuple[str, Sequence[str]]],
    jobs: int,
    tell: Callable[[Finished], None],
    env: Mapping[str, str],
) -> list[Finished]:
    """Run `twin run` with each (name, arguments), `jobs` at a time; results in the given order.

    `env` is added to the environment. A run that cannot be carried out ends no other one.
    """
    turn = asyncio.Semaphore(jobs)

    async def one(name: str, arguments: Sequence[str]) -> Finished:
        async with turn:
            found = await _run(name, arguments, env)
        tell(found)
        return found

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(*command)) for command in commands]
    return [task.result() for task in tasks]


async def _run(name: str, arguments: Sequence[str], env: Mapping[str, str]) -> Finished:
    with tempfile.TemporaryDirectory(prefix="twin-run-") as place:
        output = Path(place) / "output"
        argv = [sys.executable, "-m", "twin", "run", *arguments, "--json"]
        async with ChildProcess.start(argv, env=env, log_path=output) as child:
            code = await child.wait()
        if code not in JUDGED:
            return Finished(name, None, tail(output) or f"ended with {code}", max(code, 0))
        try:
            return Finished(name, Result.model_validate_json(output.read_bytes()))
        except ValidationError:
            return Finished(name, None, tail(output), InfrastructureError.exit_code)


def exit_code(finished: Iterable[Finished]) -> int:
    """Return the exit code of all together: an error first, then FAIL, INVALID and PASS."""
    results = list(finished)
    if errors := [one for one in results if one.result is None]:
        return errors[0].code or InfrastructureError.exit_code
    found = [one.result.verdict for one in results if one.result is not None]
    return max(found, key=ORDER.index).exit_code


def verdicts(finished: Iterable[Finished]) -> dict[str, dict[str, int]]:
    """Return for each scenario how many of its runs came to which verdict."""
    found: dict[str, Counter[str]] = {}
    for one in finished:
        found.setdefault(one.name, Counter())[one.verdict] += 1
    return {name: dict(counts.most_common()) for name, counts in found.items()}


def as_document(finished: Sequence[Finished]) -> dict[str, object]:
    """Return what `--json` prints of several runs."""
    found = [one.result.verdict for one in finished if one.result is not None]
    return {
        "schema_version": 1,
        "verdict": max(found, key=ORDER.index).value if found else None,
        "verdicts": verdicts(finished),
        "runs": [one.result.model_dump(mode="json") for one in finished if one.result is not None],
        "errors": [
            {"scenario": one.name, "error": one.error, "exit_code": one.code}
            for one in finished
            if one.result is None
        ],
    }
