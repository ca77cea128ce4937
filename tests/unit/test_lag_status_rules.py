"""Statuses from histories that a real server gave, and from what it seldom gives."""

import math
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
import pytest

from twin.events.subjects import Layout, SubjectSpace
from twin.jetstream.publisher import PublishCounts
from twin.lag.explain import advise
from twin.lag.history import History
from twin.lag.present import as_line, sparkline
from twin.lag.rates import drain_eta_s, redelivery_rate
from twin.lag.sample import ConsumerSample, Status
from twin.lag.status import StatusRules, assess
from twin.scenario.language.run_state import run_state

SPACE = SubjectSpace(Layout.PLATFORM, "")
RECORDED = Path(__file__).parent.parent / "data" / "lag_histories.jsonl"
INTERVAL_S = 0.15
SECOND = 1_000_000_000
RULES = StatusRules.every(1.0)
EXPECTED = {
    "healthy": ["OK"],
    "slow": ["OK", "WARN", "OK"],
    "stalled": ["OK", "STALLED", "OK"],
    "crashed": ["OK", "STALLED", "OK"],
    "deleted": ["OK", "MISSING", "OK"],
    "rewound": ["OK", "REWIND", "OK"],
    "paused": ["PAUSED", "OK"],
    "max-deliver": ["EXHAUSTED", "OK"],
    "terminated": ["OK", "EXHAUSTED", "OK"],
    "evicted": ["OK", "OVERRUN", "OK"],
    "expired-held": ["OK", "OVERRUN", "OK"],
    "saturated": ["OK", "SATURATED"],
    "silent-broker": ["OK", "UNKNOWN", "OK"],
}


def recorded() -> dict[str, list[ConsumerSample]]:
    """Return the recorded samples by history, without the status they had then."""
    rows = map(orjson.loads, RECORDED.read_bytes().splitlines())
    return {
        name: [
            ConsumerSample(**{k: v for k, v in row.items() if k not in ("history", "status")})
            for row in some
        ]
        for name, some in groupby(rows, lambda row: str(row["history"]))
    }


def sample(second: int, **known: object) -> ConsumerSample:
    """Return a sample of a consumer that has read nothing of ten messages, or as `known`."""
    usual: dict[str, object] = {
        "num_pending": 10,
        "num_ack_pending": 0,
        "delivered_seq": 0,
        "ack_floor": 0,
        "first_seq": 1,
        "last_seq": 10,
        "num_waiting": 1,
    }
    usual |= known
    usual.setdefault("backlog", int(str(usual["num_pending"])) + int(str(usual["num_ack_pending"])))
    return ConsumerSample(second * SECOND, "r", "S", "C", **usual)  # type: ignore[arg-type]


def status(*samples: ConsumerSample, rules: StatusRules = RULES) -> Status:
    """Return the status as of the last sample."""
    return assess(samples, samples[-1].wall_ns, rules).status


@pytest.mark.parametrize("name", EXPECTED)
def test_recorded_history_gives_its_own_status_and_no_other(name: str) -> None:
    """What a real server told in a situation gives that situation's status, and then clears."""
    history = History(StatusRules.every(INTERVAL_S))
    statuses = [history.add(one).status for one in recorded()[name]]
    assert [one for one, _ in groupby(statuses)] == EXPECTED[name]


def test_every_recorded_history_has_an_expectation() -> None:
    """No recorded history is left out, and every status is told in one of them."""
    assert recorded().keys() == EXPECTED.keys()
    assert {one for some in EXPECTED.values() for one in some} == set(Status)


def test_status_is_a_function_of_the_samples_alone() -> None:
    """The same samples give the same status, whenever and however often they are judged."""
    samples = [sample(second) for second in range(4)]
    first = assess(samples, 3 * SECOND, RULES)
    assert first == assess(tuple(samples), 3 * SECOND, RULES)
    assert first.status is Status.STALLED


def test_old_sample_is_unknown_whatever_it_said() -> None:
    """Samples that stopped coming give UNKNOWN, not what was true last."""
    samples = [sample(second) for second in range(4)]
    assert assess(samples, 60 * SECOND, RULES).status is Status.UNKNOWN


