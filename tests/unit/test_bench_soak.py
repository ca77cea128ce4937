"""What a soak calls lost, doubled, reordered and altered."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twin.bench.rig import SOURCES, Clock, Turn
from twin.bench.soak import Copies, Memory, SoakResult
from twin.bench.traffic import Outcome
from twin.events.digest import payload_hash
from twin.verdict.journal import ATTEMPT, FileJournal

EVENTS = 2 * SOURCES
GOOD = SoakResult(
    events=10,
    kills=1,
    disconnects=1,
    resent=3,
    attempted=10,
    acknowledged=10,
    stored=10,
    recorded=10,
    lost=0,
    duplicates=0,
    reordered=0,
    corrupt=0,
    unexpected=0,
    publish_s=1.0,
    audit_s=2.0,
    peak_mib=80.0,
    growth_mib=1.0,
    server_downtime_s=(0.5,),
)


def body(source: int, seq: int) -> int:
    """Return the hash of an event's payload."""
    return payload_hash(b"%d/%d" % (source, seq))


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    """Two events of every source were attempted; nothing was found yet."""
    with FileJournal(tmp_path) as journal:
        rows = [(s, n, body(s, n), 0, 0, 0, 8) for n in (1, 2) for s in range(SOURCES)]
        journal.attempted(np.array(rows, ATTEMPT))
    return Copies.expecting(tmp_path, EVENTS)


def test_each_event_once_in_order_is_fine(copies: Copies) -> None:
    """However the sources interleave."""
    for source in reversed(range(SOURCES)):
        for seq in (1, 2):
            copies.add(source, seq, body(source, seq))
    assert (copies.found, copies.missing, copies.duplicates) == (EVENTS, 0, 0)
    assert (copies.reordered, copies.corrupt, copies.unexpected) == (0, 0, 0)


def test_each_kind_of_damage_is_counted(copies: Copies) -> None:
    """A swap, a second copy, another payload, a stranger, and all that is not there."""
    copies.add(0, 2, body(0, 2))
    copies.add(0, 1, body(0, 1))
    copies.add(1, 1, body(1, 1))
    copies.add(1, 1, body(1, 1))
    copies.add(2, 1, body(2, 2))
    copies.add(3, 3, body(3, 3))
    copies.add(SOURCES, 1, 0)
    assert (copies.reordered, copies.duplicates, copies.corrupt, copies.unexpected) == (1, 1, 1, 2)
    assert copies.missing == EVENTS - 4


@pytest.mark.parametrize(
    "change",
    [
        {"stored": 9},
        {"recorded": 11},
        {"acknowledged": 9},
        {"lost": 1},
        {"duplicates": 1},
        {"reordered": 1},
        {"corrupt": 1},
        {"unexpected": 1},
        {"growth_mib": 100.0},
        {"disconnects": 0},
    ],
)
def test_one_fault_is_enough_to_fail(change: dict[str, int]) -> None:
    """Unequal counts, any damage, growing memory, or a kill that was not felt."""
    assert GOOD.passed
    assert not replace(GOOD, **change).passed  # type: ignore[arg-type]


def test_memory_grows_from_the_second_quarter_on() -> None:
    """What is allocated once in the beginning is no growth."""
    flat = Memory([10.0, 50.0, 80.0, 80.0, 81.0, 80.0, 80.0, 80.0])
    rising = Memory([float(mib) for mib in range(80)])
    assert flat.growth_mib == 0.0
    assert rising.growth_mib == 40.0
    assert flat.peak_mib == 81.0


def test_a_ratio_is_that_of_the_rounds_not_of_the_medians() -> None:
    """A round in which the machine was slow for both does not change it."""

    def turns(*seconds: float) -> tuple[Turn, ...]:
        return tuple(Turn(100, Clock(s, {"client": s / 2})) for s in seconds)

    outcome = Outcome(
        {"twin, pipelined": turns(1.0, 5.0, 2.0), "nats-py publish_async": turns(4.0, 20.0, 8.0)}
    )
    assert outcome.ratio("twin, pipelined", "nats-py publish_async") == 4.0
    assert outcome.rate("twin, pipelined") == 50.0
    assert outcome.cpu_us("twin, pipelined") == {"client": 10_000.0}
    assert [(f.base, ratio) for f, ratio in outcome.floors()] == [("nats-py publish_async", 4.0)]
