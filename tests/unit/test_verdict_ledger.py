"""The ledger against a plain model of itself, and over more events than fit into one chunk."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from verdict_folder import Folder, healthy

from twin.verdict.dense import CHUNK
from twin.verdict.journal import Outcome
from twin.verdict.ledger import EventClass, reconcile
from twin.verdict.manifest import Manifest

Key = tuple[int, int]
SMALL = 4
OPERATIONS = (
    "drop stored",
    "drop observed",
    "double stored",
    "double observed",
    "alter stored",
    "alter observed",
    "swap stored",
    "swap observed",
    "redeliver",
    "unknown",
    "refused",
    "shed",
)
CODES = {"unknown": Outcome.UNKNOWN, "refused": Outcome.REFUSED, "shed": Outcome.SHED}


def apply(folder: Folder, operation: str, source: int, seq: int) -> None:
    """Damage one event; an operation on what is no longer there does nothing."""
    what, _, table = operation.partition(" ")
    if operation in CODES:
        folder.change("outcomes", source, seq, outcome=CODES[operation])
        return
    table = table or "observed"
    rows = getattr(folder, table)
    there = (rows["source"] == source) & (rows["seq"] == seq)
    if not there.any():
        return
    if what == "drop":
        setattr(folder, table, rows[~there])
    elif what == "double":
        folder.append(table, source, seq)
    elif what == "alter":
        folder.change(table, source, seq, hash=5)
    elif what == "redeliver":
        folder.change(table, source, seq, deliveries=3)
    elif ((rows["source"] == source) & (rows["seq"] == seq % SMALL + 1)).any():
        folder.swap(table, (source, seq), (source, seq % SMALL + 1))


def number_again(folder: Folder) -> None:
    """Give the scanned rows ascending sequences per stream, as a scan lists them."""
    for stream in (0, 1):
        mine = folder.stored["stream"] == stream
        folder.stored["stream_seq"][mine] = np.arange(1, mine.sum() + 1)


def copies(rows: Any) -> list[tuple[Key, int, int]]:
    """Return (event, hash, deliveries) of each row."""
    return [
        ((int(row["source"]), int(row["seq"])), int(row["hash"]), int(row["deliveries"]))
        for row in rows
    ]


def late(rows: list[tuple[Key, int, int]]) -> dict[Key, int]:
    """Return events first recorded after a later one of their source, with their deliveries."""
    highest: dict[int, int] = {}
    found: dict[Key, int] = {}
    seen: set[Key] = set()
    for key, _, deliveries in rows:
        if key in seen:
            continue
        seen.add(key)
        if key[1] < highest.get(key[0], 0):
            found[key] = deliveries
        highest[key[0]] = max(highest.get(key[0], 0), key[1])
    return found


def misplaced(folder: Folder) -> int:
    """Count rows of the observer that are from elsewhere than the only place of their event."""
    places: dict[Key, set[tuple[int, int]]] = {}
    for row in folder.stored:
        key = (int(row["source"]), int(row["seq"]))
        places.setdefault(key, set()).add((int(row["stream"]), int(row["stream_seq"])))
    found = 0
    for row in folder.observed:
        known = places.get((int(row["source"]), int(row["seq"])), set())
        found += len(known) == 1 and (int(row["stream"]), int(row["stream_seq"])) not in known
    return found


def model(folder: Folder) -> tuple[Counter[str], Counter[str]]:
    """Say what the ledger should find at both hops, with dictionaries and loops."""
    hashes = {(int(r["source"]), int(r["seq"])): int(r["hash"]) for r in folder.attempted}
    outcome = {(int(r["source"]), int(r["seq"])): int(r["outcome"]) for r in folder.outcomes}
    stored, observed = copies(folder.stored), copies(folder.observed)
    in_stream, in_store = {row[0] for row in stored}, {row[0] for row in observed}
    denied = {key for key, code in outcome.items() if code in (Outcome.REFUSED, Outcome.SHED)}
    inverted = set(late(stored))
    altered = {row[0] for row in stored if row[1] != hashes[row[0]]}
    stream = Counter(
        lost=sum(c == Outcome.ACKNOWLEDGED and k not in in_stream for k, c in outcome.items()),
        recovered=sum(c == Outcome.UNKNOWN and k in in_stream for k, c in outcome.items()),
        unknown=sum(c == Outcome.UNKNOWN and k not in in_stream for k, c in outcome.items()),
        duplicate=len(stored) - len(in_stream),
        reordered=len(inverted),
        corrupt=sum(row[1] != hashes[row[0]] for row in stored),
        unexpected=len(denied & in_stream),
    )
    store = Counter(
        lost=len(in_stream - in_store),
        duplicate=len(observed) - len(in_store),
        reordered=sum(n <= 1 and k not in inverted for k, n in late(observed).items()),
        corrupt=sum(row[1] != hashes[row[0]] and row[0] not in altered for row in observed),
        unexpected=len((denied & in_store) - in_stream),
        misplaced=misplaced(folder),
        recovered=sum(outcome[key] == Outcome.UNKNOWN for key in in_store - in_stream),
    )
    return stream, store


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.sampled_from(OPERATIONS), st.sampled_from([0, 1, 5]), st.integers(1, SMALL)),
        max_size=25,
    )
)
def test_ledger_agrees_with_a_plain_model(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[str, int, int]]
) -> None:
    """Any mixture of defects is counted as loops over dictionaries count it."""
    folder = healthy(SMALL)
    for operation, source, seq in damage:
        apply(folder, operation, source, seq)
    number_again(folder)
    for consumer in folder.manifest["consumers"]:
        consumer["deliveries"] = None
    run = folder.write(tmp_path_factory.mktemp("run"))
    ledger = reconcile(run, Manifest.load(run))
    for hop, expected in zip(ledger.hops, model(folder), strict=True):
        found = {kind: hop.counts.get(EventClass(kind), 0) for kind in expected}
        assert found == expected, hop.name


def test_defects_are_found_across_chunks(tmp_path: Path) -> None:
    """Doubles and swaps whose two halves lie in different chunks are seen."""
    each = CHUNK // 12 + 2000
    folder = healthy(each)
    folder.append("observed", 3, 1)
    folder.swap("observed", (4, 5), (4, each - 1))
    folder.drop("observed", 5, each)
    run = folder.write(tmp_path)
    hop = reconcile(run, Manifest.load(run)).hops[1]
    assert hop.recording.rows > CHUNK
    assert hop.counts[EventClass.DUPLICATE] == 1
    assert hop.counts[EventClass.LOST] == 1
    assert hop.counts[EventClass.REORDERED] == each - 1 - 5
    assert hop.members[EventClass.LOST].tolist() == [6 * each - 1]


def test_one_drop_in_ten_thousand_is_found_and_named(tmp_path: Path) -> None:
    """A registrar that drops one event in 10,000 is caught, each loss by its number."""
    folder = healthy(2500)
    folder.observed = np.delete(folder.observed, np.arange(5000, len(folder.observed), 10_000))
    run = folder.write(tmp_path)
    hop = reconcile(run, Manifest.load(run)).hops[1]
    dropped = folder.attempted[5000::10_000]
    expected = sorted(dropped["source"] * 2500 + dropped["seq"] - 1)
    assert hop.members[EventClass.LOST].tolist() == expected
    assert hop.lost_where == {"prefix": 0, "middle": 3, "postfix": 0}
