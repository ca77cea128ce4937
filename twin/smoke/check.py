"""What a smoke check is, and how a list of them is run."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from twin.errors import TwinError

__all__ = ["Broken", "Check", "Finding", "NotChecked", "State", "run_checks"]

S = TypeVar("S")
TIMEOUT_S = 10.0


class State(StrEnum):
    """What became of a check. `not checked` says why: nothing is green by being left out."""

    OK = "ok"
    FAIL = "FAIL"
    NOT_CHECKED = "not checked"


class Broken(Exception):
    """What is wrong, and what to do about it."""

    def __init__(self, wrong: str, remedy: str) -> None:
        super().__init__(wrong)
        self.remedy = remedy


class NotChecked(Exception):
    """Why a check was not made: what it needs was not given."""


@dataclass(frozen=True, slots=True)
class Check(Generic[S]):
    """One property of a deployment. `of` are checks whose failure leaves this one unjudged.

    `look` returns what was found, raises Broken, or NotChecked.
    """

    name: str
    title: str
    look: Callable[[S], Awaitable[str]]
    of: tuple[str, ...] = ()
    remedy: str = "see the message of the error"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    name: str
    title: str
    state: State
    detail: str
    remedy: str
    seconds: float


async def run_checks(checks: Sequence[Check[S]], site: S) -> list[Finding]:
    """Run the checks, each as soon as those that it builds on are done; in the given order."""
    tasks: dict[str, asyncio.Task[Finding]] = {}
    async with asyncio.TaskGroup() as group:
        for check in checks:
            needed = [tasks[name] for name in check.of]
            tasks[check.name] = group.create_task(_after(check, site, needed))
    return [task.result() for task in tasks.values()]


async def _after(check: Check[S], site: S, needed: Sequence[asyncio.Task[Finding]]) -> Finding:
    for task in needed:
        found = await asyncio.shield(task)
        if found.state is State.FAIL:
            detail = f"cannot be judged while {found.name!r} fails"
            return Finding(check.name, check.title, State.NOT_CHECKED, detail, "", 0.0)
    return await _look(check, site)


async def _look(check: Check[S], site: S) -> Finding:
    began = time.monotonic()
    state, remedy = State.FAIL, check.remedy
    try:
        async with asyncio.timeout(TIMEOUT_S):
            detail, state, remedy = await check.look(site), State.OK, ""
    except NotChecked as why:
        detail, state, remedy = str(why), State.NOT_CHECKED, ""
    except Broken as broken:
        detail, remedy = str(broken), broken.remedy
    except TimeoutError:
        detail = f"no answer within {TIMEOUT_S:g} s"
    except TwinError as error:
        detail = str(error)
    return Finding(
        check.name, check.title, state, detail, remedy, round(time.monotonic() - began, 3)
    )
