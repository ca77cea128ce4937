"""What the verdict gets from a store."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_registrar_store import RULES, make_note, make_row

from twin.errors import StoreError
from twin.events.digest import payload_hash
from twin.events.event import SourceTable
from twin.registrar.export import export_observed, recorded_per_subject
from twin.registrar.store import Store
from twin.verdict.facts import read_strangers
from twin.verdict.journal import COPY, NO_SOURCE, read_table

STREAMS = ["QIKI_RADAR_V1", "QIKI_EVENTS_V1"]
STATE = "qiki.events.v1.state"


@pytest.fixture
def sources() -> SourceTable:
    """The sources of run r1: two bots."""
    table = SourceTable()
    for bot in ("bot-0", "bot-1"):
        table.add(bot, STATE)
    return table


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two events of the run, four strangers, a duplicate and a quarantined message."""
    folder = tmp_path / "store"
    with Store(folder, RULES, "1") as opened:
        opened.write(
            [
                make_row(2, code=602, severity=30, deliveries=3),
                make_row(1, stream_seq=3, code=630, severity=10),
                make_row(4, source="urn:twin:r0:bot-1"),
                make_row(5, id="bot-9/events.v1.state/5", bot="bot-9"),
                make_row(6, id="no id of ours", source="urn:qiki:radar", bot=""),
                make_row(7, subject="qiki.telemetry"),
                make_row(2, stream_seq=8, code=602, severity=30),
            ],
            [make_note("poison/9", 9)._replace(subject=STATE)],
        )
    return folder


def test_copies_are_what_was_recorded_in_its_order(
    store: Path, sources: SourceTable, tmp_path: Path
) -> None:
    """Source, sequence, hash, place in the stream, time, deliveries and code of every event."""
    exported = export_observed(store, sources, STREAMS, tmp_path / "out", "r1")
    (copies,) = read_table(tmp_path / "out" / "registrar.bin", COPY)
    assert (exported.copies, len(copies)) == (7, 7)
    ours = copies[copies["source"] != NO_SOURCE]
    assert ours[["source", "seq", "stream_seq", "stream", "deliveries", "code"]].tolist() == [
        (1, 2, 2, 1, 3, 602),
        (1, 1, 3, 1, 1, 630),
    ]
    assert ours["hash"].tolist() == [
        payload_hash(str(make_row(number).payload).encode()) for number in (2, 1)
    ]
    assert np.all(copies["time_ns"] > 1_700_000_000_000_000_000)


def test_strangers_are_named_with_their_reason(
    store: Path, sources: SourceTable, tmp_path: Path
) -> None:
    """Another run's, an unknown source's, a wrong subject's and quarantined ones are told."""
    export_observed(store, sources, STREAMS, tmp_path, "r1")
    strangers = read_strangers(tmp_path / "registrar.strange.jsonl")
    assert [(one.stream_seq, one.run, one.reason) for one in strangers] == [
        (4, "r0", "its CloudEvents source is not this run's"),
        (5, "r1", "its id names no source of the run"),
        (6, None, "its id names no source of the run"),
        (7, "r1", "it came on the subject of another source"),
        (9, None, "quarantined: x"),
    ]
    (copies,) = read_table(tmp_path / "registrar.bin", COPY)
    strange = copies[copies["source"] == NO_SOURCE]
    assert strange["stream_seq"].tolist() == [4, 5, 6, 7, 9]


def test_counts_come_from_the_store_itself(
    store: Path, sources: SourceTable, tmp_path: Path
) -> None:
    """Rows per subject are counted by the store, and add up to the exported copies."""
    counts = recorded_per_subject(store)
    assert counts == {STATE: 6, "qiki.telemetry": 1}
    assert sum(counts.values()) == export_observed(store, sources, STREAMS, tmp_path).copies


def test_audit_counts_codes_per_bot(store: Path, sources: SourceTable, tmp_path: Path) -> None:
    """`audit.json` has each code with its severity and bots; bulk codes have no lines."""
    exported = export_observed(store, sources, STREAMS, tmp_path, "r1")
    counts = json.loads((tmp_path / "audit.json").read_text())["counts"]
    found = {(one["kind"], one["code"]): one for one in counts}
    low = found["event", 602]
    assert (low["name"], low["severity"], low["count"], low["bots"]) == (
        "POWER_LOW", "WARN", 1, {"bot-1": 1},
    )  # fmt: skip
    assert found["event", 101]["count"] == 3, "the event of run r0 counted"
    assert found["event", 101]["bots"] == {"bot-1": 1, "bot-9": 1}
    assert {key for key in found if key[0] == "note"} == {("note", 440), ("note", 920)}
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert exported.audit == len(lines) == 6
    assert lines[0] == {
        "kind": "event", "bot": "bot-1", "code": 602, "severity": "WARN",
        "event_time_ns": make_row(2).event_ns, "id": "bot-1/events.v1.state/2",
    }  # fmt: skip
    assert 630 not in {line["code"] for line in lines}


def test_exporting_again_replaces_the_files(
    store: Path, sources: SourceTable, tmp_path: Path
) -> None:
    """A second export writes the same files anew."""
    for _ in range(2):
        export_observed(store, sources, STREAMS, tmp_path, "r1")
    (copies,) = read_table(tmp_path / "registrar.bin", COPY)
    assert len(copies) == 7


def test_a_stream_of_nobody_is_refused(store: Path, sources: SourceTable, tmp_path: Path) -> None:
    """A store that recorded another stream than the run's is not exported silently."""
    with pytest.raises(StoreError, match="QIKI_EVENTS_V1"):
        export_observed(store, sources, ["OTHER"], tmp_path, "r1")
