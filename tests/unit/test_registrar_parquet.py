"""`twin registrar export`: tables as Parquet, and what happens without pyarrow."""

import sys
from pathlib import Path

import pyarrow.parquet
import pytest
from test_registrar_query import run
from test_registrar_store import RULES, make_note, make_row

from twin.registrar.limits import Limits
from twin.registrar.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments: an event of JSON, one of bytes and without a time of its own, a note."""
    folder = tmp_path_factory.mktemp("parquet") / "store"
    with Store(folder, RULES, "1.2.3", Limits(segment_bytes=1)) as opened:
        opened.write([make_row(1, code=602, severity=30, intended_ns=0)], [make_note("poison/1")])
        opened.write([make_row(2, payload=b"\x00\xff", bot="", event_ns=1_000_000_001)])
    return folder


def read(path: Path) -> list[dict[str, object]]:
    """Return the rows of a Parquet file, with times as nanoseconds since 1970."""
    table = pyarrow.parquet.read_table(path)
    times = [name for name in table.column_names if name.endswith("_time")]
    rows: list[dict[str, object]] = table.drop_columns(times).to_pylist()
    for name in times:
        for row, moment in zip(rows, table[name], strict=True):
            row[name] = moment.value
    return rows


def test_events_are_typed(store: Path, tmp_path: Path) -> None:
    """Names instead of numbers, times as times, payloads by their kind, over all segments."""
    out = tmp_path / "audit.parquet"
    assert run("export", "--store", store, "-o", out) == (0, f"2 events in {out}\n")
    schema = pyarrow.parquet.read_schema(out)
    assert str(schema.field("event_time").type) == "timestamp[ns, tz=UTC]"
    first, second = read(out)
    for name, value in {
        "row": 1, "id": "bot-1/events.v1.state/1", "code": 602, "name": "POWER_LOW",
        "category": "power", "severity": "WARN", "payload": '{"kind":"boot_ok","n":1}',
        "payload_bytes": None, "intended_time": None, "rules": RULES.hash, "version": "1.2.3",
    }.items():  # fmt: skip
        assert first[name] == value, name
    assert (second["payload"], second["payload_bytes"], second["bot"]) == (None, b"\x00\xff", "")
    assert second["event_time"] == 1_000_000_001


def test_notes_and_batches_too(store: Path, tmp_path: Path) -> None:
    """`--table` chooses; `--format` decides where the file's name does not."""
    notes, batches = tmp_path / "n.parquet", tmp_path / "batches"
    assert run("export", "--store", store, "--table", "notes", "-o", notes)[0] == 0
    assert [note["name"] for note in read(notes)] == ["POISON_MESSAGE", "SEGMENT_CLOSED"]
    arguments = ("--format", "parquet", "--table", "batches", "-o", batches)
    assert run("export", "--store", store, *arguments)[0] == 0
    assert [(batch["batch"], batch["rows"]) for batch in read(batches)] == [(1, 1), (2, 1)]
    code, output = run("export", "--store", store, "--table", "notes")
    assert (code, [line[:14] for line in output.splitlines()]) == (0, ['{"kind":"note"'] * 2)


def test_without_pyarrow_it_says_what_to_install(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing extra is bad usage with the remedy, and leaves no file; so is standard output."""
    assert run("export", "--store", store, "--format", "parquet")[0] == 2
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, output = run("export", "--store", store, "-o", tmp_path / "x.parquet")
    assert (code, "pip install 'twin[parquet]'" in output) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_the_old_file(store: Path, tmp_path: Path) -> None:
    """What was exported before stays until the new file is whole."""
    out = tmp_path / "audit.jsonl"
    out.write_text("old\n")
    broken = tmp_path / "store"
    broken.mkdir()
    for path in store.glob("segment-*.sqlite"):
        (broken / path.name).write_bytes(path.read_bytes())
    with (broken / "segment-000002.sqlite").open("r+b") as file:
        file.seek(8192)
        file.write(bytes(200_000))
    assert run("export", "--store", broken, "-o", out)[0] == 4
    assert out.read_text() == "old\n"
    assert {path.name for path in tmp_path.iterdir()} == {"audit.jsonl", "store"}
