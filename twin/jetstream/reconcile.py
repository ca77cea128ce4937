"""Makes a declared topology true on a server, without touching what is not ours.

Ours is what carries our mark in its metadata. Others' streams and consumers are attached to
as they are, if they fit. Everything is checked before anything is changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from twin.errors import TopologyConflict
from twin.events.subjects import covers
from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.api import (
    CONSUMER_NOT_FOUND,
    STREAM_NOT_FOUND,
    ApiRefused,
    ConsumerConfig,
    StreamConfig,
    call,
    consumer_info,
    stream_info,
    streams_on,
)
from twin.jetstream.connection import Connection

__all__ = [
    "MARK",
    "Action",
    "Change",
    "Difference",
    "drift",
    "reconcile",
    "remove",
    "remove_streams",
]

MARK = "twin-managed"
_NS = 1_000_000_000
_DURATIONS = frozenset({"max_age", "duplicate_window", "ack_wait", "inactive_threshold"})


class Action(StrEnum):
    """What became of one declaration."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    ATTACHED = "attached"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which the server and the declaration differ."""

    field: str
    declared: object
    actual: object

    def __str__(self) -> str:
        declared, actual = self._told(self.declared), self._told(self.actual)
        return f"{self.field}: declared {declared}, on the server {actual}"

    def _told(self, value: object) -> object:
        """Durations are nanoseconds on the wire."""
        if self.field in _DURATIONS and isinstance(value, int):
            return f"{value / _NS:.12g} s"
        return value


@dataclass(frozen=True, slots=True)
class Change:
    """What was done for one stream or consumer; an attached one may differ harmlessly.

    `name` of a consumer is STREAM/DURABLE: durables of several streams have one name.
    """

    action: Action
    kind: str
    name: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class _Step:
    """A change, and the request that makes it true ("" when there is nothing to do)."""

    change: Change
    verb: str = ""
    body: dict[str, object] | None = None


async def reconcile(
    connection: Connection, topology: Topology, *, allow_shrink: bool = False
) -> list[Change]:
    """Create what is missing, update what is ours, attach to the rest; delete nothing.

    Raises TopologyConflict, naming both sides of every conflict, before any change: subjects
    that overlap another stream, an immutable field, somebody else's that does not fit, and a
    lowered limit unless `allow_shrink` (it would delete messages).
    """
    steps, conflicts = await _plan(connection, topology, allow_shrink)
    if conflicts:
        raise TopologyConflict("\n".join(conflicts))
    for step in steps:
        if step.verb:
            await call(connection, step.verb, step.body)
    return [step.change for step in steps]


async def drift(connection: Connection, topology: Topology) -> tuple[list[Change], list[str]]:
    """Return what `reconcile` would do, and what would keep it from it; change nothing."""
    steps, conflicts = await _plan(connection, topology, allow_shrink=True)
    return [step.change for step in steps], conflicts


async def _plan(
    connection: Connection, topology: Topology, allow_shrink: bool
) -> tuple[list[_Step], list[str]]:
    conflicts: list[str] = []
    steps = [await _plan_stream(connection, d, allow_shrink, conflicts) for d in topology.streams]
    steps += [
        await _plan_consumer(connection, d, allow_shrink, conflicts) for d in topology.consumers
    ]
    return steps, conflicts


async def remove(connection: Connection, consumers: Iterable[ConsumerDecl]) -> list[str]:
    """Delete the declared consumers that are ours; return their names. Missing ones are fine."""
    removed = []
    for declared in consumers:
        info = await consumer_info(connection, declared.stream, declared.name)
        if info is None or MARK not in info.config.metadata:
            continue
        try:
            await call(connection, f"CONSUMER.DELETE.{declared.stream}.{declared.name}")
        except ApiRefused as refused:
            if refused.err_code not in (CONSUMER_NOT_FOUND, STREAM_NOT_FOUND):
                raise
        removed.append(declared.name)
    return removed


async def remove_streams(connection: Connection, names: Iterable[str]) -> list[str]:
    """Delete the named streams that are ours, with their consumers; return which were there."""
    removed = []
    for name in names:
        info = await stream_info(connection, name)
        if info is not None and MARK in info.config.metadata:
            try:
                await call(connection, f"STREAM.DELETE.{name}")
            except ApiRefused as refused:
                if refused.err_code != STREAM_NOT_FOUND:
                    raise
            removed.append(name)
    return removed


async def _plan_stream(
    connection: Connection, declared: StreamDecl, allow_shrink: bool, conflicts: list[str]
) -> _Step:
    info = await stream_info(connection, declared.name)
    title = f"stream {declared.name}"
    conflicts += await _overlaps(connection, declared)
    wanted = _stream_config(declared)
    if info is None:
        change = Change(Action.CREATED, "stream", declared.name)
        return _Step(change, f"STREAM.CREATE.{declared.name}", wanted.model_dump())
    differences = _differences(wanted, info.config, _STREAM_FIELDS)
    if MARK not in info.config.metadata:
        conflicts += _misfits_of_stream(title, declared, info.config)
        return _Step(Change(Action.ATTACHED, "stream", declared.name, differences))
    conflicts += _forbidden(title, differences, {"storage", "retention"}, "is immutable")
    if not allow_shrink:
        conflicts += _lowered(title, differences, {"max_bytes", "max_age"})
    if not differences:
        return _Step(Change(Action.UNCHANGED, "stream", declared.name))
    merged = info.config.model_copy(update={f: getattr(wanted, f) for f in _STREAM_FIELDS})
    change = Change(Action.UPDATED, "stream", declared.name, differences)
    return _Step(change, f"STREAM.UPDATE.{declared.name}", merged.model_dump())


