"""JetStream's API: requests, their errors, and the answers as models.

Times in configurations are nanoseconds, as on the wire.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from twin.errors import InfrastructureError
from twin.jetstream.connection import Connection

__all__ = [
    "ApiRefused",
    "ConsumerConfig",
    "ConsumerInfo",
    "SequencePair",
    "StreamConfig",
    "StreamInfo",
    "StreamState",
    "call",
    "call_decoded",
    "consumer_info",
    "consumer_infos",
    "stored_subject",
    "stream_gaps",
    "stream_info",
    "stream_names",
    "stream_state",
]

STREAM_NOT_FOUND = 10059
CONSUMER_NOT_FOUND = 10014
_TIMEOUT_S = 5.0


class ApiRefused(InfrastructureError):
    """JetStream refused a request."""

    def __init__(self, subject: str, code: int, err_code: int, description: str) -> None:
        self.code = code
        self.err_code = err_code
        self.description = description
        super().__init__(f"JetStream refused {subject}: {description} ({err_code or code})")


class _Answer(BaseModel):
    """Fields that we do not use, and those of newer servers, are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class StreamConfig(BaseModel):
    """A stream's configuration; fields we do not know are kept, so that an update keeps them."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    subjects: tuple[str, ...] = ()
    retention: str = "limits"
    storage: str = "file"
    discard: str = "old"
    max_bytes: int = -1
    max_age: int = 0
    duplicate_window: int = 0
    no_ack: bool = False
    metadata: dict[str, str] = {}


class ConsumerConfig(BaseModel):
    """A consumer's configuration; fields we do not know are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = ""
    durable_name: str = ""
    ack_policy: str = "explicit"
    deliver_policy: str = "all"
    opt_start_seq: int = 0
    ack_wait: int = 0
    max_deliver: int = -1
    max_ack_pending: int = 0
    filter_subject: str = ""
    filter_subjects: tuple[str, ...] = ()
    deliver_subject: str = ""
    inactive_threshold: int = 0
    metadata: dict[str, str] = {}

    @property
    def filters(self) -> tuple[str, ...]:
        """The subjects that are delivered, sorted; none means all of the stream."""
        return tuple(sorted(filter(None, (self.filter_subject, *self.filter_subjects))))


class SequencePair(_Answer):
    """A position, counted by the consumer and by the stream."""

    consumer_seq: int = 0
    stream_seq: int = 0
    last_active: str = ""


class ConsumerInfo(_Answer):
    """A consumer as the server sees it now."""

    stream_name: str
    name: str
    config: ConsumerConfig
    delivered: SequencePair = SequencePair()
    ack_floor: SequencePair = SequencePair()
    num_ack_pending: int = 0
    num_redelivered: int = 0
    num_waiting: int = 0
    num_pending: int = 0
    paused: bool = False
    ts: str = ""


class StreamState(_Answer):
    """What a stream holds. `subjects` counts messages per subject where that was asked for."""

    messages: int = 0
    bytes: int = 0
    first_seq: int = 0
    last_seq: int = 0
    first_ts: str = ""
    last_ts: str = ""
    num_deleted: int = 0
    consumer_count: int = 0
    subjects: dict[str, int] = {}


class StreamInfo(_Answer):
    """A stream as the server sees it now."""

    config: StreamConfig
    state: StreamState
    total: int = 0


class _Failure(_Answer):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Envelope(_Answer):
    error: _Failure | None = None


class _ConsumerPage(_Answer):
    total: int = 0
    consumers: tuple[ConsumerInfo, ...] = ()


class _StreamNames(_Answer):
    total: int = 0
    streams: tuple[str, ...] | None = None


