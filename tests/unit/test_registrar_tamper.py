"""Whatever is done to a store behind the registrar's back, `twin registrar verify` names it."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from test_registrar_query import run
from test_registrar_store import RULES, make_note, make_row

from twin.errors import StoreError
from twin.registrar.keys import KEY_FILE, SigningKey
from twin.registrar.limits import Limits
from twin.registrar.schema import segment_path
from twin.registrar.statements import Tombstone, sign
from twin.registrar.store import Store
from twin.registrar.verify import store_id

EACH = Limits(segment_bytes=1)
NEWEST = 4


def filled(folder: Path) -> Path:
    """Return a store of four segments, with one batch of three events in each."""
    with Store(folder, RULES, "1", EACH) as store:
        for first in range(1, 3 * NEWEST, 3):
            store.write([make_row(number) for number in range(first, first + 3)])
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store, and its checkpoints kept elsewhere."""
    folder = tmp_path_factory.mktemp("tamper")
    store, kept = filled(folder / "store"), folder / "kept.jsonl"
    assert run("checkpoints", "--store", store, "-o", kept)[0] == 0
    return store, kept


def change(*statements: str) -> Callable[[Path], None]:
    """Return what changes the newest segment with Python's own SQLite."""

    def tamper(store: Path) -> None:
        db = sqlite3.connect(segment_path(store, NEWEST))
        for statement in statements:
            db.execute(statement)
        db.commit()
        db.close()

    return tamper


def swap(store: Path) -> None:
    """Let two segments change places."""
    one, two = segment_path(store, 2), segment_path(store, 3)
    aside = store / "aside"
    for source, target in ((one, aside), (two, one), (aside, two)):
        source.rename(target)


def remake(store: Path) -> None:
    """Record the same events anew, with another key."""
    shutil.rmtree(store)
    filled(store)


def retype(store: Path) -> None:
    """Turn the text of the rules into bytes, as one flipped bit can, past the strict table."""
    path = segment_path(store, NEWEST)
    loose = "UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = 'rules'"
    strict = "UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = 'rules'"
    for statement in (loose, "UPDATE rules SET text = CAST(text AS BLOB)", strict):
        db = sqlite3.connect(path)
        db.execute("PRAGMA writable_schema = ON")
        db.execute(statement)
        db.commit()
        db.close()


def bury(store: Path) -> None:
    """Edit an event, and hide all segments behind a tombstone that another key has signed."""
    change("UPDATE events SET payload = '{}' WHERE row = 11")(store)
    key, path = SigningKey.create(store / "other.pem"), segment_path(store, NEWEST)
    statement = Tombstone(
        store=store_id(store), key=key.public, signed_ns=1, batch=NEWEST, rows=12, notes=3,
        hash="0" * 64, number=1, segments=NEWEST, checkpoint=NEWEST, previous="0" * 64,
        reason="age", first_ns=1, last_ns=1, coverage=[],
    )  # fmt: skip
    db = sqlite3.connect(path)
    db.execute("INSERT INTO tombstones VALUES (1, ?, ?)", sign(key, statement))
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="is forged"):
        Store(store, RULES, "1", key=store.parent / "kept.pem")


