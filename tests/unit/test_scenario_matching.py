"""Records of a service are matched with events by what the observer calls their key."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import apsw
import numpy as np
import pytest

from twin.errors import StoreError
from twin.events.digest import payload_hash
from twin.events.event import NO_SOURCE, SourceTable
from twin.events.subjects import SubjectSpace
from twin.jetstream.connection import Connection
from twin.scenario.evidence.matching import EventIndex, record_observed
from twin.scenario.evidence.rows import Row, at_path, read_rows, row_of
from twin.scenario.language.outside import Observer, Sql
from twin.verdict.journal import COPY
from twin.verdict.manifest import ObserverFacts

EVENTS = [b'{"n": 1, "id": "a"}', b'{"id": "a", "n": 1}', b'{"n": 2, "id": "b"}']


def observed(
    observer: Observer, records: list[object], out: Path
) -> tuple[ObserverFacts, list[tuple[int, int, bool]]]:
    """Return the facts, and (source, seq, whether the payload was as stored) of each record."""
    sources = SourceTable()
    source = sources.add("bot-1", "qiki.telemetry")
    index = EventIndex(observer, ())
    for seq, payload in enumerate(EVENTS, 1):
        index.add(source, seq, "qiki.telemetry", payload)

    async def rows() -> AsyncIterator[Row]:
        for record in records:
            yield row_of(record, observer)  # type: ignore[arg-type]  # JSON, as a file has it

    facts = asyncio.run(
        record_observed(
            "mine",
            rows(),
            index,
            sources=sources,
            run_id="run",
            space=SubjectSpace(),
            streams=("S",),
            out=out,
        )
    )
    table = np.fromfile(out / "mine.bin", COPY)
    hashes = [payload_hash(payload) for payload in EVENTS]
    found = []
    for row in table:
        whole = row["source"] != NO_SOURCE and int(row["hash"]) == hashes[int(row["seq"]) - 1]
        found.append((int(row["source"]), int(row["seq"]), bool(whole)))
    return facts, found


def test_hashes_are_a_multiset(tmp_path: Path) -> None:
    """Payloads that mean the same stand for one another; one too many is a duplicate."""
    observer = Observer(jsonl="x", key="hash")
    same = {"payload": {"id": "a", "n": 1}}
    facts, found = observed(observer, [same, same, same, {"payload": "{}"}], tmp_path)
    assert [one[:2] for one in found] == [(0, 1), (0, 2), (0, 2), (NO_SOURCE, 0)]
    assert facts.proves == ("lost", "duplicate", "unexpected")
    assert facts.rows_total == 4


def test_a_path_that_tells_events_apart_proves_their_order_too(tmp_path: Path) -> None:
    """Records name events by a value inside the payload; what no event has is unexpected."""
    observer = Observer(jsonl="x", key="payload.n", fields={"key": "number"})
    facts, found = observed(observer, [{"number": 2}, {"number": 9}], tmp_path)
    assert [one[:2] for one in found] == [(0, 3), (NO_SOURCE, 0)]
    assert "corrupt" not in facts.proves


def test_ids_with_payloads_prove_everything(tmp_path: Path) -> None:
    """An id says which event it is, and the payload's text whether it was altered."""
    records = [
        {"id": "bot-1/telemetry/1", "payload": EVENTS[0].decode()},
        {"id": "bot-1/telemetry/3", "payload": "{}"},
        {"id": "bot-1/telemetry/2", "source": "urn:twin:other:bot-1", "payload": "{}"},
    ]
    facts, found = observed(Observer(jsonl="x"), records, tmp_path)
    assert found == [(0, 1, True), (0, 3, False), (NO_SOURCE, 0, False)]
    assert set(facts.proves) == {"lost", "duplicate", "reordered", "corrupt", "unexpected"}
    facts, _ = observed(Observer(jsonl="x"), [{"id": "bot-1/telemetry/1"}], tmp_path)
    assert "corrupt" not in facts.proves


def test_a_file_that_is_no_json_lines_is_said_with_its_place(tmp_path: Path) -> None:
    """A torn or foreign line is an error, never fewer rows."""
    (tmp_path / "rows.jsonl").write_text('{"id": "x"}\n{"id": ')

    async def read() -> list[Row]:
        rows = read_rows(Observer(jsonl="rows.jsonl"), tmp_path, None, str)  # type: ignore[arg-type]
        return [row async for row in rows]

    with pytest.raises(StoreError, match=r"rows\.jsonl:2"):
        asyncio.run(read())


def test_paths_lead_through_objects_and_lists() -> None:
    """A path that leads nowhere is nothing, not an error."""
    value = {"a": [{"b": 1}]}
    assert at_path(value, "a.0.b") == 1  # type: ignore[arg-type]  # invariant dict
    assert at_path(value, "a.1.b") is None  # type: ignore[arg-type]


def read(observer: Observer, folder: Path) -> list[Row]:
    """Return all rows of an observer that needs no broker."""

    async def rows() -> list[Row]:
        nobody = cast("Connection", None)
        return [row async for row in read_rows(observer, folder, nobody, str)]

    return asyncio.run(rows())


def test_text_of_another_encoding_is_told(tmp_path: Path) -> None:
    """A database whose text is no UTF-8 cannot be read, which is no crash."""
    db = apsw.Connection(str(tmp_path / "log.sqlite"))
    db.execute("create table log(id); insert into log values (cast(x'ff' as text))")
    db.close()
    sql = Sql(database="log.sqlite", query="select id from log")
    with pytest.raises(StoreError, match=r"log\.sqlite.*utf-8"):
        read(Observer(sql=sql), tmp_path)


def test_a_blob_is_the_key_of_nothing(tmp_path: Path) -> None:
    """A key of bytes belongs to no event."""
    observer = Observer(jsonl="x", key="payload.id")
    _, found = observed(observer, [{"key": b"\xff\x00"}, {"key": "a"}], tmp_path)
    assert [source for source, _, _ in found] == [NO_SOURCE, 0]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n[]", "ended 498 bytes before its end"),
        (b"INFO {}\r\n", "gives no rows: INFO"),
    ],
)
def test_half_an_answer_and_another_protocol_are_told(
    answer: bytes, told: str, tmp_path: Path
) -> None:
    """What an endpoint did not send to its end is not taken for all that there is."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as client:
                client.recv(4096)
                client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(StoreError, match=told):
            read(Observer(http=url), tmp_path)
        thread.join()
