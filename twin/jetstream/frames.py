"""Messages of streams in a read buffer: one frame behind the other, with headers and a reply."""

from collections.abc import Container

from twin.jetstream.wire import Delivery

__all__ = ["cut"]

_FIELDS = 6


def cut(
    buffer: bytes, position: int, sids: Container[bytes], batches: dict[bytes, list[Delivery]]
) -> int:
    """Add the messages of some subscriptions to their batches; return where something else begins.

    That is another frame, one of another subscription, or one that is not here whole.
    """
    sid: bytes = b""
    while (end := buffer.find(b"\r\n", position)) >= 0:
        fields = buffer[position:end].split(b" ")
        if len(fields) != _FIELDS or fields[0] != b"HMSG":
            break
        _, subject, found, reply, head, total = fields
        start = end + 2
        stop = start + int(total)
        if stop + 2 > len(buffer):
            break
        if found != sid:
            if found not in sids:
                break
            sid, add = found, batches.setdefault(found, []).append
        middle = start + int(head)
        add((subject, reply, buffer[start:middle], buffer[middle:stop]))
        position = stop + 2
    return position
