"""What a stream answers to a publish."""

from typing import NamedTuple

import orjson

__all__ = ["NO_STREAM", "STREAM_FULL", "TRANSIENT", "PubAck", "read_ack"]

STREAM_FULL = 10077
"""err_code of a stream that is full and keeps what it has."""
TRANSIENT = frozenset({429, 503, 10008, 10023, 10039, 10158, 10167})
"""err_codes after which another try may work: no leader, no resources, JetStream not there
yet, the same message id in process, too many requests (also as a bare 429), nobody there (503)."""


class PubAck(NamedTuple):
    """A stored message's sequence and stream, or an error (its err_code, else its code).

    A stream of a domain has that in front of its name, as no stream's name can.
    """

    seq: int
    duplicate: bool
    error: int
    stream: str = ""


NO_STREAM = PubAck(0, False, 503)
"""What a server's "no responders" comes to, the code of LocalRefusal.NO_RESPONDERS too."""


def read_ack(payload: bytes) -> PubAck | None:
    """Return JetStream's answer, None when it is something else (a responder's reply)."""
    try:
        ack = orjson.loads(payload)
        if "error" in ack:
            return PubAck(0, False, int(ack["error"].get("err_code") or ack["error"]["code"]))
        stream = ".".join(ack[key] for key in ("domain", "stream") if key in ack)
        return PubAck(int(ack["seq"]), "duplicate" in ack, 0, stream)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
