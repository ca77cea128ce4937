"""Checks of the broker: reachable, in time, with the streams that the spec asks for, and honest."""

import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Final

from twin.errors import TwinError
from twin.jetstream.allowance import account_of
from twin.jetstream.api import consumer_info, stream_info
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.reconcile import Action, drift
from twin.smoke.check import Broken
from twin.smoke.site import PROBE_BYTES, Site, publish

__all__ = ["clock", "duplicates", "jetstream", "round_trip", "topology"]

MIN_VERSION = (2, 12)
MAX_SKEW_S = 1.0
PROBES = 4
"""Streams of our own that there are at a time."""
COUNT = 10
SHOWN = 6
HEADERS = b"NATS/1.0\r\nTwin-Probe: %d\r\n\r\n"
WITH_ID = b"NATS/1.0\r\nNats-Msg-Id: %s\r\n\r\n"
STREAM_DEFAULTS: Final = {
    "max_msgs": -1,
    "max_msgs_per_subject": -1,
    "max_msg_size": -1,
    "max_consumers": -1,
    "sealed": False,
    "subject_transform": None,
}
"""What no spec declares and a stream must not have: it loses, refuses or renames messages."""
CONSUMER_DEFAULTS: Final = {
    "headers_only": False,
    "replay_policy": "instant",
    "max_batch": 0,
    "max_bytes": 0,
    "max_expires": 0,
}
"""The same of a consumer: it withholds payloads, waits, or refuses to be asked."""


async def jetstream(site: Site) -> str:
    """The server is recent enough, and JetStream is on for this account, with room left."""
    version = site.connection.server_version
    if tuple(int(part) for part in version.split(".")[:2]) < MIN_VERSION:
        raise Broken(f"nats-server {version} is too old", "install nats-server 2.12 or newer")
    try:
        account = await account_of(site.connection)
    except TwinError as error:
        raise Broken(
            f"JetStream does not answer: {error}",
            "start nats-server with -js, and allow this user $JS.API.INFO",
        ) from error
    limit, streams = account.limits.max_storage, account.limits.max_streams
    if 0 <= limit < account.taken + PROBES * PROBE_BYTES:
        raise Broken(
            f"the account's storage is full: {account.taken:,} of {limit:,} bytes are taken",
            "raise max_storage of the account, or purge its streams",
        )
    if 0 < streams < account.streams + PROBES:
        raise Broken(
            f"the account has {account.streams} of {streams} streams, and the checks need "
            f"{PROBES} of their own",
            "raise max_streams of the account, or delete streams that nobody needs",
        )
    room = "without a limit" if limit < 0 else f"of {limit:,} bytes"
    return f"nats-server {version}; {account.storage:,} bytes stored {room}"


async def topology(site: Site) -> str:
    """Streams and consumers are as the spec says; what differs is shown field by field."""
    changes, conflicts = await drift(site.connection, site.topology)
    wrong = list(conflicts)
    for change in changes:
        if change.action is Action.CREATED:
            wrong.append(f"{change.kind} {change.name} is missing")
        elif change.action is not Action.UNCHANGED:
            wrong += [f"{change.kind} {change.name}, {one}" for one in change.differences]
    wrong += [text async for text in _undeclared(site)]
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise Broken(
            "; ".join(dict.fromkeys(wrong[:SHOWN])) + more,
            "provision the streams again from the spec, or say in the spec what is meant; "
            "take off by hand what no spec declares (nats stream edit, nats consumer resume)",
        )
    return f"{len(site.topology.streams)} streams, {len(site.topology.consumers)} consumers"


async def _undeclared(site: Site) -> AsyncIterator[str]:
    """Say what streams and consumers have that no spec declares and that costs messages."""
    for stream in site.topology.streams:
        about = await stream_info(site.connection, stream.name)
        if about is not None:
            extra = about.config.model_extra or {}
            for text in _unlike(STREAM_DEFAULTS, extra):
                yield f"stream {stream.name}, {text}"
            if extra.get("persist_mode") == "async" and not stream.persist_async:
                yield f"stream {stream.name}, persist_mode: acknowledges before it has written"
    for one in site.topology.consumers:
        found = await consumer_info(site.connection, one.stream, one.name)
        if found is not None:
            extra = found.config.model_extra or {}
            title = f"consumer {one.name} of {one.stream}"
            for text in _unlike(CONSUMER_DEFAULTS, extra):
                yield f"{title}, {text}"
            until = extra.get("pause_until")
            if until and datetime.fromisoformat(until) > datetime.now(UTC):
                yield f"{title} is paused until {until}"


def _unlike(defaults: Mapping[str, object], extra: Mapping[str, object]) -> list[str]:
    return [
        f"{field}: {extra[field]} on the server, which no spec declares"
        for field, usual in defaults.items()
        if extra.get(field, usual) != usual
    ]


async def round_trip(site: Site) -> str:
    """What is published comes back from a durable, once, in order, byte for byte."""
    async with site.stream("trip") as (stream, subject):
        sent = [(HEADERS % number, b"probe %d" % number) for number in range(COUNT)]
        began = time.monotonic()
        for headers, payload in sent:
            await publish(site.connection, subject, payload, headers)
        got: list[tuple[bytes, bytes]] = []
        async with PullConsumer(site.connection, stream, stream) as consumer:
            while len(got) < COUNT:
                batch = await consumer.next_batch(2.0)
                if not batch:
                    break
                await consumer.ack_sync(batch)
                got += [(bytes(one.headers), bytes(one.payload)) for one in batch]
        took_ms = (time.monotonic() - began) * 1e3
    if got != sent:
        raise Broken(
            f"{len(got)} of {COUNT} messages came back, and not as they were sent",
            "look for a subject mapping, a stream transform or a republish on twin.>",
        )
    return f"{COUNT} messages stored and read back in {took_ms:.0f} ms"


async def duplicates(site: Site) -> str:
    """The same Nats-Msg-Id is stored once, and the second acknowledgement says so."""
    async with site.stream("twice") as (_, subject):
        headers = WITH_ID % site.token.encode()
        first = await publish(site.connection, subject, b"once", headers)
        again = await publish(site.connection, subject, b"once", headers)
    if first.duplicate or not again.duplicate or again.seq != first.seq:
        raise Broken(
            "the same Nats-Msg-Id was stored twice",
            "set duplicate_window of the streams above the longest outage of a publisher",
        )
    windows = [stream.duplicate_window_s for stream in site.topology.streams]
    return f"dropped; the spec's streams remember ids for {min(windows):g} s"


async def clock(site: Site) -> str:
    """The broker's clock and ours agree to a second."""
    async with site.stream("clock") as (stream, subject):
        before = time.time_ns()
        await publish(site.connection, subject, b"", b"NATS/1.0\r\n\r\n")
        after = time.time_ns()
        async with PullConsumer(site.connection, stream, stream) as consumer:
            batch = await consumer.next_batch(2.0)
            consumer.ack(batch)
    if not batch:
        raise Broken("a probe message did not come back", "see the check round-trip")
    stored = batch[0].timestamp_ns
    skew_s = max(before - stored, stored - after, 0) / 1e9
    if skew_s > MAX_SKEW_S:
        raise Broken(
            f"the broker's clock is {skew_s:.1f} s off ours",
            "run a time service (chrony, systemd-timesyncd) on both machines",
        )
    return f"less than {max(skew_s, 0.001):.3f} s apart"