async def _plan_consumer(
    connection: Connection, declared: ConsumerDecl, allow_shrink: bool, conflicts: list[str]
) -> _Step:
    info = await consumer_info(connection, declared.stream, declared.name)
    name = f"{declared.stream}/{declared.name}"
    title = f"consumer {name}"
    wanted = _consumer_config(declared)
    verb = f"CONSUMER.CREATE.{declared.stream}.{declared.name}"
    if info is None:
        change = Change(Action.CREATED, "consumer", name)
        return _Step(change, verb, _consumer_request(declared, wanted, "create"))
    differences = _differences(wanted, info.config, _CONSUMER_FIELDS)
    if MARK not in info.config.metadata:
        needed = {"ack_policy", "filters", "deliver_subject"}
        conflicts += _forbidden(title, differences, needed, "does not fit, and it is not ours")
        return _Step(Change(Action.ATTACHED, "consumer", name, differences))
    fixed = {"ack_policy", "deliver_policy", "opt_start_seq", "deliver_subject"}
    conflicts += _forbidden(title, differences, fixed, "is immutable")
    if not allow_shrink:
        conflicts += _lowered(title, differences, {"max_deliver"})
    if not differences:
        return _Step(Change(Action.UNCHANGED, "consumer", name))
    own = [field for field in _CONSUMER_FIELDS if field != "filters"]
    merged = info.config.model_copy(
        update={f: getattr(wanted, f) for f in (*own, "filter_subject", "filter_subjects")}
    )
    change = Change(Action.UPDATED, "consumer", name, differences)
    return _Step(change, verb, _consumer_request(declared, merged, "update"))


_STREAM_FIELDS = (
    "subjects",
    "retention",
    "storage",
    "discard",
    "max_bytes",
    "max_age",
    "duplicate_window",
    "no_ack",
)
_CONSUMER_FIELDS = (
    "ack_policy",
    "deliver_policy",
    "deliver_subject",
    "opt_start_seq",
    "filters",
    "ack_wait",
    "max_deliver",
    "max_ack_pending",
    "inactive_threshold",
)


def _stream_config(declared: StreamDecl) -> StreamConfig:
    more = {"persist_mode": "async"} if declared.persist_async else {}
    return StreamConfig(
        name=declared.name,
        subjects=declared.subjects,
        storage="memory" if declared.memory_storage else "file",
        discard="new" if declared.discard_new else "old",
        max_bytes=declared.max_bytes,
        max_age=round(declared.max_age_s * _NS),
        duplicate_window=round(declared.duplicate_window_s * _NS),
        no_ack=declared.no_ack,
        metadata={MARK: "1"},
        **more,
    )


def _consumer_config(declared: ConsumerDecl) -> ConsumerConfig:
    single = len(declared.filter_subjects) == 1
    return ConsumerConfig(
        name=declared.name,
        durable_name=declared.name,
        deliver_policy="by_start_sequence" if declared.start_seq else "all",
        opt_start_seq=declared.start_seq,
        ack_wait=round(declared.ack_wait_s * _NS),
        max_deliver=declared.max_deliver,
        max_ack_pending=declared.max_ack_pending,
        filter_subject=declared.filter_subjects[0] if single else "",
        filter_subjects=() if single else declared.filter_subjects,
        inactive_threshold=round(declared.inactive_threshold_s * _NS),
        metadata={MARK: "1"},
    )


def _consumer_request(
    declared: ConsumerDecl, config: ConsumerConfig, action: str
) -> dict[str, object]:
    fields = {name: value for name, value in config.model_dump().items() if value not in ("", ())}
    return {"stream_name": declared.stream, "config": fields, "action": action}


def _differences(
    wanted: StreamConfig | ConsumerConfig,
    actual: StreamConfig | ConsumerConfig,
    fields: tuple[str, ...],
) -> tuple[Difference, ...]:
    pairs = ((f, _comparable(getattr(wanted, f)), _comparable(getattr(actual, f))) for f in fields)
    return tuple(Difference(*pair) for pair in pairs if pair[1] != pair[2])


def _comparable(value: object) -> object:
    return tuple(sorted(value)) if isinstance(value, tuple) else value


def _forbidden(
    title: str, differences: tuple[Difference, ...], fields: set[str], reason: str
) -> list[str]:
    return [f"{title}: {d}; {reason}." for d in differences if d.field in fields]


def _lowered(title: str, differences: tuple[Difference, ...], limits: set[str]) -> list[str]:
    return [
        f"{title}: {d}; lowering it may delete messages, --allow-shrink permits it."
        for d in differences
        if d.field in limits and _limit(d.declared) < _limit(d.actual)
    ]


def _limit(value: object) -> float:
    """Return a limit for comparison: 0 and -1 mean none."""
    return float(value) if isinstance(value, int) and value > 0 else float("inf")


def _misfits_of_stream(title: str, declared: StreamDecl, actual: StreamConfig) -> list[str]:
    stored = ", ".join(actual.subjects)
    misfits = [
        f"{title}: is not ours and does not store {subject}; it stores {stored}."
        for subject in declared.subjects
        if not any(covers(pattern, subject) for pattern in actual.subjects)
    ]
    if actual.no_ack and not declared.no_ack:
        misfits.append(f"{title}: is not ours and never acknowledges (no_ack).")
    return misfits


async def _overlaps(connection: Connection, declared: StreamDecl) -> list[str]:
    owners = {
        owner: subject
        for subject in declared.subjects
        for owner in await streams_on(connection, subject)
        if owner != declared.name
    }
    found = []
    for owner, subject in sorted(owners.items()):
        info = await stream_info(connection, owner)
        theirs = ", ".join(info.config.subjects) if info else ""
        found.append(
            f"stream {declared.name}: its subject {subject} overlaps the stream {owner} ({theirs})."
        )
    return found
