"""The store: what is written, what is recognised as written before, and what is refused."""

import fcntl
import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.errors import StoreError
from twin.registrar import store as store_module
from twin.registrar.bulk import STRIDE
from twin.registrar.chain import (
    ALONE,
    GROUP,
    Record,
    leaves_of,
    note_leaf,
    record_leaves,
    root,
    row_records,
    sharing,
)
from twin.registrar.evidence_verifier import group_of
from twin.registrar.record import Note, Row
from twin.registrar.rules import Rules
from twin.registrar.schema import check_sqlite, select
from twin.registrar.store import Store
from twin.registrar.verify import verify

RULES = Rules.load()
HEADERS = "NATS/1.0\r\nce-specversion: 1.0\r\n\r\n"


def make_row(seq: int, **other: str | int | bytes) -> Row:
    """Return an event of bot-1; `seq` numbers it in its source and in the stream."""
    row = Row(
        id=f"bot-1/events.v1.state/{seq}",
        source="urn:twin:r1:bot-1",
        type="qiki.events.v1.StateChange",
        subject="qiki.events.v1.state",
        stream="QIKI_EVENTS_V1",
        stream_seq=seq,
        deliveries=1,
        event_ns=1_767_225_600_000_000_000 + seq * 1_000_000_000,
        intended_ns=seq,
        stream_ns=seq,
        received_ns=seq,
        bot="bot-1",
        code=101,
        severity=20,
        correlation="",
        trace="",
        headers=HEADERS,
        payload=f'{{"kind":"boot_ok","n":{seq}}}',
    )
    return row._replace(**other)  # type: ignore[arg-type]


def make_note(key: str, stream_seq: int = 0) -> Note:
    """Return a quarantine note."""
    return Note(key, 5, 920, 40, "QIKI_EVENTS_V1", stream_seq, detail='{"reason":"x"}', body=b"\0")


def rows_of(folder: Path, table: str = "events") -> list[dict[str, object]]:
    """Return a table as dictionaries, through any SQLite reader's eyes."""
    db = apsw.Connection(str(folder / "segment-000001.sqlite"), apsw.SQLITE_OPEN_READONLY)
    try:
        names = [row[1] for row in db.execute("SELECT * FROM pragma_table_info(?)", (table,))]
        return [
            dict(zip(names, row, strict=True)) for row in db.execute(select(["*"], f"FROM {table}"))
        ]
    finally:
        db.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store of a test is."""
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """An open store."""
    with Store(folder, RULES, "1.2.3") as opened:
        yield opened


def test_a_batch_is_recorded_whole(store: Store, folder: Path) -> None:
    """Every field of an event comes back as it went in; the batch names rules and version."""
    opaque = make_row(2, payload=b"\x00\xff", correlation="c-1", trace="t" * 32)
    written = store.write([make_row(1), opaque], [make_note("poison/1", 3)])
    assert (len(written.rows), len(written.notes), written.redelivered) == (2, 1, 0)
    recorded = rows_of(folder)
    for row, found in zip((make_row(1), opaque), recorded, strict=True):
        assert {name: found[name] for name in Row._fields} == row._asdict()
    assert [found["row"] for found in recorded] == [1, 2]
    batch = rows_of(folder, "batches")[0]
    assert (batch["rules"], batch["version"], batch["rows"], batch["notes"]) == (
        RULES.hash, "1.2.3", 2, 1,
    )  # fmt: skip
    assert store.last_sequences == {"QIKI_EVENTS_V1": 3}


@pytest.mark.parametrize(
    "count", [1, STRIDE - 1, STRIDE, STRIDE + 1, 2 * STRIDE + 5, ALONE, ALONE + 1]
)
def test_a_batch_of_any_size_is_recorded_as_it_is(folder: Path, count: int) -> None:
    """Every column of every event, its kind and the marks; those that share a statement or not."""
    rows = [
        make_row(seq, code=101 + seq % 7, payload=b"\xff" if seq % 3 else "{}", bot=f"bot-{seq}")
        for seq in range(1, count + 1)
    ]
    with Store(folder, RULES, "1") as store:
        store.write(rows)
    kinds = {
        number["kind"]: (number["type"], number["code"]) for number in rows_of(folder, "kinds")
    }
    for at, (stored, row) in enumerate(zip(rows_of(folder), rows, strict=True), 1):
        expected = {"row": at, "batch": 1, **row._asdict()}
        assert kinds[stored.pop("kind")] == (row.type, row.code)
        assert stored == expected
    leaves = record_leaves(row_records(1, 1, rows), 1 if count <= ALONE else GROUP)
    assert rows_of(folder, "marks") == [{"batch": 1, "marks": b"".join(one[:8] for one in leaves)}]
    assert verify(folder).good


def test_a_connection_has_room_for_the_texts_of_a_statement(tmp_path: Path) -> None:
    """In a process that made room, SQLite asks for memory for almost nothing that is bound."""
    program = f"""
