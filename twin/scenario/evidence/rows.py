"""Rows that a service recorded, read from where an observer says: file, HTTP, SQL or stream."""

import asyncio
import http.client
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import apsw
import orjson

from twin.errors import InfrastructureError, StoreError
from twin.events.headers import attribute, readable_headers
from twin.jetstream.api import stream_state
from twin.jetstream.connection import Connection
from twin.jetstream.scan import scan
from twin.scenario.language.outside import FIELDS, Observer

__all__ = ["Row", "at_path", "read_rows", "row_of"]

Json: TypeAlias = "str | int | float | bool | bytes | list[Json] | dict[str, Json] | None"
HTTP_S = 30.0
MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Row:
    """What one record says; None or 0 for what it does not. `payload` is text or JSON."""

    id: str
    source: str
    subject: str
    payload: Json
    key: Json
    stream: str
    stream_seq: int
    time_ns: int
    deliveries: int


def at_path(value: Json, path: str) -> Json:
    """Return what lies at `a.b.0.c` inside JSON, None where there is nothing."""
    for token in path.split("."):
        if isinstance(value, dict):
            value = value.get(token)
        elif isinstance(value, list) and token.isdigit() and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return value


def row_of(record: Json, observer: Observer) -> Row:
    """Return a record's fields, by the names that the observer gives them."""
    found: dict[str, Json] = {
        name: at_path(record, observer.fields.get(name, name)) for name in FIELDS
    }

    def text(name: str) -> str:
        value = found[name]
        return value if isinstance(value, str) else "" if value is None else str(value)

    def number(name: str) -> int:
        value = found[name]
        whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
        return int(str(value)) if whole else 0

    return Row(
        text("id"),
        text("source"),
        text("subject"),
        found["payload"],
        found["key"],
        text("stream"),
        number("stream_seq"),
        number("time_ns"),
        number("deliveries"),
    )


async def read_rows(
    observer: Observer, folder: Path, connection: Connection, stream: Callable[[str], str]
) -> AsyncIterator[Row]:
    """Yield what was recorded, in the order of recording; `folder` is where paths begin.

    `stream` gives a stream's name on the server. Raises StoreError when it cannot be read.
    """
    if observer.stream is not None:
        async for row in _of_stream(connection, stream(observer.stream)):
            yield row
        return
    for record in await _records(observer, folder):
        yield row_of(record, observer)


async def _records(observer: Observer, folder: Path) -> Iterable[Json]:
    if observer.jsonl is not None:
        return _lines(folder / observer.jsonl)
    if observer.http is not None:
        return _parsed(await asyncio.to_thread(_fetched, observer.http), observer.http)
    if observer.sql is None:
        return ()
    return _selected(folder / observer.sql.database, observer.sql.query)


def _lines(path: Path) -> Iterator[Json]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield _json(line, f"{path}:{number}")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error


def _fetched(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=HTTP_S) as answer:  # noqa: S310 - http only, checked
            data: bytes = answer.read(MOST_BYTES + 1)
            left: int = answer.length or 0
    except (OSError, http.client.HTTPException) as error:
        raise StoreError(f"{url} gives no rows: {str(error) or type(error).__name__}") from error
    if len(data) > MOST_BYTES:
        raise StoreError(f"{url} gives more than {MOST_BYTES} bytes")
    if left:
        raise StoreError(f"{url} ended {left} bytes before its end")
    return data


def _parsed(data: bytes, where: str) -> Iterator[Json]:
    if data.lstrip()[:1] == b"[":
        rows = _json(data, where)
        yield from rows if isinstance(rows, list) else ()
        return
    for number, line in enumerate(data.splitlines(), 1):
        yield _json(line, f"{where}:{number}")


def _json(data: bytes, where: str) -> Json:
    try:
        value: Json = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise StoreError(f"{where}: {error.msg}") from error
    return value


def _selected(path: Path, query: str) -> Iterator[Json]:
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:
        raise StoreError(f"{path} cannot be opened: {error}") from error
    try:
        cursor = db.execute(query)
        for values in cursor:
            names = [column[0] for column in cursor.getdescription()]
            yield {
                name: value if isinstance(value, str | int | float | bytes) else None
                for name, value in zip(names, values, strict=True)
            }
    except (apsw.Error, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        db.close()


async def _of_stream(connection: Connection, stream: str) -> AsyncIterator[Row]:
    try:
        state = await stream_state(connection, stream)
        async for batch in scan(connection, stream, state.first_seq, state.last_seq):
            for message in batch:
                headers = readable_headers(message.headers)
                yield Row(
                    attribute(headers, "id"),
                    attribute(headers, "source"),
                    attribute(headers, "subject"),
                    message.payload,
                    None,
                    "",
                    0,
                    message.timestamp_ns,
                    0,
                )
    except InfrastructureError as error:
        raise StoreError(f"stream {stream} cannot be read: {error}") from error
