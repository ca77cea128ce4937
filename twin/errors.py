"""Every error that `twin` raises on purpose, as one tree.

    TwinError                      exit 4 unless a subclass says otherwise
    |-- UsageError                 exit 2: a flag or value the user gave
    |   `-- InputError             exit 2: a file the user gave, with positions
    |-- Interrupted                exit 130: Ctrl-C or SIGTERM
    `-- InfrastructureError        exit 4: broker, port, disk, process
        |-- BrokerUnreachable
        |-- TopologyConflict
        |-- StoreError
        `-- ProcessFailed

The docstring of a class is its default message. The command line prints
`str(error)` and leaves with `error.exit_code`; no traceback reaches a user.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "BrokerUnreachable",
    "InfrastructureError",
    "InputError",
    "Interrupted",
    "Problem",
    "ProcessFailed",
    "StoreError",
    "TopologyConflict",
    "TwinError",
    "UsageError",
]


class TwinError(Exception):
    """The run could not be carried out."""

    exit_code: ClassVar[int] = 4

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class UsageError(TwinError):
    """The command was used in a way that it does not support."""

    exit_code = 2


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault in a user's file; line and column count from 1, 0 means the whole file."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


class InputError(UsageError):
    """The file cannot be used as it is."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Interrupted(TwinError):
    """Interrupted: everything was stopped, and the run folder is not sealed."""

    exit_code = 130


class InfrastructureError(TwinError):
    """Something the run stands on is missing or broke."""


class BrokerUnreachable(InfrastructureError):
    """No JetStream-enabled NATS server answered."""


class TopologyConflict(InfrastructureError):
    """A stream or consumer on the server is not what is declared, and is not ours to change."""


class StoreError(InfrastructureError):
    """The registrar's store cannot be read or written."""


class ProcessFailed(InfrastructureError):
    """A process that the run depends on ended or never became ready."""