def test_no_progress_is_no_stall_before_the_window_is_full() -> None:
    """Two samples without progress are too few to speak of a stall; three are enough."""
    assert status(sample(0), sample(1)) is Status.OK
    assert status(sample(0), sample(1), sample(2)) is Status.STALLED


def test_stuck_head_is_no_stall_while_others_are_acknowledged() -> None:
    """One message held back keeps the ack floor, yet the consumer makes progress."""
    moving = [
        sample(n, delivered_seq=3 + n, num_pending=7 - n, num_ack_pending=3, max_ack_pending=100)
        for n in range(3)
    ]
    assert status(*moving) is Status.OK


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize(
    ("taken", "again", "expected"),
    [(6, 0, Status.OK), (5, 0, Status.STALLED), (5, 5, Status.STALLED)],
)
def test_a_look_at_a_full_hand_is_no_stall(
    taken: int, again: int, filtered: bool, expected: Status
) -> None:
    """Behind a stuck head, more taken than is held is progress; what is taken again is not."""

    def held(second: int, count: int, **more: int) -> ConsumerSample:
        return sample(second, num_ack_pending=count, filtered=filtered, **more)

    idle = [held(n, 3, delivered_seq=3, delivered_count=3) for n in range(2)]
    more = {"delivered_count": 3 + taken + again, "num_redelivered": again}
    passed_over = 10 if filtered else 0
    busy = held(2, 8, delivered_seq=3 + taken + passed_over, **more)
    assert status(*idle, busy) is expected


def test_stalled_and_full_is_stalled() -> None:
    """Ack pending at its maximum without progress is STALLED: a larger maximum would not help."""
    held = [sample(n, num_ack_pending=5, delivered_seq=5, max_ack_pending=5) for n in range(3)]
    assert status(*held) is Status.STALLED


def test_rollback_unseen_while_the_broker_was_away_is_a_rewind() -> None:
    """Counters that went back between two good polls give REWIND, however long they lie apart."""
    before = sample(0, delivered_seq=9, ack_floor=9, num_pending=1)
    away = before._replace(wall_ns=30 * SECOND, error="no answer", backlog=None)
    after = sample(60, delivered_seq=2, ack_floor=2, num_pending=0)
    history = History(RULES)
    assert [history.add(one).status for one in (before, away, after)] == [
        Status.OK,
        Status.UNKNOWN,
        Status.REWIND,
    ]


@pytest.mark.parametrize(("filtered", "expected"), [(True, Status.OK), (False, Status.OVERRUN)])
def test_evicted_messages_of_others_are_no_overrun(filtered: bool, expected: Status) -> None:
    """What leaves the stream unread is a loss only to a consumer without a filter."""
    some = [
        sample(n, filtered=filtered, first_seq=5 * n + 2, delivered_seq=n, ack_floor=n)
        for n in range(3)
    ]
    assert status(*some) is expected


def test_what_was_before_a_consumer_was_missing_does_not_count() -> None:
    """A durable made again after it was seen missing starts afresh: no REWIND."""
    before = sample(0, delivered_seq=9, ack_floor=9, num_pending=0)
    gone = before._replace(wall_ns=SECOND, error="it does not exist", missing=True, backlog=None)
    again = sample(2, num_pending=0)
    assert status(before, again) is Status.REWIND
    assert status(before, gone) is Status.MISSING
    assert status(before, gone, again) is Status.OK


def test_a_consumer_that_was_made_again_starts_afresh() -> None:
    """One of the same name with higher numbers is another: no progress, no rate over both."""
    old = [sample(n, delivered_seq=2, ack_floor=2, created="then") for n in range(2)]
    new = [sample(n, delivered_seq=9, ack_floor=9, created="now") for n in range(2, 5)]
    assert status(*old, *new[:1]) is Status.OK
    assert status(*old, *new[:2]) is Status.OK, "two looks at the new one are no window"
    assert status(*old, *new) is Status.STALLED, "its numbers rest"
    same = [one._replace(created="then") for one in new]
    assert status(*old, *same[:1]) is Status.OK
    assert drain_eta_s([*old, *new[:1]]) is None
    lower = sample(2, delivered_seq=1, ack_floor=1, created="now")
    assert status(*old, lower) is Status.REWIND


