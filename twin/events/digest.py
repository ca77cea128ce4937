"""Fingerprints: the hash of one payload, and the digest of a whole generated history."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

__all__ = ["PAYLOAD_HASH", "HistoryDigest", "digest_record", "payload_hash", "payload_hashes"]

PAYLOAD_HASH = "xxh3-64"
"""The name of what `payload_hash` computes, for those who compare tables of two versions."""

MOST_LENGTHS: Final = 100_000


def payload_hash(payload: bytes) -> int:
    """Return XXH3 (64 bits) of a payload: it tells damage, and guards against no forger."""
    return xxh3_64_intdigest(payload)


def payload_hashes(payloads: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    """Return the `payload_hash` of each."""
    return np.fromiter(map(xxh3_64_intdigest, payloads), np.uint64, len(payloads))


class _Lengths(dict[tuple[int, int, int], bytes]):
    """What stands before an id, a subject and a payload of these lengths."""

    def __missing__(self, lengths: tuple[int, int, int]) -> bytes:
        if len(self) >= MOST_LENGTHS:
            self.clear()
        made = self[lengths] = b"%d %d %d\n" % lengths
        return made


_LENGTHS = _Lengths()


def digest_record(event_id: bytes, subject: bytes, payload: bytes) -> bytes:
    """Return what one event contributes to the digest of its source."""
    lengths = _LENGTHS[len(event_id), len(subject), len(payload)]
    return b"".join((lengths, event_id, subject, payload))


class HistoryDigest:
    """SHA-256 over sources sorted by name, each a running SHA-256 over its generated events.

    An event contributes its id, logical subject and payload, each preceded by its length.
    The digest does not depend on how sources interleave, hence not on shards or pace.
    """

    def __init__(self) -> None:
        self._running: dict[str, hashlib._Hash] = {}

    def add(self, source_name: str, event_id: bytes, subject: bytes, payload: bytes) -> None:
        """Account for one event of a source, in the order of its sequence."""
        self.updater(source_name)(digest_record(event_id, subject, payload))

    def updater(self, source_name: str) -> Callable[[bytes], None]:
        """Return what takes the `digest_record` of each event of a source, for many of them."""
        return self._running.setdefault(source_name, hashlib.sha256()).update

    def source_digests(self) -> dict[str, str]:
        """Return each source's own digest, to find where two histories part."""
        return {name: running.hexdigest() for name, running in sorted(self._running.items())}

    @staticmethod
    def combine(parts: Iterable[dict[str, str]]) -> str:
        """Return the digest of a run whose sources were spread over several shards."""
        total = hashlib.sha256()
        for name, digest in sorted(item for part in parts for item in part.items()):
            total.update(f"{name} {digest}\n".encode())
        return total.hexdigest()
