"""`twin registrar tail`: the last records, and those that are being added."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from test_registrar_query import run
from test_registrar_store import RULES, make_note, make_row

from twin.errors import StoreError
from twin.registrar.filter import Filter
from twin.registrar.follow import Follower
from twin.registrar.limits import Limits
from twin.registrar.store import Store

SMALL = Limits(segment_bytes=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with a segment for each batch, events against the order of time, and a note."""
    with Store(tmp_path / "store", RULES, "1", SMALL) as opened:
        opened.write([make_row(1, event_ns=90), make_row(2, event_ns=80, code=602, severity=30)])
        opened.write([make_row(3, event_ns=70)], [make_note("poison/4")])
        yield opened


def numbers(text: str) -> list[int]:
    """Return the stream sequences of JSON lines; notes of segments are left out."""
    found = [json.loads(line) for line in text.splitlines()]
    return [one["stream_seq"] for one in found if one["code"] != 733]


def test_the_last_records_come_as_recorded(store: Store) -> None:
    """Not in the order of their event time, over segments, a batch's notes after its events."""
    code, output = run("tail", "--store", store.folder, "--format", "json")
    assert (code, numbers(output)) == (0, [1, 2, 3, 0])
    _, output = run("tail", "--store", store.folder, "-n", "1", "--bot", "bot-1", "--format", "csv")
    (record,) = csv.DictReader(io.StringIO(output))
    assert record["stream_seq"] == "3"
    _, output = run("tail", "--store", store.folder, "--range", "6xx")
    assert ("602 POWER_LOW" in output, len(output.splitlines())) == (True, 1)
    assert run("tail", "--store", store.folder, "-n", "0") == (0, "")


def test_what_is_added_is_seen_once(store: Store) -> None:
    """Batch by batch, over a rotation, each record once and only what matches."""
    every, warned = Follower(store.folder, Filter()), Follower(store.folder, Filter(severity=30))
    assert len(every.last(100)) == 5
    warned.last(0)
    assert list(every.more()) == list(warned.more()) == []
    store.write([make_row(5), make_row(6, severity=30)])
    store.write([make_row(7)])
    seen = [one.stream_seq for one in every.more() if one.code != 733]
    assert seen == [5, 6, 7]
    assert [one.stream_seq for one in warned.more()] == [6]
    assert list(every.more()) == list(warned.more()) == []


def test_following_outlives_retention(tmp_path: Path) -> None:
    """Segments that were dropped meanwhile are passed over; all that is left is seen."""
    limits = Limits(segment_bytes=1, keep_bytes=1_000_000)
    with Store(tmp_path / "store", RULES, "1", limits) as store:
        store.write([make_row(1)])
        follower = Follower(store.folder, Filter(bot="bot-1"))
        assert len(follower.last(10)) == 1
        for number in range(2, 20):
            store.write([make_row(number)])
        seen = [one.stream_seq for one in follower.more()]
    assert seen == list(range(seen[0], 20))
    assert seen[0] > 2


def test_following_ends_at_damage(store: Store) -> None:
    """A file that is there and cannot be read is an error, not an end of the news."""
    follower = Follower(store.folder, Filter())
    follower.last(1)
    store.write([make_row(5)])
    store.write([make_row(6)])
    closed = sorted(store.folder.glob("segment-*.sqlite"))[-2]
    closed.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match=closed.name):
        list(follower.more())


def test_following_ends_by_interrupt(store: Store) -> None:
    """`tail -f` prints what is added while it runs, until Ctrl-C, exit code 130."""
    argv = [sys.executable, "-m", "twin", "registrar", "tail", "-f", "--format", "json"]
    with subprocess.Popen(
        [*argv, "--store", store.folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert numbers("".join(lines(process.stdout, 5))) == [1, 2, 3, 0]
        store.write([make_row(9)])
        assert numbers("".join(lines(process.stdout, 1))) == [9]
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
        assert "Traceback" not in process.stderr.read()


def lines(stream: IO[str], count: int) -> Iterator[str]:
    """Return the next lines of a process."""
    return (stream.readline() for _ in range(count))
