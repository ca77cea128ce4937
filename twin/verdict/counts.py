"""Counts per subject at each hop, and where independent counts of one thing disagree."""

from collections import Counter
from collections.abc import Iterable, Mapping

from twin.events.event import Source
from twin.verdict.dense import Ints, channel_of
from twin.verdict.ledger import Hop, Ledger, State
from twin.verdict.manifest import Manifest
from twin.verdict.recording import AUDIT_SUBJECT
from twin.verdict.result import SubjectCounts

__all__ = ["disagreements", "expected_offered", "subject_counts"]


def subject_counts(manifest: Manifest, ledger: Ledger) -> tuple[SubjectCounts, ...]:
    """Return the table of channels, audit excluded."""
    journal = ledger.journal
    sources = journal.dense.sources
    channels = {source.subject: channel_of(source) for source in sources}
    sums = journal.dense.sums
    stored, unknown = journal.has(State.STORED), journal.has(State.UNKNOWN)
    columns = {
        "generated": sums(journal.has(State.ATTEMPTED)),
        "acknowledged": sums(journal.has(State.ACKNOWLEDGED)),
        "recovered": sums(unknown & stored),
        "unknown": sums(unknown & ~stored),
        "refused": sums(journal.has(State.REFUSED)),
        "shed": sums(journal.has(State.SHED)),
    }
    table = {name: _fold(_by_subject(sources, sum_), channels) for name, sum_ in columns.items()}
    table["stored"] = _fold(_rows(ledger.hops[0], sources), channels)
    table["server"] = _fold(_server(manifest), channels)
    recorded = {hop.name: _fold(_rows(hop, sources), channels) for hop in ledger.hops[1:]}
    kept = {one.name: _fold(one.per_subject, channels) for one in manifest.observers}
    names = {name for counts in (*table.values(), *recorded.values()) for name in counts}
    return tuple(
        SubjectCounts(
            subject=name,
            **{column: counts[name] for column, counts in table.items()},
            recorded={observer: counts[name] for observer, counts in recorded.items()},
            kept={observer: counts[name] for observer, counts in kept.items()},
        )
        for name in sorted(names)
        if not name.endswith(AUDIT_SUBJECT)
    )


def expected_offered(manifest: Manifest, ledger: Ledger) -> int:
    """Return how many of the predicted events were generated and not refused.

    Subject by subject, so that events that nobody predicted (tracks, edges) make up for none
    of those that were. A refused event is not there to be checked, whoever refused it.
    """
    predicted, journal = manifest.predicted.by_subject, ledger.journal
    if not predicted:
        return journal.attempted - journal.count(State.REFUSED)
    sums, sources = journal.dense.sums, journal.dense.sources
    offered = _by_subject(
        sources, sums(journal.has(State.ATTEMPTED)) - sums(journal.has(State.REFUSED))
    )
    return sum(min(offered.get(subject, 0), count) for subject, count in predicted.items())


def disagreements(manifest: Manifest, ledger: Ledger) -> list[str]:
    """Say where the publisher, the server or a store counts otherwise than the evidence.

    The journal is compared with the publisher's own counters, the scan with the server's
    counts per subject, each export with its store's counts per subject.
    """
    sources = ledger.journal.dense.sources
    found = _publisher(manifest, ledger)
    found += _differences(
        "stream", "the server counts", _rows(ledger.hops[0], sources), _server(manifest)
    )
    for observer, hop in zip(manifest.observers, ledger.hops[1:], strict=True):
        own = "its store counts"
        found += _differences(observer.name, own, _rows(hop, sources), observer.per_subject)
        if hop.recording.rows != observer.rows_total:
            found.append(
                f"{observer.name}: {hop.recording.rows} rows were exported, "
                f"{own} {observer.rows_total} in total"
            )
    return found


def _publisher(manifest: Manifest, ledger: Ledger) -> list[str]:
    journal, counts = ledger.journal, manifest.publish
    if counts is None:
        return []
    pairs = (
        ("generated", journal.attempted, counts.attempted),
        ("acknowledged", journal.count(State.ACKNOWLEDGED), counts.acknowledged),
    )
    return [
        f"journal: {found} events {what}, the publisher counts {own}"
        for what, found, own in pairs
        if found != own
    ]


def _differences(
    where: str, who: str, found: Mapping[str, int], own: Mapping[str, int]
) -> list[str]:
    return [
        f"{where}: {found.get(subject, 0)} rows on {subject or 'an unknown subject'}, "
        f"{who} {own.get(subject, 0)}"
        for subject in sorted({*found, *own})
        if found.get(subject, 0) != own.get(subject, 0) and not subject.endswith(AUDIT_SUBJECT)
    ]


def _server(manifest: Manifest) -> Counter[str]:
    counts: Counter[str] = Counter()
    for stream in manifest.streams:
        counts.update(stream.subjects)
    return counts


def _rows(hop: Hop, sources: list[Source]) -> Counter[str]:
    """Return a table's rows per logical subject, strangers included."""
    counts = _by_subject(sources, hop.recording.rows_by_source)
    counts.update(hop.recording.strangers_by_subject)
    return counts


def _by_subject(sources: Iterable[Source], counts: Ints) -> Counter[str]:
    found: Counter[str] = Counter()
    for source, count in zip(sources, counts.tolist(), strict=True):
        found[source.subject] += count
    return found


def _fold(counts: Mapping[str, int], channels: Mapping[str, str]) -> Counter[str]:
    """Add up the subjects of one channel."""
    found: Counter[str] = Counter()
    for subject, count in counts.items():
        found[channels.get(subject, subject)] += count
    return found