import apsw
from pathlib import Path
from twin.registrar.bulk import STRIDE, make_room
from twin.registrar.schema import create, open_writer
from twin.registrar.bulk import insert_events

make_room()
db = open_writer(Path({str(tmp_path / "room.sqlite")!r}))
create(db, {{}})
row = ("id", "source", "type", "subject", "stream", *[1] * 6, "bot", 1, 1, "c", "t")
texts = "h" * 300, "p" * 300
for first in range(0, 10 * STRIDE, STRIDE):
    records = [(first + at, 1, *row, *texts) for at in range(STRIDE)]
    insert_events(db, records, [1] * STRIDE)
print(db.status(apsw.SQLITE_DBSTATUS_LOOKASIDE_MISS_FULL)[1])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(done.stdout) < STRIDE


def test_a_redelivered_event_is_recorded_once(store: Store, folder: Path) -> None:
    """What comes again from the same place of the stream is counted and nothing else."""
    store.write([make_row(1), make_row(2)])
    written = store.write([make_row(2, deliveries=2), make_row(3)])
    assert ([row.stream_seq for row in written.rows], written.redelivered) == ([3], 1)
    assert [row["stream_seq"] for row in rows_of(folder)] == [1, 2, 3]
    assert [row["row"] for row in rows_of(folder)] == [1, 2, 3]
    assert store.write([make_row(3)]).redelivered == 1
    assert len(rows_of(folder, "batches")) == 2
    assert rows_of(folder, "notes") == []


def test_a_second_copy_in_the_stream_is_noted(store: Store, folder: Path) -> None:
    """The same event at another sequence is a duplicate: one row, one note, also if redelivered."""
    store.write([make_row(1)])
    for _ in range(2):
        store.write([make_row(1, stream_seq=7)])
    assert len(rows_of(folder)) == 1
    (note,) = rows_of(folder, "notes")
    assert (note["code"], note["stream_seq"]) == (440, 7)
    assert orjson.loads(str(note["detail"]))["recorded_seq"] == 1


def test_duplicates_inside_one_batch_are_found(store: Store, folder: Path) -> None:
    """A batch is compared with itself too."""
    written = store.write([make_row(1), make_row(1, stream_seq=2), make_row(3)])
    assert [row.stream_seq for row in written.rows] == [1, 3]
    assert [note.code for note in written.notes] == [440]
    assert [row["row"] for row in rows_of(folder)] == [1, 2]


def test_one_id_with_two_payloads_keeps_both(store: Store, folder: Path) -> None:
    """A conflict is recorded with the second payload and its headers whole."""
    store.write([make_row(1)])
    other = make_row(
        1, stream_seq=2, payload='{"kind":"forged"}', headers="NATS/1.0\r\nx: y\r\n\r\n"
    )
    written = store.write([other, make_row(3)])
    assert [note.code for note in written.notes] == [921]
    (note,) = rows_of(folder, "notes")
    assert note["body"] == b'{"kind":"forged"}'
    assert orjson.loads(str(note["detail"]))["headers"] == other.headers
    assert rows_of(folder)[0]["payload"] == make_row(1).payload
    assert len(rows_of(folder)) == 2


