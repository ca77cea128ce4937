"""Runs on the subjects and streams of somebody else: only what was named, and only so much.

With `--shared` nothing is made, changed or deleted on the server, but for the short-lived
consumers without acknowledgement with which the evidence is read.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from twin.errors import TopologyConflict, UsageError
from twin.events.subjects import covers
from twin.events.topology import StreamDecl, Topology
from twin.jetstream.api import StreamInfo, stream_info, streams_on
from twin.jetstream.connection import Connection
from twin.scenario.language.model import Scenario
from twin.scenario.language.outside import Role
from twin.verdict.manifest import Predicted

__all__ = ["Shared", "attached", "check_shared"]

NS = 1_000_000_000
MEDDLING = ("stream.", "consumer.", "message.")


@dataclass(frozen=True, slots=True)
class Shared:
    """Patterns of subjects on which may be published, and caps over the whole run.

    `max_rate` is in messages per second; tries that are repeated count as messages and bytes.
    """

    subjects: tuple[str, ...]
    max_messages: int
    max_bytes: int
    max_rate: float

    def allows(self, subject: str) -> bool:
        """Tell whether a subject, or all that a pattern matches, was named."""
        return any(covers(pattern, subject) for pattern in self.subjects)


def check_shared(
    shared: Shared, scenario: Scenario, predicted: Predicted, duration_ns: int
) -> None:
    """Raise UsageError when the scenario would do more than was allowed."""
    if Role.REGISTRAR not in scenario.external:
        raise UsageError(
            "--shared: our registrar would need consumers on your streams; give the scenario "
            "`external: [registrar]`, and an observer of your own service"
        )
    if scenario.consumers:
        names = ", ".join(scenario.consumers)
        raise UsageError(f"--shared makes no consumers on your streams, and {names} would be some")
    for event in scenario.events:
        if event.do.fault.startswith(MEDDLING):
            raise UsageError(f"--shared: {event.do.fault} would change what is yours")
    outside = [subject for subject in predicted.by_subject if not shared.allows(subject)]
    if outside:
        raise UsageError(f"--allow-subjects does not name {', '.join(sorted(outside))}")
    per_s = predicted.total / (duration_ns / NS)
    for flag, cap, needed in (
        ("--max-messages", shared.max_messages, predicted.total),
        ("--max-rate", shared.max_rate, per_s),
    ):
        if needed > cap:
            raise UsageError(f"{flag} {cap:g}: the scenario needs {needed:,.6g} at least")


async def attached(connection: Connection, subjects: Iterable[str]) -> tuple[Topology, float]:
    """Return the streams that store the subjects, as they are, and their duplicate window in s.

    The shortest window of all. Raises TopologyConflict when a subject is in none, or in one that
    never acknowledges.
    """
    found: dict[str, StreamInfo] = {}
    conflicts = []
    for subject in subjects:
        for name in await streams_on(connection, subject):
            info = found.get(name) or await stream_info(connection, name)
            if info is not None and any(covers(one, subject) for one in info.config.subjects):
                found[name] = info
                break
        else:
            conflicts.append(f"No stream on the server stores {subject}.")
    conflicts += [
        f"The stream {name} never acknowledges (no_ack): no event could be accounted for."
        for name, info in found.items()
        if info.config.no_ack
    ]
    if conflicts:
        raise TopologyConflict("\n".join(conflicts))
    streams = tuple(StreamDecl(name, info.config.subjects) for name, info in found.items())
    windows = [info.config.duplicate_window / NS for info in found.values()]
    return Topology(streams, ()), min(windows, default=0.0)