def lay_log(store: Path, number: int, *statements: str) -> None:
    """Lay a write-ahead log with these changes beside a segment."""
    path = segment_path(store, number)
    aside = shutil.copy(path, store.parent / "aside.sqlite")
    db = sqlite3.connect(aside)
    for statement in statements:
        db.execute(statement)
    db.commit()
    log = Path(f"{aside}-wal")
    Path(f"{path}-wal").write_bytes(log.read_bytes() if statements else b"junk")
    db.close()


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "edited": (change("UPDATE events SET payload = '{}' WHERE row = 11"), "row 11 was changed"),
    "deleted": (change("DELETE FROM events WHERE row = 11"), "row 11 is missing"),
    "inserted": (
        change(
            "CREATE TEMP TABLE copy AS SELECT * FROM events WHERE row = 12",
            "UPDATE copy SET row = 13, id = 'forged'",
            "INSERT INTO events SELECT * FROM copy",
        ),
        "1 events after the last batch belong to no batch",
    ),
    "reordered": (
        change(
            "UPDATE events SET row = 99 WHERE row = 10",
            "UPDATE events SET row = 10 WHERE row = 11",
            "UPDATE events SET row = 11 WHERE row = 99",
        ),
        "row 10 was changed",
    ),
    "cut off": (
        lambda store: segment_path(store, NEWEST).unlink(),
        "an anchored checkpoint knows batch 4",
    ),
    "swapped": (swap, "it is segment 3 of its store"),
    "removed": (lambda store: segment_path(store, 2).unlink(), "segments 2 to 2 are missing"),
    "replaced key": (remake, "is signed by another key"),
    "lost rules": (
        change("DELETE FROM rules"),
        f"the text of the rules {RULES.hash[:12]} is missing",
    ),
    "renamed code": (
        change("UPDATE codes SET name = 'FINE' WHERE code = 610"),
        "the name of the code 610 was changed",
    ),
    "renamed severity": (
        change("UPDATE severities SET name = 'DEBUG' WHERE severity = 40"),
        "the names of the severities were changed",
    ),
    **{
        f"other {name}": (
            change(f"UPDATE meta SET value = '{value}' WHERE name = '{name}'"),  # noqa: S608 - ours
            "it does not begin after checkpoint 3",
        )
        for name, value in (("checkpoint", "9"), ("previous", "00"), ("signed", "9"))
    },
    "retold closing": (
        change("UPDATE notes SET detail = replace(detail, ':3,', ':\"3\",') WHERE code = 733"),
        "note 3 was changed",
    ),
    "forged tombstone": (
        change("INSERT INTO tombstones VALUES (1, '{}', x'00')"),
        "tombstone 1: is no tombstone",
    ),
    "foreign tombstone": (bury, "row 11 was changed"),
    "retyped": (retype, "the text of the rules"),
    "byte of a closed segment": (
        lambda store: flip(segment_path(store, 1)),
        "the file is not, byte for byte, what was closed",
    ),
    "byte of a closed segment beside a log": (
        lambda store: (flip(segment_path(store, 1)), lay_log(store, 1)),
        "the file is not, byte for byte, what was closed",
    ),
    "log beside a closed segment": (
        lambda store: lay_log(store, 1, "UPDATE codes SET meaning = 'fine'"),
        "a write-ahead log changes what was closed",
    ),
}


def flip(path: Path) -> None:
    """Flip one bit in the free space of its third page."""
    content = bytearray(path.read_bytes())
    content[2 * 8192 + 4096] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_tampering_is_named(
    original: tuple[Path, Path], tmp_path: Path, case: str
) -> None:
    """Exit code 1, and the first lines say where and what; the untouched store passes."""
    (source, kept), (tamper, message) = original, CASES[case]
    store = shutil.copytree(source, tmp_path / "store")
    assert run("verify", "--store", store, "--anchor", kept)[0] == 0
    key = store / KEY_FILE
    public = json.loads(run("verify", "--store", store, "--json")[1])["key"]
    key.rename(tmp_path / "kept.pem")
    tamper(store)
    arguments = ("--key", public) if case == "replaced key" else ("--anchor", kept)
    code, output = run("verify", "--store", store, *arguments)
    assert (code, message in output) == (1, True), output


def test_a_broken_account_hides_no_break(tmp_path: Path) -> None:
    """Where what was noted of holes is damaged, `--coverage` still has the places."""
    with Store(tmp_path / "s", RULES, "1") as store:
        store.write([make_row(1)], [make_note("gap/x", 0)._replace(code=441, detail="[]")])
    code, output = run("verify", "--store", tmp_path / "s", "--coverage")
    assert (code, "says of its streams is damaged" in output) == (4, True), output
    db = sqlite3.connect(segment_path(tmp_path / "s", 1))
    db.execute("UPDATE events SET bot = 'x'")
    db.commit()
    db.close()
    code, output = run("verify", "--store", tmp_path / "s", "--coverage")
    assert (code, "row 1 was changed" in output) == (1, True), output


def test_any_sqlite_tool_reads_the_store(original: tuple[Path, Path]) -> None:
    """The view of the guides, the documented tables and columns, with Python's own SQLite."""
    db = sqlite3.connect(f"file:{segment_path(original[0], 2)}?mode=ro", uri=True)
    query = "SELECT event_time, code, name, bot FROM audit WHERE code BETWEEN 100 AND 199 LIMIT 10"
    rows = list(db.execute(query))
    assert rows[0] == ("2026-01-01T00:00:04.000000000Z", 101, "BOOT_OK", "bot-1")
    assert len(rows) == 3
    counted = "SELECT name, count(*) FROM audit GROUP BY name"
    assert list(db.execute(counted)) == [("BOOT_OK", 3)]
    page = (Path(__file__).parents[2] / "docs" / "registrar.md").read_text(encoding="utf-8")
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE sql != ''"
                                             " AND type IN ('table', 'view')")]  # fmt: skip
    assert [name for name in tables if f"`{name}`" not in page] == []
    columns = [row[1] for row in db.execute("PRAGMA table_info(events)")]
    assert [name for name in columns if f"`{name}`" not in page] == []
    db.close()