def test_what_the_old_one_left_is_no_loss_of_the_new_one() -> None:
    """A consumer made again has lost nothing of what was evicted from the hands of the old one."""
    old = sample(0, created="then")
    new = sample(1, first_seq=8, delivered_seq=7, ack_floor=7, evicted=3, created="now")
    assert status(old, new._replace(created="then")) is Status.OVERRUN
    assert status(old, new) is Status.OK


def storm(**step: int) -> list[ConsumerSample]:
    """Return three samples of a consumer that is given ten messages a second again and again."""
    return [
        sample(
            n,
            delivered_seq=5,
            num_ack_pending=5,
            num_redelivered=5,
            delivered_count=5 + 10 * n,
            ack_floor=step.get("settled", 0) * n,
        )
        for n in range(3)
    ]


def test_repeated_deliveries_are_a_storm_and_no_stall() -> None:
    """More repeats than settled messages warn of a storm; fewer are work as usual."""
    found = assess(storm(), 2 * SECOND, RULES)
    assert found.status is Status.WARN
    assert "redelivery storm: 20 deliveries" in found.reason
    assert status(*storm(settled=10)) is Status.OK
    assert status(*(one._replace(delivered_count=5) for one in storm())) is Status.STALLED


def test_a_stream_that_expired_unread_is_an_overrun() -> None:
    """With nothing left to read, what left undelivered is told for as long as other events."""
    before = sample(0, num_pending=5, num_ack_pending=5, delivered_seq=5, oldest_seq=1)
    gone = {"num_pending": 0, "delivered_seq": 5, "ack_floor": 5, "first_seq": 11}
    after = [sample(second, **gone) for second in range(1, 9)]
    found = assess([before, after[0]], SECOND, RULES)
    assert found.status is Status.OVERRUN
    assert found.reason == "5 messages left the stream before they were delivered"
    assert status(before, *after) is Status.OK
    read = after[0]._replace(delivered_seq=10, ack_floor=10)
    assert status(before, read) is Status.OK


def test_evicted_oldest_message_of_a_filter_is_an_overrun() -> None:
    """The known oldest unprocessed message below the stream's first is OVERRUN, filter or not."""
    a = sample(0, filtered=True, oldest_seq=4)
    assert status(a, sample(1, filtered=True, first_seq=6, oldest_seq=8)) is Status.OVERRUN


def test_ephemeral_without_acknowledgement_is_never_exhausted() -> None:
    """Under ack policy none the floor means nothing, nor before anything was delivered."""
    done = sample(0, ack_policy="none", num_pending=0, delivered_seq=10, delivered_count=10)
    assert status(done) is Status.OK
    assert status(done._replace(ack_policy="explicit")) is Status.EXHAUSTED
    assert status(done._replace(ack_policy="explicit", delivered_count=0)) is Status.OK


def test_eta_is_never_for_a_backlog_that_stands() -> None:
    """The drain ETA is 0 without backlog, infinite where it does not fall, else by its pace."""
    assert drain_eta_s([sample(0, num_pending=0)]) == 0.0
    assert drain_eta_s([sample(0)]) is None
    assert drain_eta_s([sample(0), sample(2)]) == math.inf
    assert drain_eta_s([sample(0), sample(2, num_pending=6)]) == pytest.approx(3.0)
    never = sample(0)._replace(drain_eta_s=math.inf)
    assert orjson.loads(as_line(never))["drain_eta_s"] is None


