"""What a smoke check is, and how a list of them is run."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

from twin.errors import TwinError

__all__ = ["Broken", "Check", "Finding", "NotChecked", "State", "run_checks"]

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)
TIMEOUT_S = 10.0


class State(StrEnum):
    """What became of a check. `not checked` says why: nothing is green by being left out."""

    OK = "ok"
    FAIL = "FAIL"
    NOT_CHECKED = "not checked"


class Broken(Exception):
    """What is wrong, and what to do about it. A failure of `explained_by` is the reason for it."""

    def __init__(self, wrong: str, remedy: str, *, explained_by: tuple[str, ...] = ()) -> None:
        super().__init__(wrong)
        self.remedy = remedy
        self.explained_by = explained_by


class NotChecked(Exception):
    """Why a check was not made: what it needs was not given."""


@dataclass(frozen=True, slots=True)
class Check(Generic[S_contra]):
    """One property of a deployment. `of` are checks whose failure leaves this one unjudged.

    `look` returns what was found, raises Broken, or NotChecked.
    """

    name: str
    title: str
    look: Callable[[S_contra], Awaitable[str]]
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
            tasks[check.name] = group.create_task(_judge(check, site, dict(tasks)))
    return [task.result() for task in tasks.values()]


async def _judge(check: Check[S], site: S, others: Mapping[str, asyncio.Task[Finding]]) -> Finding:
    if failed := await _first_failed(check.of, others):
        return Finding(check.name, check.title, State.NOT_CHECKED, _while(failed), "", 0.0)
    found, explained_by = await _look(check, site)
    if failed := await _first_failed(explained_by, others):
        detail = f"{found.detail}; {_while(failed)}"
        return replace(found, state=State.NOT_CHECKED, detail=detail, remedy="")
    return found


async def _first_failed(
    names: Sequence[str], others: Mapping[str, asyncio.Task[Finding]]
) -> str | None:
    for name in names:
        if name in others and (await asyncio.shield(others[name])).state is State.FAIL:
            return name
    return None


def _while(failed: str) -> str:
    return f"cannot be judged while {failed!r} fails"


async def _look(check: Check[S], site: S) -> tuple[Finding, tuple[str, ...]]:
    """Return what was found, and which checks explain it if they fail."""
    began = time.monotonic()
    explained_by: tuple[str, ...] = ()
    state, remedy = State.FAIL, check.remedy
    try:
        async with asyncio.timeout(TIMEOUT_S):
            detail, state, remedy = await check.look(site), State.OK, ""
    except NotChecked as why:
        detail, state, remedy = str(why), State.NOT_CHECKED, ""
    except Broken as broken:
        detail, remedy, explained_by = str(broken), broken.remedy, broken.explained_by
    except TimeoutError:
        detail = f"no answer within {TIMEOUT_S:g} s"
    except TwinError as error:
        detail = str(error)
    except Exception as error:
        detail = f"internal error, please report it: {type(error).__name__}: {error}"
    seconds = round(time.monotonic() - began, 3)
    return Finding(check.name, check.title, state, detail, remedy, seconds), explained_by
