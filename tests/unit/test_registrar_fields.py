"""What a store holds that no registrar writes: each command says where, or shows it as it is."""

import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from test_registrar_query import run
from test_registrar_store import RULES, make_note, make_row

from twin.errors import StoreError
from twin.registrar.coverage import coverage
from twin.registrar.evidence import write_pack
from twin.registrar.filter import Condition, Filter
from twin.registrar.follow import Follower
from twin.registrar.parquet import TABLES, write_parquet
from twin.registrar.present import (
    as_csv,
    as_json_lines,
    as_lines,
    as_table,
    dump_lines,
    stats_document,
    stats_table,
)
from twin.registrar.present_verify import verification_document
from twin.registrar.query import Found, read_records
from twin.registrar.schema import SCHEMA_VERSION, segment_path, tables
from twin.registrar.stats import store_stats
from twin.registrar.store import Store
from twin.registrar.verify import stored_checkpoints, verify

ODD = ("NULL", "1.5", "'x'", "x'00ff'", "9223372036854775807", "-1", "CAST(x'61ff' AS TEXT)", "''")
LOOSE = "replace(replace(sql, ') STRICT', ')'), ' NOT NULL', '')"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A segment, whose tables take any value anywhere."""
    folder = tmp_path_factory.mktemp("original")
    with Store(folder, RULES, "1") as store:
        store.write([make_row(number) for number in (1, 2, 3)], [make_note("poison/1")])
        store.write([make_row(4, code=602, severity=30, trace="t", payload=b"\xff")])
    with closing(sqlite3.connect(segment_path(folder, 1))) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA writable_schema = ON")
        db.execute(f"UPDATE sqlite_schema SET sql = {LOOSE} WHERE type = 'table'")  # noqa: S608 - ours
        db.commit()
    return segment_path(folder, 1).read_bytes()


def edited(original: bytes, folder: Path, *statements: str) -> Path:
    """Return a store in which these edits were made."""
    segment_path(folder, 1).write_bytes(original)
    with closing(sqlite3.connect(segment_path(folder, 1))) as db:
        db.execute("PRAGMA synchronous = OFF")
        for statement in statements:
            db.execute(statement)
        db.commit()
    return folder


def asked(**wanted: object) -> Callable[[Path], object]:
    """Return what asks a store, for people and for programs."""

    def ask(store: Path) -> None:
        found = list(read_records(store, Filter(**wanted)))  # type: ignore[arg-type]
        show(found)

    return ask


def show(found: list[Found]) -> None:
    """Print records in each format."""
    as_table(found)
    for form in (as_csv, as_json_lines, as_lines):
        list(form(found))


def tailed(store: Path) -> None:
    """Show what was recorded last."""
    show(Follower(store, Filter()).last(10))


def counted(store: Path) -> None:
    """Count, for people and for programs."""
    stats = store_stats(store)
    stats_table(stats)
    assert stats_document(stats)


READERS: dict[str, Callable[[Path], object]] = {
    "query": asked(),
    "query --bot": asked(bot="bot-1"),
    "query --code": asked(codes=((101, 101),)),
    "query --where": asked(where=(Condition("$.n", 1),)),
    "tail": tailed,
    "stats": counted,
    "export": lambda store: list(dump_lines(store)),
    "evidence": lambda store: write_pack(
        store, read_records(store, Filter()), {}, store / "out.zip", 0
    ),
    "checkpoints": lambda store: [one.line() for one in stored_checkpoints(store)],
    "verify --coverage": coverage,
}


def columns() -> Iterator[tuple[str, str]]:
    """Yield each column of each table."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(tables(SCHEMA_VERSION))
        for (table,) in list(db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")):
            yield from ((table, one[1]) for one in db.execute(f"PRAGMA table_info({table})"))


def test_whatever_a_column_holds_is_shown_or_said(original: bytes, tmp_path: Path) -> None:
    """An odd value in each column of each table: no reader fails in another way, none is killed."""
    for number, (table, column) in enumerate(columns()):
        odd = ODD[number % len(ODD)]
        edit = f"UPDATE {table} SET {column} = {odd} {'WHERE rowid > 1' if table == 'meta' else ''}"  # noqa: S608 - ours
        try:
            store = edited(original, tmp_path, edit)
        except sqlite3.Error:
            continue  # a key that SQLite itself holds to its kind
        readers = dict(READERS)
        if table in TABLES:
            readers["parquet"] = lambda one, name=table: write_parquet(one, name, one / "parquet")
        for reader, read in readers.items():
            try:
                read(store)
            except StoreError as error:
                place = f"{reader}: {column} of {table} is {odd}: {error}"
                assert "run `twin registrar verify`" in place, place
        assert verification_document(verify(store), None)["good"] is False


WRITTEN_ON = ("meta", "streams", "kinds", "checkpoints", "tombstones")
"""What a registrar reads of a segment in which it goes on."""


def test_who_goes_on_in_a_store_is_told_as_well(tmp_path: Path) -> None:
    """Whatever they hold, a registrar goes on or says that the store is damaged."""
    with Store(tmp_path, RULES, "1") as store:
        store.write([make_row(1)])
    with closing(sqlite3.connect(segment_path(tmp_path, 1))) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA writable_schema = ON")
        db.execute(f"UPDATE sqlite_schema SET sql = {LOOSE} WHERE type = 'table'")  # noqa: S608 - ours
        db.commit()
    original = segment_path(tmp_path, 1).read_bytes()
    for table, column in columns():
        for odd in ODD if table in WRITTEN_ON else ():
            try:
                edited(original, tmp_path, f"UPDATE {table} SET {column} = {odd}")  # noqa: S608 - ours
            except sqlite3.Error:
                continue  # a key that SQLite itself holds to its kind
            with suppress(StoreError), Store(tmp_path, RULES, "1") as store:
                store.write([make_row(2, type="new"), make_row(3)])
    edited(original, tmp_path, "UPDATE checkpoints SET statement = x'00'")
    with pytest.raises(StoreError, match="checkpoint 1 has 1 bytes as statement, which no regist"):
        Store(tmp_path, RULES, "1")
    edited(original, tmp_path, "UPDATE meta SET value = NULL WHERE name = 'key'")
    with pytest.raises(StoreError, match="name 'key' has NULL as value, which no registrar writes"):
        Store(tmp_path, RULES, "1")


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        ("events SET payload = 1.5 WHERE row = 2", "row 2 has 1.5 as payload"),
        ("events SET code = 9223372036854775807", "row 1 has 9223372036854775807 as code"),
        ("events SET severity = 35 WHERE row = 4", "row 4 has 35 as severity"),
        ("events SET bot = x'00ff' WHERE row = 3", "row 3 has 2 bytes as bot"),
        ("events SET id = CAST(x'61ff' AS TEXT)", "row 1 has 'a\ufffd' as id"),
        ("events SET event_ns = 'soon'", "row 1 has 'soon' as event_ns"),
        ("events SET stream_seq = NULL WHERE row = 4", "row 4 has NULL as stream_seq"),
        ("notes SET detail = x'7b7d'", "note 1 has 2 bytes as detail"),
    ],
)
def test_the_place_is_named(original: bytes, tmp_path: Path, edit: str, place: str) -> None:
    """The file, the record, the value and its column, and exit code 4; no file is left."""
    store, kept = edited(original, tmp_path, f"UPDATE {edit}"), tmp_path / "kept.zip"
    kept.write_text("before")
    path = segment_path(store, 1)
    message = f"{path}: {place}, which no registrar writes; run `twin registrar verify`"
    assert run("query", "--store", store) == (4, message)
    assert run("tail", "--store", store, "--format", "json") == (4, message)
    assert run("evidence", "--store", store, "-o", kept) == (4, message)
    assert (kept.read_text(), list(tmp_path.glob("*.part"))) == ("before", [])


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        ("events SET received_ns = 'x'", "row 1 has 'x' as received_ns"),
        (
            "events SET headers = CAST(x'61ff' AS TEXT) WHERE row = 4",
            "row 4 has 'a\ufffd' as headers",
        ),
        ("notes SET body = 1", "note 1 has 1 as body"),
        ("batches SET version = x'00ff' WHERE batch = 2", "batch 2 has 2 bytes as version"),
    ],
)
def test_no_part_of_an_export_is_left(
    original: bytes, tmp_path: Path, edit: str, place: str
) -> None:
    """What is exported takes every column: the place is named, and no file is made."""
    store, table = edited(original, tmp_path, f"UPDATE {edit}"), edit.partition(" ")[0]
    for out in ("x.jsonl", "x.parquet"):
        code, output = run("export", "--store", store, "-o", tmp_path / out, "--table", table)
        assert (code, f"{place}, which no registrar writes" in output) == (4, True), output
    assert [one.name for one in tmp_path.iterdir()] == [segment_path(store, 1).name]


