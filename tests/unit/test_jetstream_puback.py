"""Answers of a stream, as the server writes them, and what is none."""

import pytest

from twin.jetstream.puback import PubAck, read_ack


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (b'{"stream":"S", "seq":7}', PubAck(7, False, 0, "S")),
        (b'{"stream":"S","domain":"hub","seq":7,"duplicate": true}', PubAck(7, True, 0, "hub.S")),
        (
            b'{"error":{"code":503,"err_code":10077,"description":"full"},"stream":"S","seq":0}',
            PubAck(0, False, 10077),
        ),
        (b'{"error":{"code":429,"description":"too many"}}', PubAck(0, False, 429)),
        (b"", None),
        (b"pong", None),
        (b"[1]", None),
        (b"17", None),
        (b'{"stream":"S"}', None),
        (b'{"error":"no"}', None),
        (b'{"stream":"S","seq":7,"duplicate":false}', PubAck(7, False, 0, "S")),
        (b'{"seq":7,"ok":true}', None),
        (b'{"stream":null,"seq":7}', None),
        (b'{"stream":"S","seq":0}', None),
        (b'{"stream":"S","seq":-7}', None),
        (b'{"stream":"S","seq":"7"}', None),
        (b'{"stream":"S","seq":1e300}', None),
        (b'{"error":{"code":0}}', None),
        (b'{"error":{"code":-5}}', None),
        (b'{"error":{"code":"busy"}}', None),
    ],
)
def test_reads_answers_and_nothing_else(payload: bytes, answer: PubAck | None) -> None:
    """A reply that is no publish acknowledgement is never taken for one."""
    assert read_ack(payload) == answer
