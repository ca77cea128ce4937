"""The deployment under test, and the names and streams that the checks bring along."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ValidationError, model_validator

from twin.configs.roles import probe_stream
from twin.errors import TwinError
from twin.events.subjects import SubjectSpace
from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.api import ApiRefused, call
from twin.jetstream.connection import Connection
from twin.jetstream.options import BrokerOptions
from twin.jetstream.reconcile import reconcile, remove_streams
from twin.smoke.check import Broken
from twin.spec.bot import BotSpec

__all__ = ["PROBE_BYTES", "Ack", "Site", "forget", "publish", "random_name"]

PROBE_BYTES = 1 << 20
"""The room that a stream of the checks takes."""
FORGET_S = 1.0


def random_name() -> str:
    """Return a name that no other checks have."""
    return f"smoke-{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Site:
    """What is checked. `registrar` and `monitor` are base URLs, "" when there is none to check.

    `credentials` maps a role of the generated configuration to the options of its user.
    `token` names everything that the checks make. What they make and is older than `stale_s` is
    left over: no checks take so long.
    """

    connection: Connection
    spec: BotSpec
    space: SubjectSpace
    topology: Topology
    registrar: str = ""
    monitor: str = ""
    configs: Path | None = None
    credentials: dict[str, BrokerOptions] = field(default_factory=dict)
    token: str = field(default_factory=random_name)
    stale_s: float = 120.0

    @asynccontextmanager
    async def stream(self, purpose: str) -> AsyncIterator[tuple[str, str]]:
        """Give a stream of our own with one durable, both called so; it is gone afterwards.

        What checks of this name left, as they were killed, is deleted before.

        Yields its name and its subject; the durable has the stream's name.
        """
        name = probe_stream(self.token, purpose)
        subject = f"twin.{self.token}.{purpose}"
        topology = Topology(
            (StreamDecl(name, (subject,), max_bytes=PROBE_BYTES),),
            (ConsumerDecl("smoke", name, name),),
        )
        try:
            await _to_its_end(remove_streams(self.connection, [name]))
            await _to_its_end(reconcile(self.connection, topology))
            yield name, subject
        finally:
            await _to_its_end(remove_streams(self.connection, [name]))


@dataclass(frozen=True, slots=True)
class Ack:
    """JetStream's answer to a publish."""

    stream: str
    seq: int
    duplicate: bool


async def _to_its_end(work: Coroutine[Any, Any, object]) -> None:
    """Do what must not be left half done: cancelled meanwhile, end it first."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.gather(task, return_exceptions=True)


class _Error(BaseModel):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(BaseModel):
    error: _Error | None = None
    stream: str = ""
    seq: int = 0
    duplicate: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.error is None and not (self.stream and self.seq):
            raise ValueError("neither an error nor where a message is stored")
        return self


async def publish(
    connection: Connection, subject: str, payload: bytes, headers: bytes, timeout_s: float = 2.0
) -> Ack:
    """Publish and return the acknowledgement.

    Raises ApiRefused when it is a refusal, Broken when somebody else has answered.
    """
    answer = await connection.request(subject, payload, headers=headers, timeout_s=timeout_s)
    try:
        found = _Answer.model_validate_json(answer[3])
    except ValidationError as error:
        raise Broken(
            f"what answered on {subject} is no acknowledgement of JetStream's: {answer[3][:40]!r}",
            "find the service that answers there before the stream does; nobody should",
        ) from error
    if found.error is not None:
        code, err_code, text = found.error.code, found.error.err_code, found.error.description
        raise ApiRefused(subject, code, err_code, text)
    return Ack(found.stream, found.seq, found.duplicate)


async def forget(connection: Connection, stored: list[Ack]) -> str:
    """Delete messages again; returns what to say about those that could not be.

    A server says nothing to who may not delete, so the first silence is taken for all.
    """
    gone = 0
    for ack in stored:
        try:
            body = {"seq": ack.seq, "no_erase": True}
            await call(connection, f"STREAM.MSG.DELETE.{ack.stream}", body, FORGET_S)
        except ApiRefused:
            continue
        except TwinError:
            break
        gone += 1
    left = len(stored) - gone
    return (
        f"; {left} probe messages are left in the stream (no permission to delete)" if left else ""
    )