def test_the_same_id_of_two_sources_are_two_events(store: Store) -> None:
    """Ids are unique by source and id together."""
    written = store.write([make_row(1), make_row(1, stream_seq=2, source="urn:twin:r2:bot-1")])
    assert len(written.rows) == 2


def test_reused_sequences_are_a_rollback(store: Store, folder: Path) -> None:
    """Other events at recorded sequences are recorded, and the rollback is noted once."""
    store.write([make_row(number) for number in range(1, 11)])
    again = [make_row(number + 100, stream_seq=number) for number in range(8, 12)]
    written = store.write(again)
    assert len(written.rows) == 4
    (note,) = rows_of(folder, "notes")
    detail = orjson.loads(str(note["detail"]))
    assert (note["code"], detail["recorded_last"], detail["sequence"]) == (922, 10, 8)
    assert store.last_sequences == {"QIKI_EVENTS_V1": 11}


def test_an_event_that_comes_late_is_no_rollback(store: Store, folder: Path) -> None:
    """A message that was redelivered after later ones is simply recorded."""
    store.write([make_row(1), make_row(3)])
    written = store.write([make_row(2, deliveries=2)])
    assert len(written.rows) == 1
    assert rows_of(folder, "notes") == []
    assert store.last_sequences == {"QIKI_EVENTS_V1": 3}


def test_a_stream_that_ends_too_early_is_a_rollback(store: Store, folder: Path) -> None:
    """A stream whose last sequence is below ours is noted, once, also over a restart."""
    store.write([make_row(number) for number in range(1, 6)])
    assert store.observe_stream("QIKI_EVENTS_V1", 5, 5, 1).notes == ()
    assert store.observe_stream("QIKI_EVENTS_V1", 3, 4, 1).notes == ()
    assert [note.code for note in store.observe_stream("QIKI_EVENTS_V1", 3, 5, 2).notes] == [922]
    store.close()
    with Store(folder, RULES, "1.2.3") as again:
        recorded = again.last_sequences["QIKI_EVENTS_V1"]
        assert again.observe_stream("QIKI_EVENTS_V1", 3, recorded, 3).notes == ()
        new = [make_row(number + 100, stream_seq=number) for number in (3, 4, 5)]
        written = again.write([*new, make_row(2)])
        assert (len(written.rows), written.redelivered, written.notes) == (3, 1, [])
        assert again.last_sequences == {"QIKI_EVENTS_V1": 5}


def test_a_note_is_written_once_per_key(store: Store, folder: Path) -> None:
    """A poison message that is delivered again is not noted again, not even in one batch."""
    store.write([], [make_note("a", 1), make_note("a", 1)])
    assert store.write([make_row(2)], [make_note("a", 1)]).notes == []
    assert len(rows_of(folder, "notes")) == 1


def test_a_store_goes_on_where_it_was_left(folder: Path) -> None:
    """After a restart numbers, chain and last sequences continue."""
    with Store(folder, RULES, "1") as first:
        first.write([make_row(1)])
    with Store(folder, RULES, "2") as second:
        second.write([make_row(1), make_row(2)])
    batches = rows_of(folder, "batches")
    assert [(batch["batch"], batch["first_row"]) for batch in batches] == [(1, 1), (2, 2)]
    assert batches[1]["previous"] == batches[0]["hash"]
    assert [batch["version"] for batch in batches] == ["1", "2"]


def test_only_one_writer(store: Store, folder: Path) -> None:
    """A second writer is refused and told who holds the store."""
    with pytest.raises(StoreError, match=r"in use by process \d+"):
        Store(folder, RULES, "1")
    store.write([make_row(1)])


