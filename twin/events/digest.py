"""Fingerprints: the hash of one payload, and the digest of a whole generated history."""

import hashlib
from collections.abc import Iterable

__all__ = ["HistoryDigest", "payload_hash"]


def payload_hash(payload: bytes) -> int:
    """Return the first 8 bytes of BLAKE2b(payload) as an unsigned little-endian number."""
    return int.from_bytes(hashlib.blake2b(payload, digest_size=8).digest(), "little")


class HistoryDigest:
    """SHA-256 over sources sorted by name, each a running SHA-256 over its generated events.

    An event contributes its id, logical subject and payload, each preceded by its length.
    The digest does not depend on how sources interleave, hence not on shards or pace.
    """

    def __init__(self) -> None:
        self._running: dict[str, hashlib._Hash] = {}

    def add(self, source_name: str, event_id: bytes, subject: bytes, payload: bytes) -> None:
        """Account for one event of a source, in the order of its sequence."""
        running = self._running.get(source_name)
        if running is None:
            running = self._running[source_name] = hashlib.sha256()
        running.update(
            b"%d %d %d\n%b%b%b"
            % (len(event_id), len(subject), len(payload), event_id, subject, payload)
        )

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
