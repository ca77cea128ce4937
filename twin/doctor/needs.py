"""What a login has to be allowed for runs, services and checks; how each is tried."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from twin.configs.roles import Role
from twin.events.subjects import covers
from twin.jetstream.connection import Connection
from twin.jetstream.permits import NO_REQUEST, NOBODY, complained, concrete, refusals
from twin.jetstream.wire import Publication

__all__ = ["ADVISORIES", "Group", "Need", "missing_needs", "needs", "snippet", "to_smoke"]

ADVISORIES = "$JS.EVENT.ADVISORY.CONSUMER"
_API = "$JS.API"
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
    SMOKE = "smoke"


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
        *(Need(Group.ADVISORIES, "subscribe", f"{ADVISORIES}.*.{stream}.*") for stream in streams),
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


def to_smoke(role: Role, api: str, beside: Sequence[Need]) -> tuple[Need, ...]:
    """Return what the role of `twin smoke` needs beyond what is needed anyway.

    Its own inbox is left out: whoever looks has one already.
    """
    spoken = (subject.replace(f"{_API}.", f"{api}.", 1) for subject in role.publish)
    heard = (subject for subject in role.subscribe if not subject.startswith(role.inbox))
    wanted = [("publish", one) for one in spoken] + [("subscribe", one) for one in heard]
    return tuple(
        Need(Group.SMOKE, action, subject)
        for action, subject in wanted
        if not any(one.action == action and covers(one.subject, subject) for one in beside)
    )


async def missing_needs(
    connection: Connection, wanted: Sequence[Need], token: str
) -> tuple[Need, ...]:
    """Try each; return those that the server does not permit. Nothing is changed by it.

    A server of the very domain that is asked for maps its API to `$JS.API`, and wants that to
    be permitted too: such needs are returned though they were not wanted.

    On subjects of JetStream something is sent that is no request, on others what a server
    gives to nobody. `token` stands for what the needs leave open.
    """
    tries = {need: concrete(need.subject, token) for need in wanted if need.action == "publish"}
    api = (f"{connection.options.api}.", "$JS.")
    publications = [_harmless(subject, subject.startswith(api)) for subject in tries.values()]
    heard = [need.subject for need in wanted if need.action == "subscribe"]
    said = await refusals(connection, publications, heard)
    found = []
    for need in wanted:
        if need not in tries:
            found += [need] if complained(said, "subscription", need.subject) else []
            continue
        found += [need] if complained(said, "publish", tries[need]) else []
        mapped = _DOMAIN.sub(_API, need.subject)
        if mapped != need.subject and complained(said, "publish", concrete(mapped, token)):
            found.append(Need(need.group, need.action, mapped))
    return tuple(found)


def _harmless(subject: str, is_api: bool) -> Publication:
    return (subject.encode(), b"", b"", NO_REQUEST) if is_api else (subject.encode(), *NOBODY)


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