async def call(
    connection: Connection,
    verb: str,
    body: Mapping[str, object] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> bytes:
    """Return the JSON answer to `<api>.<verb>`.

    Raises ApiRefused for an error answer, BrokerUnreachable when there is none.
    """
    subject, answer = await _ask(connection, verb, body, timeout_s)
    try:
        failure = _Envelope.model_validate_json(answer).error
    except ValidationError as error:
        raise _strange(subject, answer) from error
    if failure is not None:
        raise _refused(subject, failure)
    return answer


async def call_decoded(
    connection: Connection, verb: str, body: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """Return the answer to `<api>.<verb>` decoded, and not yet validated: a long one is read once.

    Raises as `call` does.
    """
    subject, answer = await _ask(connection, verb, body, _TIMEOUT_S)
    try:
        decoded = orjson.loads(answer)
        failure = _Failure.model_validate(decoded["error"]) if "error" in decoded else None
    except (orjson.JSONDecodeError, TypeError, ValidationError) as error:
        raise _strange(subject, answer) from error
    if failure is not None:
        raise _refused(subject, failure)
    if not isinstance(decoded, dict):
        raise _strange(subject, answer)
    return decoded


async def _ask(
    connection: Connection, verb: str, body: Mapping[str, object] | None, timeout_s: float
) -> tuple[str, bytes]:
    subject = f"{connection.options.api}.{verb}"
    payload = orjson.dumps(body) if body else b""
    return subject, (await connection.request(subject, payload, timeout_s=timeout_s))[3]


def _strange(subject: str, answer: bytes) -> ApiRefused:
    return ApiRefused(subject, 0, 0, f"not a JetStream answer: {answer[:200]!r}")


def _refused(subject: str, failure: _Failure) -> ApiRefused:
    return ApiRefused(subject, failure.code, failure.err_code, failure.description)


async def stream_info(connection: Connection, stream: str) -> StreamInfo | None:
    """Return a stream's configuration and state, None when there is no such stream."""
    try:
        return StreamInfo.model_validate_json(await call(connection, f"STREAM.INFO.{stream}"))
    except ApiRefused as refused:
        if refused.err_code == STREAM_NOT_FOUND:
            return None
        raise


async def stream_state(
    connection: Connection, stream: str, subjects_filter: str = ">"
) -> StreamState:
    """Return what a stream holds, with its messages counted per subject.

    Raises ApiRefused when there is no such stream.
    """
    counts: dict[str, int] = {}
    while True:
        body = {"subjects_filter": subjects_filter, "offset": len(counts)}
        info = StreamInfo.model_validate_json(
            await call(connection, f"STREAM.INFO.{stream}", body, timeout_s=4 * _TIMEOUT_S)
        )
        counts |= info.state.subjects
        if not info.state.subjects or len(counts) >= info.total:
            return info.state.model_copy(update={"subjects": counts})


async def streams_on(connection: Connection, subject: str) -> tuple[str, ...]:
    """Return the names of the streams whose subjects overlap `subject`."""
    answer = await call(connection, "STREAM.NAMES", {"subject": subject})
    return _StreamNames.model_validate_json(answer).streams or ()


async def stream_names(connection: Connection) -> list[str]:
    """Return the names of all streams, a page at a time."""
    found: list[str] = []
    while True:
        answer = await call(connection, "STREAM.NAMES", {"offset": len(found)})
        page = _StreamNames.model_validate_json(answer)
        found += page.streams or ()
        if not page.streams or len(found) >= page.total:
            return found


async def consumer_info(connection: Connection, stream: str, name: str) -> ConsumerInfo | None:
    """Return a consumer, None when it or its stream is missing."""
    try:
        answer = await call(connection, f"CONSUMER.INFO.{stream}.{name}")
    except ApiRefused as refused:
        if refused.err_code in (CONSUMER_NOT_FOUND, STREAM_NOT_FOUND):
            return None
        raise
    return ConsumerInfo.model_validate_json(answer)


async def consumer_infos(connection: Connection, stream: str) -> AsyncIterator[ConsumerInfo]:
    """Yield all consumers of a stream, a page at a time.

    Raises ApiRefused when there is no such stream.
    """
    seen = 0
    while True:
        answer = await call(connection, f"CONSUMER.LIST.{stream}", {"offset": seen})
        page = _ConsumerPage.model_validate_json(answer)
        for info in page.consumers:
            yield info
        seen += len(page.consumers)
        if not page.consumers or seen >= page.total:
            return


async def last_sequence(connection: Connection, stream: str, subject: str) -> int:
    """Return the sequence of the last stored message on a subject or pattern, 0 for none."""
    try:
        answer = await call(connection, f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
    except ApiRefused as refused:
        if refused.code == 404 and refused.err_code != STREAM_NOT_FOUND:
            return 0
        raise
    return _StoredMessage.model_validate_json(answer).message.seq


async def stream_gaps(
    connection: Connection, stream: str
) -> tuple[StreamState, list[tuple[int, int]]] | None:
    """Return a stream's state and what was deleted inside it, as intervals; None without it."""
    try:
        answer = await call(connection, f"STREAM.INFO.{stream}", {"deleted_details": True})
    except ApiRefused as refused:
        if refused.err_code == STREAM_NOT_FOUND:
            return None
        raise
    state = _DetailedInfo.model_validate_json(answer).state
    return state, [(sequence, sequence) for sequence in sorted(state.deleted or ())]


async def stored_subject(connection: Connection, stream: str, sequence: int) -> str | None:
    """Return the subject of a stored message, None when it is not there."""
    try:
        answer = await call(connection, f"STREAM.MSG.GET.{stream}", {"seq": sequence})
    except ApiRefused as refused:
        if refused.code == 404 and refused.err_code != STREAM_NOT_FOUND:
            return None
        raise
    return _StoredMessage.model_validate_json(answer).message.subject


class _DetailedState(StreamState):
    deleted: tuple[int, ...] | None = None


class _DetailedInfo(_Answer):
    state: _DetailedState


class _Stored(_Answer):
    seq: int
    subject: str = ""


class _StoredMessage(_Answer):
    message: _Stored
