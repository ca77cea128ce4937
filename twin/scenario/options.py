"""Where and how a scenario runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from twin.jetstream.connection import BrokerOptions
from twin.scenario.evidence.monitors import Reads, faithfully
from twin.scenario.plan import Settings
from twin.scenario.processes.registrar_process import DEFAULT_COMMAND

__all__ = ["RunOptions"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where and how a scenario runs; `broker` None is a nats-server of the run's own.

    `reproduce` is the command line that would run the same again.
    """

    out: Path
    settings: Settings = field(default_factory=Settings)
    broker: BrokerOptions | None = None
    registrar_command: Sequence[str] = DEFAULT_COMMAND
    reproduce: str = ""
    monitor_reads: Reads = faithfully
