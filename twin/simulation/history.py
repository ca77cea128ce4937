"""What has been generated: the digest and the counts, before anything can go wrong."""

from collections.abc import Callable, Sequence

from twin.events.digest import HistoryDigest, digest_record
from twin.events.event import Digits, Event, SourceTable

__all__ = ["History"]


class History:
    """Accounts for every event of a shard in the order in which it was generated."""

    def __init__(self, sources: SourceTable) -> None:
        self._sources = sources
        self._digest = HistoryDigest()
        self._known: dict[int, tuple[Callable[[bytes], None], bytes, bytes]] = {}
        self._digits = Digits()
        self.count = 0

    def add(self, events: Sequence[Event]) -> None:
        """Account for events, each source's in the order of its sequence."""
        known, digits = self._known, self._digits
        for source, seq, _sim_ns, _headers, payload in events:
            found = known.get(source)
            if found is None:
                found = known[source] = self._introduce(source)
            update, prefix, subject = found
            update(digest_record(prefix + digits[seq], subject, payload))
        self.count += len(events)

    def source_digests(self) -> dict[str, str]:
        """Return the digest of each source."""
        return self._digest.source_digests()

    def digest(self) -> str:
        """Return the digest of all of them."""
        return HistoryDigest.combine([self.source_digests()])

    def _introduce(self, source: int) -> tuple[Callable[[bytes], None], bytes, bytes]:
        entry = self._sources[source]
        name = entry.name
        return self._digest.updater(name), f"{name}/".encode(), entry.subject.encode()
