"""What a stream answers to a publish."""

from typing import NamedTuple

import orjson

__all__ = ["NO_STREAM", "STREAM_FULL", "TRANSIENT", "PubAck", "read_ack"]

STREAM_FULL = 10077
"""err_code of a stream that is full and keeps what it has."""
TRANSIENT = frozenset({429, 503, 10008, 10023, 10039, 10158, 10167})
"""err_codes after which another try may work: no leader, no resources, JetStream not there
yet, the same message id in process, too many requests (also as a bare 429), nobody there (503)."""
_MAX_SEQ = 2**63 - 1
_MAX_ERROR = 2**32 - 1


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
            error = ack["error"].get("err_code") or ack["error"]["code"]
            return PubAck(0, False, error) if _counts(error, _MAX_ERROR) else None
        stream, seq = ack["stream"], ack["seq"]
        if "domain" in ack:
            stream = f"{ack['domain']}.{stream}"
        if not isinstance(stream, str) or not _counts(seq, _MAX_SEQ):
            return None
        return PubAck(seq, bool(ack.get("duplicate")), 0, stream)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _counts(number: object, most: int) -> bool:
    return type(number) is int and 0 < number <= most
