"""The checks, in the order in which one builds on the other."""

from functools import partial
from typing import Final

from twin.doctor.needs import Group
from twin.doctor.patient import LEAST_BYTES, OwnPatient, Patient
from twin.events.topology import ConsumerDecl, Topology
from twin.jetstream.allowance import Tier, account_of
from twin.jetstream.api import stream_info
from twin.jetstream.connection import NoResponders
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.reconcile import drift, reconcile, remove_streams
from twin.smoke.check import Broken, Check
from twin.smoke.site import publish

__all__ = ["CHECKS", "SMOKE", "may", "server"]

MIN_VERSION = (2, 10)
LEAST_PAYLOAD = 64 * 1024
ACK_PENDING = 10_000
COUNT = 10
WITH_ID = b"NATS/1.0\r\nNats-Msg-Id: doctor-%d\r\n\r\n"


async def server(patient: Patient) -> str:
    """The server is recent enough and takes messages as large as a bot's."""
    connection = patient.connection
    version, largest = connection.server_version, connection.max_payload
    if tuple(int(part) for part in version.split(".")[:2]) < MIN_VERSION:
        raise Broken(f"nats-server {version} is too old", "install nats-server 2.10 or newer")
    if largest < LEAST_PAYLOAD:
        raise Broken(
            f"messages may have {largest:,} bytes",
            f"raise max_payload (of the server or the account) to {LEAST_PAYLOAD:,} or more",
        )
    return f"nats-server {version}, messages up to {largest:,} bytes"


async def permitted(group: Group, patient: Patient) -> str:
    """Everything of a group of needs is permitted."""
    wanted = [need for need in patient.wanted if need.group is group]
    missing = [need for need in patient.missing if need.group is group]
    if missing:
        listed = ", ".join(f"{need.action} {need.subject}" for need in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise Broken(f"not permitted: {listed}{more}", "give the user the permissions below")
    return f"{len(wanted)} permitted"


def may(*groups: tuple[Group, str]) -> list[Check[Patient]]:
    """Return the checks of what is permitted, by group and title."""
    return [Check(f"may-{group}", title, partial(permitted, group)) for group, title in groups]


async def jetstream(patient: OwnPatient) -> str:
    """JetStream is on for this account, and has room for the streams of a run."""
    try:
        account = await account_of(patient.connection)
    except NoResponders:
        raise Broken(
            f"nobody answers {patient.connection.options.api}.INFO",
            "start nats-server with JetStream (-js), or name its domain or API prefix in a "
            "nats CLI context",
        ) from None
    infos = [await stream_info(patient.connection, one.name) for one in patient.topology.streams]
    new = sum(info is None for info in infos)
    if wrong := _tight(account, new):
        raise Broken("; ".join(wrong), "raise the limits of the account")
    limit = account.limits.max_storage
    room = "without a limit" if limit < 0 else f"of {limit:,} bytes"
    return f"{account.streams} streams, {account.storage:,} bytes {room}"


def _tight(account: Tier, new: int) -> list[str]:
    """Return which limits leave no room for `new` streams and the one of the checks."""
    limits = account.limits
    rows = (
        ("storage", limits.max_storage - account.taken, new * LEAST_BYTES, limits.max_storage),
        ("streams", limits.max_streams - account.streams, new + 1, limits.max_streams),
        ("consumers", limits.max_consumers - account.consumers, 2, limits.max_consumers),
        (
            "bytes of a stream",
            limits.storage_max_stream_bytes,
            LEAST_BYTES,
            limits.storage_max_stream_bytes,
        ),
        ("unacknowledged messages", limits.max_ack_pending, ACK_PENDING, limits.max_ack_pending),
    )
    bounded = [row for row in rows if row[3] > 0 or (row[3] == 0 and row[0] == "storage")]
    return [
        f"{name}: {left:,} left of {limit:,}, and a run needs {needed:,}"
        for name, left, needed, limit in bounded
        if left < needed
    ]


async def streams(patient: OwnPatient) -> str:
    """The streams of a run are there or can be made: nothing of somebody else is in the way."""
    changes, conflicts = await drift(patient.connection, patient.topology)
    if conflicts:
        raise Broken("; ".join(conflicts), "choose another --prefix, or remove what is in the way")
    actions = [change.action.value for change in changes]
    return ", ".join(f"{actions.count(one)} {_TOLD[one]}" for one in _TOLD if one in actions)


_TOLD = {
    "created": "to be made",
    "updated": "of ours, to be sized",
    "unchanged": "of ours",
    "attached": "of somebody else, which fit",
}


async def round_trip(patient: OwnPatient) -> str:
    """What is published is stored once, read from a durable and acknowledged."""
    connection, own = patient.connection, patient.own
    await remove_streams(connection, [own.name])
    made = Topology((own,), (ConsumerDecl("doctor", own.name, "doctor"),))
    try:
        await reconcile(connection, made)
        for number in (*range(COUNT), 0):
            await publish(connection, own.subjects[0], b"%d" % number, WITH_ID % number)
        got: list[bytes] = []
        async with PullConsumer(connection, own.name, "doctor") as consumer:
            while len(got) < COUNT and (batch := await consumer.next_batch(2.0)):
                await consumer.ack_sync(batch)
                got += [bytes(one.payload) for one in batch]
    finally:
        await remove_streams(connection, [own.name])
    if got != [b"%d" % number for number in range(COUNT)]:
        raise Broken(
            f"{len(got)} of {COUNT} messages came back",
            f"look for a mapping, a transform or a republish on {own.subjects[0]}",
        )
    return f"{COUNT} messages stored once, read back and acknowledged"


_ASKING = ("may-replies", "may-api", "may-streams")
_ALLOWED = (*_ASKING, "may-consumers", "may-messages")

CHECKS: Final[tuple[Check[OwnPatient], ...]] = (
    Check("server", "The server is recent, and takes messages as large as a bot's", server),
    *may(
        (Group.REPLIES, "Answers may be heard"),
        (Group.API, "JetStream may be asked"),
        (Group.STREAMS, "Streams may be made"),
        (Group.CONSUMERS, "Consumers may be made, read and acknowledged"),
        (Group.MESSAGES, "Messages may be published and heard"),
        (Group.ADVISORIES, "Advisories may be heard"),
        (Group.FAULTS, "Faults of streams and consumers may be injected"),
    ),
    Check("jetstream", "JetStream is on, with room", jetstream, _ASKING),
    Check("streams", "Nothing is in the way of a run's streams", streams, ("jetstream", *_ASKING)),
    Check(
        "round-trip", "Publish, store, read and acknowledge", round_trip, ("jetstream", *_ALLOWED)
    ),
)
SMOKE: Final[Check[Patient]] = may((Group.SMOKE, "What `twin smoke --name smoke` does"))[0]
"""Only where that was asked for."""