def test_the_lock_is_free_after_a_failed_opening(folder: Path) -> None:
    """A store that cannot be opened leaves no lock behind."""
    folder.mkdir()
    (folder / "segment-000001.sqlite").write_bytes(b"no database at all" * 400)
    for _ in range(2):
        with pytest.raises(StoreError, match="cannot be opened"):
            Store(folder, RULES, "1")
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    """A store cannot be a file."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "file", RULES, "1")


def test_a_cut_off_end_is_noticed_at_once(folder: Path) -> None:
    """Opening a store whose last rows do not fit its last batch is refused."""
    with Store(folder, RULES, "1") as store:
        store.write([make_row(1), make_row(2)])
    db = apsw.Connection(str(folder / "segment-000001.sqlite"))
    db.execute("DELETE FROM events WHERE row = 2")
    db.close()
    with pytest.raises(StoreError, match="does not match its last batch"):
        Store(folder, RULES, "1")


def test_a_failed_write_records_nothing_and_is_final(store: Store, folder: Path) -> None:
    """When the database refuses a batch nothing of it stays, and no later one is taken."""
    store.write([make_row(1)])
    db = apsw.Connection(str(folder / "segment-000001.sqlite"))
    db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON batches BEGIN SELECT raise(ABORT, 'full'); END"
    )
    db.close()
    with pytest.raises(StoreError, match=r"cannot be written.*full"):
        store.write([make_row(2)])
    with pytest.raises(StoreError, match="failed before"):
        store.write([make_row(3)])
    assert len(rows_of(folder)) == 1


def test_another_schema_is_refused(folder: Path) -> None:
    """A store of another schema version is neither written nor read."""
    Store(folder, RULES, "1").close()
    db = apsw.Connection(str(folder / "segment-000001.sqlite"))
    db.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
    db.close()
    with pytest.raises(StoreError, match="schema 99"):
        Store(folder, RULES, "1")


def test_the_write_ahead_log_stays_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints move the log into the database, so that it does not grow with the store."""
    monkeypatch.setattr(store_module, "CHECKPOINT_BYTES", 256 * 1024)
    with Store(folder, RULES, "1") as store:
        sizes = []
        for start in range(1, 8001, 400):
            store.write([make_row(number) for number in range(start, start + 400)])
            store.tidy()
            sizes.append((folder / "segment-000001.sqlite-wal").stat().st_size)
        assert max(sizes) < 2_000_000 < store.size_bytes


def test_durability_is_asked_of_sqlite(store: Store, folder: Path) -> None:
    """Every commit is synced: write-ahead log, synchronous FULL."""
    db = store._active.db
    assert (db.pragma("journal_mode"), db.pragma("synchronous")) == ("wal", 2)
    for version in ("3.51.2", "3.50.6", "3.44.5", "3.46.0"):
        with pytest.raises(StoreError, match="defect"):
            check_sqlite(version)
    for version in ("3.51.3", "3.54.1", "3.50.7", "3.44.6", "4.0.0"):
        check_sqlite(version)


def test_readers_do_not_disturb_the_writer(store: Store, folder: Path) -> None:
    """A reader in the middle of the table neither blocks a write nor sees half of it."""
    store.write([make_row(number) for number in range(1, 101)])
    db = apsw.Connection(str(folder / "segment-000001.sqlite"), apsw.SQLITE_OPEN_READONLY)
    cursor = db.execute("SELECT row FROM events")
    assert cursor.fetchone() == (1,)
    thread = threading.Thread(target=store.write, args=([make_row(101)],))
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert len(list(cursor)) == 99
    db.close()


NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-300, 300))
FIELDS = st.one_of(NUMBERS, st.text(), st.text("x", min_size=20), st.binary())
RECORDS = st.lists(st.tuples(*[FIELDS] * 20), min_size=1, max_size=2)


@given(RECORDS, st.integers(0, 19), st.integers(0, 19), FIELDS, FIELDS)
def test_leaves_tell_records_apart(
    some: list[Record], at: int, to: int, one: str | int | bytes, two: str | int | bytes
) -> None:
    """Records that differ in a field have other leaves, whatever the fields hold."""
    fields = list(some[-1])
    fields[at], fields[to] = one, two
    others = [*some[:-1], tuple(fields)]
    for share in (1, GROUP):
        assert (record_leaves(some, share) == record_leaves(others, share)) == (some == others)


