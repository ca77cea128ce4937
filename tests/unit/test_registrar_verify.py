# ruff: noqa: S608 - the statements are made of the tests' own constants
"""Tampering: whatever is changed in a store, `verify` finds it and says where."""

import re
import shutil
from pathlib import Path

import apsw
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_registrar_store import RULES, make_note, make_row

from twin.errors import StoreError
from twin.registrar.active import Active
from twin.registrar.chain import ALONE, Batch, marks, note_leaf, record_leaves, root
from twin.registrar.present import dump_lines
from twin.registrar.present_verify import verification_document
from twin.registrar.record import Note, Row
from twin.registrar.store import Store
from twin.registrar.verification import Verification
from twin.registrar.verify import verify

FILE = "segment-000001.sqlite"
CHANGED_MARKS = "the marks of its rows were changed"
CHANGED_SCHEMA = "the number of its schema was changed"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of five batches: ten events and a note each."""
    folder = tmp_path_factory.mktemp("original") / "store"
    with Store(folder, RULES, "1") as store:
        for start in range(1, 51, 10):
            rows = [make_row(number) for number in range(start, start + 10)]
            store.write(rows, [make_note(f"poison/{start}")])
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy of it to be tampered with."""
    return Path(shutil.copytree(original, tmp_path / "store"))


def tampered(folder: Path, *statements: str) -> Verification:
    """Change the store behind the registrar's back, and verify it."""
    db = apsw.Connection(str(folder / FILE))
    for statement in statements:
        db.execute(statement)
    db.close()
    return verify(folder)


def test_an_untouched_store_is_intact(folder: Path) -> None:
    """Nothing is found in a store as it was written, and the last hash is the chain's end."""
    found = verify(folder)
    assert (found.good, found.batches, found.rows, found.notes) == (True, 5, 50, 5)
    db = apsw.Connection(str(folder / FILE))
    assert found.last_hash == db.execute("SELECT hash FROM batches WHERE batch = 5").get
    db.close()


