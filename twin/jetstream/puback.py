"""What a stream answers to a publish."""

from typing import NamedTuple

import orjson

__all__ = ["TRANSIENT", "PubAck", "read_ack"]

TRANSIENT = frozenset({429, 10008, 10023, 10039, 10158, 10167})
"""err_codes after which another try may work: no leader, no resources, JetStream not there
yet, the same message id in process, too many requests (also as a bare 429)."""


class PubAck(NamedTuple):
    """A stored message's sequence, or an error (its err_code, else its code)."""

    seq: int
    duplicate: bool
    error: int


def read_ack(payload: bytes) -> PubAck | None:
    """Return JetStream's answer, None when it is something else (a responder's reply)."""
    try:
        ack = orjson.loads(payload)
        if "error" in ack:
            return PubAck(0, False, int(ack["error"].get("err_code") or ack["error"]["code"]))
        return PubAck(int(ack["seq"]), "duplicate" in ack, 0)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
