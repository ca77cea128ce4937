"""Single messages of a stream, by sequence or as the newest of a subject."""

from base64 import b64decode
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from twin.jetstream.api import ApiRefused, call
from twin.jetstream.connection import Connection

__all__ = ["StoredMessage", "last_message", "message"]

NO_MESSAGE = 10037


class StoredMessage(NamedTuple):
    """A message as it is stored; `subject` is the wire's, `headers` the raw block."""

    subject: str
    seq: int
    headers: bytes
    data: bytes


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    subject: str
    seq: int
    hdrs: str = ""
    data: str = ""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    message: _Message


async def message(connection: Connection, stream: str, seq: int) -> StoredMessage | None:
    """Return one message, None where there is none (any more)."""
    return await _get(connection, stream, {"seq": seq})


async def last_message(connection: Connection, stream: str, subject: str) -> StoredMessage | None:
    """Return the newest message of a subject or pattern, None where there is none."""
    return await _get(connection, stream, {"last_by_subj": subject})


async def _get(
    connection: Connection, stream: str, which: dict[str, object]
) -> StoredMessage | None:
    try:
        answer = await call(connection, f"STREAM.MSG.GET.{stream}", which)
    except ApiRefused as refused:
        if refused.err_code == NO_MESSAGE:
            return None
        raise
    found = _Answer.model_validate_json(answer).message
    return StoredMessage(found.subject, found.seq, b64decode(found.hdrs), b64decode(found.data))