def test_an_event_that_stands_twice_in_a_segment_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No index forbids it, and a registrar that recognised nothing would chain and sign it."""
    monkeypatch.setattr(Active, "holds_any", lambda *_: False)
    with Store(folder, RULES, "1") as store:
        store.write([make_row(60), make_row(61, id=make_row(7).id), make_row(62, source="s")])
    assert [one.message for one in verify(folder).breaks] == ["row 52 is the event of row 7 again"]


def test_a_store_in_use_can_be_verified(folder: Path) -> None:
    """A store is verified while the registrar writes to it."""
    with Store(folder, RULES, "1") as store:
        store.write([make_row(51)])
        assert verify(folder).good
        assert verify(folder).rows == 51


EVENT_EDITS = {
    "id": "'bot-2/events.v1.state/1'",
    "source": "'urn:other'",
    "type": "'t'",
    "subject": "'s'",
    "stream": "'OTHER'",
    "stream_seq": "999",
    "deliveries": "2",
    "event_ns": "event_ns + 1",
    "intended_ns": "0",
    "stream_ns": "0",
    "received_ns": "0",
    "bot": "'bot-2'",
    "code": "602",
    "severity": "30",
    "correlation": "'c'",
    "trace": "'t'",
    "headers": "headers || ' '",
    "payload": "replace(payload, 'boot_ok', 'boot_no')",
    "batch": "2",
}


@pytest.mark.parametrize("column", EVENT_EDITS)
def test_an_edited_event_is_found(folder: Path, column: str) -> None:
    """Whatever column of an event is changed, the break is told to the row."""
    found = tampered(folder, f"UPDATE events SET {column} = {EVENT_EDITS[column]} WHERE row = 25")
    assert [one.batch for one in found.breaks] == [3]
    assert found.breaks[0].message == "row 25 was changed"


@pytest.mark.parametrize(
    "column", ["key", "recorded_ns", "code", "severity", "detail", "body", "stream_seq"]
)
def test_an_edited_note_is_found(folder: Path, column: str) -> None:
    """Notes are covered like events."""
    value = "x'01'" if column == "body" else "'7'"
    found = tampered(folder, f"UPDATE notes SET {column} = {value} WHERE note = 2")
    assert [one.batch for one in found.breaks] == [2]


@pytest.mark.parametrize(
    "column", ["first_row", "rows", "first_note", "notes", "committed_ns", "rules", "version",
               "root", "previous", "hash"]
)  # fmt: skip
def test_an_edited_batch_is_found(folder: Path, column: str) -> None:
    """So is every number and hash of a batch."""
    found = tampered(folder, f"UPDATE batches SET {column} = '7' WHERE batch = 3")
    assert not found.good
    assert found.breaks[0].batch == 3


def test_a_deleted_event_is_named(folder: Path) -> None:
    """A missing row is told by its number."""
    found = tampered(folder, "DELETE FROM events WHERE row IN (17, 18)")
    assert found.breaks[0].batch == 2
    assert "row 17 is missing and 1 more" in found.breaks[0].message


def test_an_inserted_event_is_found(folder: Path) -> None:
    """A row that nobody wrote belongs to no batch, at the end or before the beginning."""
    copy = "INSERT INTO events SELECT {row}, 5, id || 'x', {rest} FROM events WHERE row = 50"
    rest = ", ".join((*Row._fields[1:], "kind"))
    found = tampered(folder, copy.format(row=51, rest=rest))
    assert "1 events after the last batch" in str(found.breaks[0])
    found = tampered(folder, "DELETE FROM events WHERE row = 51", copy.format(row=0, rest=rest))
    assert "inserted before row 1" in str(found.breaks[0])


def test_exchanged_events_are_found(folder: Path) -> None:
    """Rows that changed places, within a batch or over batches, are found."""
    swap = "UPDATE events SET row = {to} WHERE row = {of}"
    for one, other, batches in ((11, 12, [2, 2]), (11, 41, [2, 5])):
        steps = [swap.format(of=one, to=999), swap.format(of=other, to=one),
                 swap.format(of=999, to=other)]  # fmt: skip
        breaks = tampered(folder, *steps).breaks
        assert [found.batch for found in breaks] == batches
        assert [found.message for found in breaks] == [
            f"row {place} was changed" for place in (one, other)
        ]
        assert tampered(folder, *[steps[0], swap.format(of=other, to=one), steps[2]]).good


def test_a_batch_cut_out_is_found(folder: Path) -> None:
    """A batch that was removed with its rows and its link leaves a gap, at the beginning too."""
    for batch in (3, 1):
        found = tampered(
            folder,
            f"DELETE FROM events WHERE batch = {batch}",
            f"DELETE FROM notes WHERE batch = {batch}",
            f"DELETE FROM batches WHERE batch = {batch}",
        )
        messages = " ".join(map(str, found.breaks))
        assert f"batch {batch + 1}: batches {batch} to {batch} are missing" in messages


def test_a_batch_that_was_made_anew_is_found(folder: Path) -> None:
    """Who changes an event and recomputes its batch breaks the link of the next one."""
    db = apsw.Connection(str(folder / FILE))
    db.execute("UPDATE events SET code = 101, bot = 'bot-2' WHERE batch = 3")
    rows = db.execute("SELECT * FROM events WHERE batch = 3 ORDER BY row")
    leaves = record_leaves([one[:20] for one in rows], 1)
    found = (marks(leaves),)
    notes = db.execute("SELECT * FROM notes WHERE batch = 3")
    leaves += [note_leaf(one[0], one[1], Note(*one[2:-1])) for one in notes]
    *fields, _ = db.execute("SELECT * FROM batches WHERE batch = 3").fetchone() or ()
    forged = Batch(*fields)._replace(root=root(leaves))
    db.execute("UPDATE marks SET marks = ? WHERE batch = 3", found)
    db.execute("UPDATE batches SET root = ?, hash = ? WHERE batch = 3", (forged.root, forged.hash))
    db.close()
    (found,) = verify(folder).breaks
    assert str(found) == f"{FILE}, batch 4: does not follow the batch before it"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE marks SET marks = zeroblob(80) WHERE batch = 3", CHANGED_MARKS),
        ("UPDATE marks SET marks = CAST(marks || 'x' AS BLOB) WHERE batch = 3", CHANGED_MARKS),
        ("DELETE FROM marks WHERE batch = 3", CHANGED_MARKS),
        ("INSERT INTO marks VALUES (9, x'00')", "the marks of batch 9 belong to no events"),
    ],
)
def test_changed_marks_are_found(folder: Path, statement: str, message: str) -> None:
    """They prove nothing of the events, whose rows were not changed, but are what was written."""
    (found,) = tampered(folder, statement).breaks
    assert found.message == message


@pytest.mark.parametrize("column", ["rows", "notes"])
def test_a_batch_that_claims_more_than_memory_holds_is_found(folder: Path, column: str) -> None:
    """Nothing is made of the number but a message."""
    found = tampered(folder, f"UPDATE batches SET {column} = 1 << 62 WHERE batch = 5")
    held = {"rows": 10, "notes": 1}[column]
    more = f"is missing and {(1 << 62) - held - 1} more"
    assert any(more in one.message for one in found.breaks)
    statement = f"UPDATE batches SET {column} = 9223372036854775807"
    assert orjson.dumps(verification_document(tampered(folder, statement), None))


@pytest.mark.parametrize("value", ["'" + "9" * 5000 + "'", "CAST(x'eda080' AS TEXT)"])
def test_a_schema_that_is_no_number_is_refused(folder: Path, value: str) -> None:
    """Too many digits, or no text at all: it cannot be read, and that is said."""
    with pytest.raises(StoreError, match=r"has schema 0|cannot be read"):
        tampered(folder, f"UPDATE meta SET value = {value} WHERE name = 'schema'")
    with pytest.raises(StoreError):
        Store(folder, RULES, "1")


def test_a_schema_that_was_changed_is_named_first(folder: Path, tmp_path: Path) -> None:
    """Schema 4 has the same tables: read as that, notes alone are as good, and no row is."""
    edit = "UPDATE meta SET value = '4' WHERE name = 'schema'"
    with Store(tmp_path / "notes", RULES, "1") as store:
        store.write([], [make_note("poison/1")])
    for one in (tmp_path / "notes", folder):
        found = tampered(one, edit)
        assert [each.message for each in found.breaks][:1] == [CHANGED_SCHEMA]


def test_an_event_that_was_changed_with_its_mark_is_found(folder: Path) -> None:
    """Who makes the mark fit hides which row it was, not that its batch is no more what it was."""
    db = apsw.Connection(str(folder / FILE))
    db.execute("UPDATE events SET bot = 'bot-2' WHERE row = 25")
    rows = db.execute("SELECT * FROM events WHERE batch = 3 ORDER BY row")
    found = marks(record_leaves([one[:20] for one in rows], 1))
    db.execute("UPDATE marks SET marks = ? WHERE batch = 3", (found,))
    db.close()
    (found,) = verify(folder).breaks
    message = "the content of rows 21 to 30 or of their notes was changed"
    assert str(found) == f"{FILE}, batch 3: {message}"


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE events SET bot = 'b' WHERE row = 20", ["one of rows 17 to 24 was changed"]),
        ("UPDATE events SET bot = 'b' WHERE row = 137", ["row 137 was changed"]),
        ("DELETE FROM events WHERE row = 100", ["row 100 is missing"]),
        ("UPDATE events SET row = 600 WHERE row = 137", ["row 137 is missing"]),
    ],
)
def test_a_changed_event_of_a_large_batch_is_told_to_its_leaf(
    tmp_path: Path, statement: str, told: list[str]
) -> None:
    """One of the eight that share it; what is missing is told to the row, and no other is."""
    with Store(tmp_path, RULES, "1") as store:
        store.write([make_row(number) for number in range(1, ALONE + 10)])
    messages = [one.message for one in tampered(tmp_path, statement).breaks]
    assert messages[0] == told[0]
    assert not [one for one in messages[1:] if one.startswith(("row ", "one of"))]


@pytest.mark.parametrize(
    ("missing", "edited", "told"),
    [
        (10, 5, ["one of rows 1 to 8 was changed", "row 10 is missing"]),
        (10, 260, ["row 10 is missing", "one of rows 257 to 264 was changed"]),
        (260, 270, ["row 260 is missing", "one of rows 265 to 272 was changed"]),
    ],
)
def test_all_changes_of_a_batch_are_told_the_first_one_first(
    tmp_path: Path, missing: int, edited: int, told: list[str]
) -> None:
    """What is missing hides no change of what is left, and does not come before it."""
    with Store(tmp_path, RULES, "1") as store:
        store.write([make_row(number) for number in range(1, 301)])
    found = tampered(
        tmp_path,
        f"DELETE FROM events WHERE row = {missing}",
        f"UPDATE events SET bot = 'b' WHERE row = {edited}",
    )
    assert [one.message for one in found.breaks if "content" not in one.message][:2] == told


def test_an_event_filed_under_another_kind_is_found(folder: Path) -> None:
    """The numbers by which queries find types and codes are not hashed, but compared."""
    for statement in (
        "UPDATE events SET kind = kind + 1 WHERE row = 25",
        "UPDATE kinds SET type = 'other' WHERE kind = (SELECT kind FROM events WHERE row = 25)",
        "DELETE FROM kinds",
    ):
        (found,) = tampered(folder, statement).breaks
        assert "is not that of its type and code" in found.message


def test_a_damaged_index_is_found(folder: Path) -> None:
    """An index that no longer leads to its rows is damage, although the rows are intact."""
    db = apsw.Connection(str(folder / FILE))
    size, page = db.execute(
        "SELECT pgsize, pageno FROM dbstat WHERE name = 'events_bot' AND pagetype = 'leaf'"
    ).fetchone() or (0, 0)
    db.close()
    content = bytearray((folder / FILE).read_bytes())
    place = content.index(b"bot-1", (page - 1) * size)
    content[place : place + 5] = b"bot-7"
    (folder / FILE).write_bytes(content)
    (found, *_) = verify(folder).breaks
    assert "SQLite finds damage" in found.message


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP VIEW audit", "audit"),
        ("DROP INDEX events_key", "events_key"),
        ("CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM notes; END", "definition of t"),
        ("UPDATE rules SET text = text || ' '", "text of the rules"),
    ],
)
def test_a_changed_frame_is_found(folder: Path, statement: str, message: str) -> None:
    """Tables, indexes, views and the rules are what they should be."""
    found = tampered(folder, statement)
    assert message in str(found.breaks[0])


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    """A folder without segments, and a file that is no database, are errors of their own."""
    with pytest.raises(StoreError, match="no registrar store"):
        verify(tmp_path)
    (tmp_path / FILE).write_bytes(b"junk" * 4000)
    with pytest.raises(StoreError, match="cannot be read"):
        verify(tmp_path)


RECORDED = b'{"kind":"boot_ok","n":'


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_flipped_bit_never_goes_unnoticed(original: Path, data: st.DataObject) -> None:
    """Wherever a bit flips on disk: if a reader sees anything else than before, verify says so."""
    content = (original / FILE).read_bytes()
    recorded = [found.start() for found in re.finditer(re.escape(RECORDED), content)]
    place = data.draw(
        st.one_of(
            st.integers(0, len(content) - 1),
            st.builds(int.__add__, st.sampled_from(recorded), st.integers(0, 20)),
        )
    )
    flipped = bytearray(content)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    folder = original.parent / "flipped"
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_bytes(flipped)
    if seen(folder) != seen(original):
        assert not is_good(folder)


@pytest.mark.parametrize("left", [0, 1, 100, 8192, 50_000, -8192, -1])
def test_a_truncated_file_is_found(folder: Path, left: int) -> None:
    """A file that lost its end is no intact store."""
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[:left])
    assert not is_good(folder)


def seen(folder: Path) -> list[bytes] | None:
    """Return everything that a reader of a store sees, None when it cannot be read."""
    try:
        return list(dump_lines(folder))
    except StoreError:
        return None


def is_good(folder: Path) -> bool:
    """Tell whether verify finds nothing; a store that cannot be opened is not good."""
    try:
        return verify(folder).good
    except StoreError:
        return False
