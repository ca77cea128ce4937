"""Finds out what a login may do: by trying, and hearing what the server says against it."""

from collections.abc import Sequence

from twin.jetstream.connection import Connection
from twin.jetstream.link import complained
from twin.jetstream.wire import Publication

__all__ = ["NOBODY", "NO_REQUEST", "complained", "concrete", "refusals"]

NO_REQUEST = b'{"?'
"""Broken JSON: JetStream refuses it as the body of any request (it would ignore plain text in
some, and purge), and takes it for no acknowledgement."""

NOBODY = (b"_R_.twin", b"NATS/1.0\r\nNats-Expected-Stream: none-of-them\r\n\r\n", b"")
"""Reply, headers and payload of what reaches nobody: once permissions were looked at, a server
throws away what names a reply subject of its own; and no stream stores what expects another."""


async def refusals(
    connection: Connection, publish: Sequence[Publication], subscribe: Sequence[str]
) -> list[str]:
    """Publish and subscribe; return the server's complaints about permissions.

    Each names its subject in quotes, in lower case: see `complained`. Who tries has to see to
    it that what is published does no harm where it is permitted; NOBODY's reply is no complaint.
    """
    said: list[str] = []
    with connection.listening(error=said.append):
        connection.send(publish)
        opened = [await connection.subscribe(subject, lambda _: None) for subject in subscribe]
        await connection.flush()
        for subscription in opened:
            await connection.unsubscribe(subscription)
        await connection.flush()
    texts = [text.lower() for text in said]
    nobody = NOBODY[0].decode().lower()
    return [text for text in texts if "permissions violation" in text and nobody not in text]


def concrete(pattern: str, token: str) -> str:
    """Return a subject that the pattern matches."""
    return ".".join(token if part in ("*", ">") else part for part in pattern.split("."))