def test_a_payload_that_is_no_json_is_told_where_json_is_asked_for(
    original: bytes, tmp_path: Path
) -> None:
    """Lines of JSON stay JSON and a condition is not answered; CSV has it as it is."""
    store = edited(original, tmp_path, "UPDATE events SET payload = '{' WHERE row = 2")
    code, output = run("query", "--store", store, "--format", "json")
    assert (code, "the payload of event 2 is no JSON" in output) == (4, True), output
    code, output = run("query", "--store", store, "--where", "n=1")
    assert (code, "row 2 has '{' as payload" in output) == (4, True), output
    assert ",{\n" in run("query", "--store", store, "--format", "csv")[1]


@pytest.mark.parametrize("row", ["9223372036854775807", "-9223372036854775808"])
def test_a_row_that_is_far_off_makes_no_endless_search(
    original: bytes, tmp_path: Path, row: str
) -> None:
    """Rows are dense: between the first and the last are no more than the file has bytes."""
    store = edited(original, tmp_path, f"UPDATE events SET row = {row} WHERE row = 2")  # noqa: S608 - ours
    code, output = run("query", "--store", store, "--bot", "bot-1")
    assert (code, "do not fit into" in output) == (4, True), output


def test_a_batch_that_claims_a_segment_takes_no_more_memory(tmp_path: Path) -> None:
    """`verify` and `evidence` hold a few events at a time, whatever a batch says it has."""
    content = "x" * 10_000
    with Store(tmp_path, RULES, "1") as store:
        for first in range(1, 1001, 100):
            store.write([make_row(at, payload=f'"{content}"') for at in range(first, first + 100)])
    with closing(sqlite3.connect(segment_path(tmp_path, 1))) as db:
        db.execute("UPDATE batches SET rows = 1000 WHERE batch = 1")
        db.commit()
    tracemalloc.start()
    try:
        found = verify(tmp_path)
        with pytest.raises(StoreError, match="batch 1 is not what was written"):
            write_pack(tmp_path, read_records(tmp_path, Filter(id=make_row(1).id)), {}, tmp_path, 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.breaks[0].batch == 1
    assert peak < 6_000_000
