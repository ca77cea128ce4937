"""Whether a sensor has a value, and why not: one vocabulary for all of them."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, overload

import numpy as np

from twin.hardware.plane import Ints

__all__ = ["STATUS_OF", "WORDS", "Reason", "Reasons", "Status"]


class Status(IntEnum):
    """How far a reading can be trusted, as `twin.events.vocabulary.STATUSES`.

    From FAILED on there is no value: the arrays hold nan. They hold nan also where a sensor is
    OK and there is nothing to see (Reason NO_TARGET).
    """

    OK = 0
    DEGRADED = 1
    FAILED = 2
    DISABLED = 3


class Reason(IntEnum):
    """Why a status is not OK. The lower-case name is the word used in payloads."""

    NONE = 0
    SWITCHED_OFF = 1
    UNPOWERED = 2
    SHED = 3
    BOOTING = 4
    FAILED = 5
    DROPOUT = 6
    STUCK = 7
    DRIFT = 8
    BIAS = 9
    NOISE = 10
    NOT_LOCKED = 11
    OUT_OF_RANGE = 12
    NO_TARGET = 13
    SATURATED = 14
    NO_FIX = 15


WORDS: Final = tuple(None if reason is Reason.NONE else reason.name.lower() for reason in Reason)
_OFF: Final = {Reason.SWITCHED_OFF, Reason.UNPOWERED, Reason.SHED, Reason.BOOTING}
_DOUBTFUL: Final = {Reason.STUCK, Reason.DRIFT, Reason.BIAS, Reason.NOISE, Reason.SATURATED}


def _status(reason: Reason) -> Status:
    if reason in (Reason.NONE, Reason.NO_TARGET):
        return Status.OK
    if reason in _DOUBTFUL:
        return Status.DEGRADED
    return Status.DISABLED if reason in _OFF else Status.FAILED


STATUS_OF: Final = np.array([_status(reason) for reason in Reason], dtype=np.int64)
"""The Status that follows from each Reason."""


class Reasons(Sequence[str | None]):
    """A live array of Reason codes, read as the words of payloads."""

    def __init__(self, codes: Ints) -> None:
        self._codes = codes

    @overload
    def __getitem__(self, index: int) -> str | None: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str | None]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str | None] | None:
        if isinstance(index, slice):
            return [WORDS[code] for code in self._codes[index].tolist()]
        word: str | None = WORDS[int(self._codes[index])]
        return word

    def __len__(self) -> int:
        return len(self._codes)