@pytest.mark.parametrize("unknown", [{"told": False}, {"error": "no answer"}])
def test_what_advisories_did_not_tell_is_no_zero_in_a_line(unknown: dict[str, Any]) -> None:
    """Where they cannot be heard, or the poll failed, counts of them are null."""
    counts = {"exhausted": 1, "terminated": 2, "naks": 3, "evicted": 4}
    told = sample(0, **counts)
    assert orjson.loads(as_line(told)).items() >= counts.items()
    deaf = orjson.loads(as_line(told._replace(**unknown)))
    assert {name: deaf[name] for name in counts} == dict.fromkeys(counts)
    row = told._replace(**unknown).as_row()
    assert (row["exhausted"], row["terminated"]) == (None, None)
    assert told.as_row().items() >= {"exhausted": 1, "terminated": 2}.items()


@pytest.mark.parametrize("told", [True, False])
def test_a_condition_does_not_hold_on_what_advisories_did_not_tell(told: bool) -> None:
    """A count of messages given up has a value only where it can be heard."""
    known = run_state(True, PublishCounts(), [sample(0, exhausted=2, told=told)], {}, SPACE)
    assert known.get("consumer.r.exhausted") == (2.0 if told else None)
    assert known["consumer.r.backlog"] == 10.0


def test_redeliveries_are_deliveries_beyond_the_sequences_passed() -> None:
    """Six deliveries over two new sequences in two seconds are two redeliveries a second."""
    a = sample(0, delivered_seq=4, delivered_count=4)
    assert redelivery_rate([a, sample(2, delivered_seq=6, delivered_count=10)]) == 2.0


def test_advice_follows_littles_law() -> None:
    """100 in flight at 50/s are 2 s each: the maximum for twice the rate is 200."""
    usual = {"num_ack_pending": 100, "max_ack_pending": 100, "ack_wait_s": 3.0}
    a = sample(0, acked_count=0, **usual)
    b = sample(2, acked_count=100, **usual)._replace(status=Status.SATURATED)
    advice = " ".join(advise([a, b]))
    assert "twice the rate needs 200" in advice
    assert "ack_wait is 3 s: raise it to 4 s" in advice


def test_sparkline_scales_to_the_highest() -> None:
    """The highest value has the highest bar; nothing at all has the lowest."""
    assert sparkline([0, 7, 14]) == "▁▄█"
    assert sparkline([0, 0]) == "▁▁"


def test_truth_table_of_the_docs_names_every_status_in_order() -> None:
    """docs/lag.md has a row for each status, and none for another."""
    page = Path(__file__).parent.parent.parent / "docs" / "lag.md"
    rows = [line for line in page.read_text().splitlines() if line.startswith("| `")]
    assert sorted({row.split("`")[1] for row in rows}) == sorted(Status)


def behind(second: int, settled: int, **more: object) -> ConsumerSample:
    """Return a sample of a consumer that gets ten a second and has settled so many."""
    pending = 10 * (second + 1) - settled
    return sample(
        second,
        num_pending=pending,
        delivered_seq=settled,
        ack_floor=settled,
        oldest_age_s=9.0,
        **more,
    )


def test_falling_behind_warns_while_there_is_work() -> None:
    """Progress and growth in each interval is WARN; so are five with progress in some."""
    assert status(*(behind(n, n) for n in range(3))) is Status.WARN
    assert status(*(behind(n, n // 2) for n in range(3))) is Status.OK
    assert status(*(behind(n, n // 2) for n in range(6))) is Status.WARN


def test_who_has_just_come_back_is_not_warned_of() -> None:
    """After a crash or a pause the first progress clears the status, though the backlog grew."""
    gone = [behind(n, 0) for n in range(6)]
    assert status(*gone) is Status.STALLED
    assert status(*gone, behind(6, 5)) is Status.OK
    paused = [behind(n, 0, paused=True) for n in range(6)]
    assert status(*paused) is Status.PAUSED
    assert status(*paused, behind(6, 5)) is Status.OK
    assert status(*paused, *(behind(n, 0) for n in (6, 7, 8))) is Status.STALLED


def test_a_backlog_that_is_young_is_no_warning() -> None:
    """The last sample before a stall may be one more than the one before it by chance."""
    before, after = behind(1, 1), behind(2, 2)
    assert status(behind(0, 0), before, after) is Status.WARN
    young = before._replace(oldest_age_s=0.01)
    assert status(behind(0, 0), young, after) is Status.OK
