"""Expectations on messages: missing, late and extra answers, order, and what proves nothing."""

from dataclasses import replace

import orjson
import pytest
from verdict_folder import START_NS

from twin.verdict.bus_expectations import Heard, Noted, check_bus
from twin.verdict.criteria import Expectation
from twin.verdict.result import Check

S, MS = 1_000_000_000, 1_000_000
PER = {"on": "answer", "per": "ask", "match": {"payload.of": "payload.id"}, "within": "1s"}


def noted(text: str) -> list[Noted]:
    """Read `a@100` as a message with key a after 100 ms; its id is the text."""
    pairs = (one.split("@") for one in text.split())
    return [Noted(f"{key}@{at}", START_NS + int(at) * MS, orjson.dumps([key])) for key, at in pairs]


def judged(answers: str, asks: str = "", *, why: str = "", **expectation: object) -> Check:
    """Judge one expectation over ten seconds."""
    one = Expectation.model_validate(expectation or PER)
    heard = Heard(one.name, START_NS + 10 * S, why, noted(answers), noted(asks))
    [check] = check_bus([one], [heard])
    return check


def test_each_cause_has_its_answer_in_time() -> None:
    """Answers are matched by key; a later cause with the same key has one of its own."""
    check = judged("b@250 a@300 a@5100", "a@0 b@200 a@5000")
    assert (check.ok, check.samples, check.note) == (True, 3, "")


@pytest.mark.parametrize(
    ("answers", "asks", "note"),
    [
        ("a@300", "a@0 b@100", "1 missing: b@100"),
        ("a@1300", "a@0", "1 late: a@1300 (1300 ms)"),
        ("a@300 a@400", "a@0", "1 extra: a@400"),
        ("a@300 z@400", "a@0", "1 extra: z@400"),
        ("a@300", "a@500", "1 missing: a@500; 1 extra: a@300"),
    ],
)
def test_missing_late_and_extra_are_told_by_id(answers: str, asks: str, note: str) -> None:
    """Each wrong answer or unanswered cause is named."""
    check = judged(answers, asks)
    assert check.ok is False
    assert check.note == note


def test_a_cause_at_the_end_is_not_missed_yet() -> None:
    """Whose time is not over when the run stops listening is not judged."""
    assert judged("a@300", "a@0 b@9500").ok is True


def test_how_many_answers_a_cause_may_have() -> None:
    """`count`, `min` and `max` are per cause; without a cause nothing is judged."""
    assert judged("a@1 a@2", "a@0", **PER, count=2).ok is True
    assert judged("a@1", "a@0", **PER, count=2).note == "1 missing: a@0"
    assert judged("", "a@0", **PER, max=1).ok is True
    assert judged("", "a@0", **PER, count=0).ok is True
    assert judged("a@5", "a@0", **PER, count=0).note == "1 extra: a@5"
    assert (judged("", "").ok, judged("", "").note) == (None, "no cause was seen")


def test_order_asks_for_one_before_each() -> None:
    """A message without an earlier one of its key is named."""
    order = {"on": "docked", "after": "approach", "match": {"payload.bot": "payload.bot"}}
    assert judged("a@500 a@700", "a@100", **order).ok is True
    assert judged("a@500 b@700", "a@100 b@900", **order).note == "1 without one before: b@700"
    assert judged("", "a@1", **order).ok is None


def test_counts_absence_and_what_was_not_listened_for() -> None:
    """Plain counts; a run that lost messages, or heard other things, judges nothing."""
    assert judged("a@1 b@2", on="x", count=2).ok is True
    assert judged("a@1", on="x", count=0).note == "there were 1"
    assert judged("a@1", on="x", count=1, why="the connection was lost").ok is None
    [check] = check_bus([Expectation.model_validate({"on": "x", "count": 1})], [])
    assert check.note == "the run did not listen for it"


@pytest.mark.parametrize(
    ("expectation", "words"),
    [
        ({"on": "x"}, "how many"),
        ({"on": "x", "per": "y", "within": "1s"}, "by `match`"),
        ({"on": "x", "per": "y", "match": {"payload.a": "payload.b"}}, "within"),
        ({"on": "x", "count": 1, "within": "1s"}, "need `per`"),
        ({"on": "x", "count": 1, "where": {"a.b": 1}}, "payload.a.b"),
        ({"count": 1}, "on audit, on lag"),
        ({"on": "x", "per": "y", "after": "z", "match": {"payload.a": "payload.b"}}, "either"),
    ],
)
def test_expectations_that_say_too_little_are_refused(
    expectation: dict[str, object], words: str
) -> None:
    """Each with what is missing."""
    with pytest.raises(ValueError, match=words):
        Expectation.model_validate(expectation)


def test_order_may_ask_for_one_not_long_before() -> None:
    """One approach does not excuse every docking to come: `within` says how old it may be."""
    order = {"on": "docked", "after": "approach", "match": {"payload.bot": "payload.bot"}}
    check = judged("a@500 a@5000 a@8100", "a@100 a@8000", **order, within="1s")
    assert (check.ok, check.note) == (False, "1 too long after it: a@5000")


def test_an_answer_before_its_cause_is_none_by_one_clock() -> None:
    """Only where two clocks told the times may an answer seem to come a little too early."""
    assert judged("a@480", "a@500").note == "1 missing: a@500; 1 extra: a@480"
    [early], asks = noted("a@480"), noted("a@500")
    heard = Heard("on answer per ask", START_NS + 10 * S, "", [replace(early, heard=True)], asks)
    [check] = check_bus([Expectation.model_validate(PER)], [heard])
    assert check.ok is True
