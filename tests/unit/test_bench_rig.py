"""The messages of the benchmarks: alike for all contenders, but no two of them the same."""

import os
from pathlib import Path

import pytest

from twin.bench.libnats import LibNats
from twin.bench.rig import SOURCES, Rig, Served, block
from twin.events.cloudevents import CloudEvent, decode


def test_every_event_has_an_id_and_a_time_of_its_own_and_one_of_the_bots() -> None:
    """What is remembered of one event (its parsed time, its source) does not serve the next."""
    events = [decode(block("run", number) + b"\r\n", b"{}") for number in range(2 * SOURCES)]
    good = [event for event in events if isinstance(event, CloudEvent)]

    assert len({event.id for event in good}) == 2 * SOURCES
    assert len({event.time for event in good}) == 2 * SOURCES
    assert len({event.source for event in good}) == SOURCES
    times = [event.time for event in good if event.time is not None]
    assert times == sorted(times)


async def test_every_clock_begins_with_what_was_written_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the turn before has left to be written costs nobody, the C client neither."""
    synced: list[str] = []
    monkeypatch.setattr(os, "sync", lambda: synced.append("all"))
    program = tmp_path / "libnats"
    program.write_text("#!/bin/sh\necho 2.0 0.5\n")
    program.chmod(0o700)
    rig = Rig(Served("", 0, os.getpid()), tmp_path)
    with rig.clock():
        assert len(synced) == 1
    turn = await LibNats(program).publish(rig, 1, "run")
    assert (len(synced), turn.clock.wall_s) == (2, 2.0)
