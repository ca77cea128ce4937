"""What has been generated: the digest and the counts, before anything can go wrong."""

from collections.abc import Iterable

from twin.events.digest import HistoryDigest
from twin.events.event import Event, SourceTable

__all__ = ["History"]


class History:
    """Accounts for every event of a shard in the order in which it was generated."""

    def __init__(self, sources: SourceTable) -> None:
        self._sources = sources
        self._digest = HistoryDigest()
        self._words: dict[int, tuple[str, bytes, bytes]] = {}
        self.count = 0

    def add(self, events: Iterable[Event]) -> None:
        """Account for events, each source's in the order of its sequence."""
        words, add = self._words, self._digest.add
        for source, seq, _sim_ns, _headers, payload in events:
            found = words.get(source)
            if found is None:
                found = words[source] = self._describe(source)
            name, prefix, subject = found
            add(name, b"%b%d" % (prefix, seq), subject, payload)
            self.count += 1

    def source_digests(self) -> dict[str, str]:
        """Return the digest of each source."""
        return self._digest.source_digests()

    def digest(self) -> str:
        """Return the digest of all of them."""
        return HistoryDigest.combine([self.source_digests()])

    def _describe(self, source: int) -> tuple[str, bytes, bytes]:
        entry = self._sources[source]
        return entry.name, f"{entry.name}/".encode(), entry.subject.encode()