def test_leaves_cover_every_field() -> None:
    """Changing any one field of an event or a note, or its place, changes its leaf."""
    row, note = make_row(1), make_note("a", 1)
    rows = [row._replace(**{name: "0"}) for name in Row._fields]  # type: ignore[arg-type]
    rows.append(row._replace(payload=str(row.payload).encode()))
    records = [(1, 1, *one) for one in [row, *rows]] + [(2, 1, *row), (1, 2, *row)]
    for schema in (3, 5):
        assert len({leaves_of([record], 1, schema)[0] for record in records}) == len(records)
    notes = [note._replace(**{name: b"x"}) for name in ("body",)]
    notes += [note._replace(**{name: "0"}) for name in Note._fields if name != "body"]  # type: ignore[arg-type]
    assert len({note_leaf(1, 1, one) for one in [note, *notes]}) == len(notes) + 1


def test_a_leaf_is_of_a_group() -> None:
    """One event that was changed gives its group another leaf; no others have."""
    rows = [make_row(seq) for seq in range(1, 2 * GROUP + 4)]
    rows[3] = rows[3]._replace(payload="x" * 5_000)
    whole = record_leaves(row_records(1, 1, rows), GROUP)
    rows[GROUP] = rows[GROUP]._replace(bot="bot-2")
    other = record_leaves(row_records(1, 1, rows), GROUP)
    assert [one == two for one, two in zip(whole, other, strict=True)] == [True, False, True]


def test_only_events_of_large_batches_share_a_leaf() -> None:
    """Eight of them in what only a full load makes; in schema 4 always, before it never."""
    sizes = [(rows, schema) for schema in (3, 4, 5) for rows in (1, ALONE, ALONE + 1)]
    assert [sharing(*size) for size in sizes] == [1, 1, 1, 8, 8, 8, 1, 1, 8]


@given(RECORDS)
def test_leaves_are_plain_messagepack(records: list[Record]) -> None:
    """A leaf can be recomputed with MessagePack and SHA-256 alone, as the docs promise."""
    told = [[[one.hex()] if isinstance(one, bytes) else one for one in two] for two in records]
    assert record_leaves(records, GROUP) == [group_of(told)]


def test_leaves_of_before_are_plain_json() -> None:
    """Up to schema 3 a leaf is of one event, with nothing but JSON and SHA-256."""
    row = make_row(1, id='q"\\\u00e9\n\x07\x7f', payload=b"\x01")
    fields = ["event", 1, 1, *row[:-1], ["01"]]
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    leaf = hashlib.sha256(text.encode()).digest()
    assert leaves_of(row_records(1, 1, [row]), 1, 3) == [leaf]


def test_the_root_depends_on_every_leaf_and_their_order() -> None:
    """Swapping, dropping or changing any of many leaves changes the root."""
    leaves = [bytes([number % 256, number // 256]) * 16 for number in range(200)]
    swapped = [leaves[1], leaves[0], *leaves[2:]]
    changed = [*leaves[:150], b"\xff" * 32, *leaves[151:]]
    roots = {root(one) for one in (leaves, swapped, changed, leaves[:-1], [], leaves[:1])}
    assert len(roots) == 6


def test_it_says_when_only_the_disk_is_waited_for(tmp_path: Path) -> None:
    """Then all of a batch is inserted and nothing of it is to be seen from outside yet."""
    seen: list[int] = []
    with Store(tmp_path, RULES, "1") as store:
        store.write([make_row(1)])
        rows = [make_row(2), make_row(3)]
        written = store.write(rows, syncing=lambda: seen.append(len(rows_of(tmp_path))))
        assert (seen, len(written.rows)) == ([1], 2)
        assert len(rows_of(tmp_path)) == 3
