"""What the store keeps: one Row per event, one Note per thing that the registrar has to say.

Nothing is ever null: an absent text is empty, an absent time is 0.
"""

from typing import NamedTuple

__all__ = ["Note", "Row"]


class Row(NamedTuple):
    """An event as it was received; the fields are the columns of `events` after `batch`.

    Times are nanoseconds since 1970: `event_ns` from `ce-time` (or the stream's own time where
    the event states none), `intended_ns` the publisher's intended moment on the wall clock,
    `stream_ns` when JetStream stored it, `received_ns` when it reached the registrar.
    `subject` is logical. `headers` is the block as received; `payload` is text where the
    content is JSON, otherwise bytes.
    """

    id: str
    source: str
    type: str
    subject: str
    stream: str
    stream_seq: int
    deliveries: int
    event_ns: int
    intended_ns: int
    stream_ns: int
    received_ns: int
    bot: str
    code: int
    severity: int
    correlation: str
    trace: str
    headers: str
    payload: str | bytes


class Note(NamedTuple):
    """A record of the registrar's own; the fields are the columns of `notes` after `batch`.

    `key` is unique, so that a message which is delivered again is not noted again. `stream`
    to `source` name the message that the note is about, where there is one; `detail` is a
    JSON object; `body` holds (the beginning of) a message that is recorded nowhere else.
    """

    key: str
    recorded_ns: int
    code: int
    severity: int
    stream: str = ""
    stream_seq: int = 0
    subject: str = ""
    id: str = ""
    source: str = ""
    detail: str = "{}"
    body: bytes = b""
