"""Credentials: each role may do what the generated configuration says, and nothing more."""

from collections.abc import Sequence
from dataclasses import replace

from twin.configs.roles import Role, roles
from twin.events.subjects import covers
from twin.jetstream.connection import Connection, connect
from twin.jetstream.options import BrokerOptions
from twin.jetstream.permits import NO_REQUEST, NOBODY, complained, concrete, refusals
from twin.smoke.check import Broken, NotChecked
from twin.smoke.site import Site

__all__ = ["permissions"]

NEVER = (".MSG.NEXT.", "$JS.ACK.", ".commands.")
"""Trying these would take a message from a consumer, or move a bot."""
POWERS = (
    *(
        f"STREAM.{verb}.{{0}}"
        for verb in (
            "CREATE",
            "UPDATE",
            "DELETE",
            "PURGE",
            "MSG.DELETE",
            "MSG.GET",
            "SNAPSHOT",
            "RESTORE",
        )
    ),
    "CONSUMER.CREATE.{0}",
    *(
        f"CONSUMER.{verb}.{{0}}.{{0}}"
        for verb in ("CREATE", "DURABLE.CREATE", "DELETE", "PAUSE", "UNPIN")
    ),
    "DIRECT.GET.{0}",
)
"""What makes, changes, empties, stops or reads streams and consumers, of `$JS.API`."""


async def permissions(site: Site) -> str:
    """Each role's credentials are neither too narrow nor too wide."""
    if not site.credentials:
        raise NotChecked("no --credentials ROLE=CONTEXT was given")
    known = {role.user: role for role in roles(site.spec, site.topology)}
    wrong = []
    for name, options in site.credentials.items():
        others = [role for role in known.values() if role.user != name]
        wrong += await _of_role(site, known[name], others, options)
    if wrong:
        raise Broken(
            "; ".join(wrong[:4]) + (f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""),
            "use the users of the generated nats-server.conf (twin spec generate)",
        )
    return f"{', '.join(site.credentials)}: what is needed and nothing more"


async def _of_role(
    site: Site, role: Role, others: Sequence[Role], options: BrokerOptions
) -> list[str]:
    ours = replace(options, inbox_prefix=role.inbox)
    async with await connect(ours, name=f"twin-{site.token}") as connection:
        needed = [concrete(subject, site.token) for subject in role.publish]
        needed = [one for one in needed if not any(part in one for part in NEVER)]
        narrow = await _refused(connection, needed, list(role.subscribe))
        publish = [f"twin.{site.token}.forbidden", *_power(role, site.token)]
        publish += _only_theirs(role, others, site.token)
        listen = [">", *_only_heard(role, others)]
        refused = await _refused(connection, publish, listen)
        wide = [one for one in publish if not complained(refused, "publish", one)]
        wide += [one for one in listen if not complained(refused, "subscription", one)]
    return [f"{role.user} is too narrow: {text}" for text in narrow] + [
        f"{role.user} is too wide: it may use {subject}" for subject in wide
    ]


def _power(role: Role, token: str) -> list[str]:
    """Return what changes streams and consumers, beyond the role, for a stream there is not."""
    tried = [f"$JS.API.{call.format(token)}" for call in POWERS]
    return [one for one in tried if not any(covers(own, one) for own in role.publish)]


def _only_heard(role: Role, others: Sequence[Role]) -> list[str]:
    """Return what the other roles listen to and this one may not, their inboxes included."""
    theirs = dict.fromkeys(subject for other in others for subject in other.subscribe)
    return [one for one in theirs if not any(covers(own, one) for own in role.subscribe)]


def _only_theirs(role: Role, others: Sequence[Role], token: str) -> list[str]:
    """Return what the other roles may publish and this one may not, as subjects to be tried."""
    theirs = (subject for other in others for subject in other.publish)
    tried = dict.fromkeys(concrete(subject, token) for subject in theirs)
    return [
        subject
        for subject in tried
        if not subject.startswith("$JS.API.")
        and not any(part in subject for part in NEVER)
        and not any(covers(own, subject) for own in role.publish)
    ]


async def _refused(connection: Connection, publish: list[str], subscribe: list[str]) -> list[str]:
    """Try subjects; return what the server said against it. Nobody hears, or does, anything."""
    harmless = [
        (subject.encode(), b"", b"", NO_REQUEST)
        if subject.startswith("$JS.")
        else (subject.encode(), *NOBODY)
        for subject in publish
    ]
    return await refusals(connection, harmless, subscribe)
