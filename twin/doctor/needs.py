"""What a login has to be allowed for runs and services under a prefix; how each is tried."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from twin.jetstream.connection import Connection
from twin.jetstream.permits import NO_REQUEST, complained, concrete, refusals

__all__ = ["Group", "Need", "missing_needs", "needs", "snippet"]

ANOTHER_STREAM = b"NATS/1.0\r\nNats-Expected-Stream: none-of-them\r\n\r\n"
"""A stream refuses to store what expects another stream, after permissions were looked at."""

_DOMAIN = re.compile(r"^\$JS\.[^.]+\.API(?=\.)")


class Group(StrEnum):
    """What a need is for."""

    REPLIES = "replies"
    API = "api"
    STREAMS = "streams"
    CONSUMERS = "consumers"
    MESSAGES = "messages"
    ADVISORIES = "advisories"
    FAULTS = "faults"


@dataclass(frozen=True, slots=True)
class Need:
    """A subject, perhaps a pattern, on which to `publish` or to which to `subscribe`."""

    group: Group
    action: str
    subject: str


def needs(api: str, inbox: str, prefix: str, streams: Sequence[str]) -> tuple[Need, ...]:
    """Return all needs of runs with `--prefix`, whose streams have these names on the server.

    `api` is the subject prefix of JetStream, `inbox` that of replies.
    """
    return (
        Need(Group.REPLIES, "subscribe", f"{inbox}.>"),
        *_publish(Group.API, (f"{api}.INFO", f"{api}.STREAM.NAMES")),
        *(need for stream in streams for need in _of_stream(api, stream)),
        *_publish(Group.MESSAGES, (f"{prefix}.>",)),
        Need(Group.MESSAGES, "subscribe", f"{prefix}.>"),
        *(
            Need(Group.ADVISORIES, "subscribe", f"$JS.EVENT.ADVISORY.CONSUMER.*.{stream}.*")
            for stream in streams
        ),
    )


def _of_stream(api: str, stream: str) -> Iterable[Need]:
    making = ("INFO", "CREATE", "UPDATE", "DELETE", "MSG.GET")
    yield from _publish(Group.STREAMS, (f"{api}.STREAM.{verb}.{stream}" for verb in making))
    reading = ("CREATE", "INFO", "DELETE", "MSG.NEXT")
    yield from _publish(
        Group.CONSUMERS,
        (
            f"{api}.CONSUMER.LIST.{stream}",
            *(f"{api}.CONSUMER.{verb}.{stream}.*" for verb in reading),
            f"$JS.ACK.{stream}.>",
        ),
    )
    yield from _publish(
        Group.FAULTS, (f"{api}.STREAM.PURGE.{stream}", f"{api}.CONSUMER.PAUSE.{stream}.*")
    )


def _publish(group: Group, subjects: Iterable[str]) -> list[Need]:
    return [Need(group, "publish", subject) for subject in subjects]


async def missing_needs(
    connection: Connection, wanted: Sequence[Need], prefix: str, token: str
) -> tuple[Need, ...]:
    """Try each; return those that the server does not permit. Nothing is changed by it.

    A server of the very domain that is asked for maps its API to `$JS.API`, and wants that to
    be permitted too: such needs are returned though they were not wanted.

    On subjects of JetStream something is sent that is no request; under `prefix` a message
    that no stream stores. `token` stands for what the needs leave open.
    """
    tries = {need: concrete(need.subject, token) for need in wanted if need.action == "publish"}
    publications = [
        (subject.encode(), b"", ANOTHER_STREAM, b"")
        if subject.startswith(f"{prefix}.")
        else (subject.encode(), b"", b"", NO_REQUEST)
        for subject in tries.values()
    ]
    heard = [need.subject for need in wanted if need.action == "subscribe"]
    said = await refusals(connection, publications, heard)
    found = []
    for need in wanted:
        if need not in tries:
            found += [need] if complained(said, "subscription", need.subject) else []
            continue
        found += [need] if complained(said, "publish", tries[need]) else []
        mapped = _DOMAIN.sub("$JS.API", need.subject)
        if mapped != need.subject and complained(said, "publish", concrete(mapped, token)):
            found.append(Need(need.group, need.action, mapped))
    return tuple(found)


def snippet(wanted: Sequence[Need], missing: Sequence[Need]) -> str:
    """Return the permissions of a user as nats-server.conf has them, the missing ones marked."""
    blocks: list[str] = []
    for action in ("publish", "subscribe"):
        lines = [
            f'      "{need.subject}"' + ("  # missing" if need in missing else "")
            for need in wanted
            if need.action == action
        ]
        blocks += [f"  {action}: {{", "    allow: [", *lines, "    ]", "  }"]
    answers = '  allow_responses: {max: 1, expires: "1m"}  # to the commands of operators'
    return "\n".join(("permissions: {", *blocks, answers, "}")) + "\n"
