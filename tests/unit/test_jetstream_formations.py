"""Events that share a reply subject are settled when each of them was answered, never before."""

import numpy as np
import pytest

from twin.jetstream.formations import FEWEST, MOST, MOST_REMEMBERED, Formations
from twin.jetstream.wire import Stored

S, OTHER = 7, 8
SIZE = 20
BASE = 1000


def slots_of(*numbers: int) -> np.ndarray:
    """Slots, or any other numbers."""
    return np.array(numbers, np.int64)


def stored(token: int, sequences: range | list[int], stream: int = S) -> Stored:
    """Plain acknowledgements with the same token."""
    count = len(sequences)
    return Stored(np.full(count, token), slots_of(*sequences), np.full(count, stream))


def formed(streams: list[int], slots: np.ndarray | None = None) -> tuple[Formations, np.ndarray]:
    """Let a source for each entry fly, proven where that is not 0; return all leaders."""
    formations = Formations()
    sources = np.arange(len(streams), dtype=np.uint32)
    proven = np.array(streams) != 0
    formations.prove(sources[proven], np.array(streams)[proven])
    slots = np.arange(len(streams)) if slots is None else slots
    return formations, formations.form(slots, sources, BASE)


def test_only_proven_sources_of_one_stream_fly_together() -> None:
    """Each stream's events have one leader, whoever has not been acknowledged alone goes alone."""
    _, leaders = formed([0, S, OTHER] * 10)
    assert leaders[0::3].tolist() == list(range(0, 30, 3))
    assert set(leaders[1::3].tolist()) == {1}
    assert set(leaders[2::3].tolist()) == {2}


def test_few_events_go_alone_and_many_in_several_formations() -> None:
    """The sizes of formations have both bounds."""
    _, few = formed([S] * (FEWEST - 1))
    assert few.tolist() == list(range(FEWEST - 1))
    _, many = formed([S] * (2 * MOST + FEWEST))
    assert sorted(set(many.tolist())) == [0, MOST, 2 * MOST]


def test_a_formation_is_stored_when_each_event_was_acknowledged() -> None:
    """In parts, between others' answers: complete with the last, in the order of sending."""
    slots = np.arange(SIZE)[::-1] + 50
    formations, leaders = formed([S] * SIZE, slots)
    token = BASE + int(leaders[0])
    rest, complete, broken = formations.take(stored(token, range(100, 100 + SIZE - 1)))
    assert (len(rest.tokens), complete, broken) == (0, [], [])
    last = stored(token, [100 + SIZE])
    rest, complete, broken = formations.take(
        Stored(*(np.concatenate((slots_of(3), column)) for column in last))
    )
    assert (rest.tokens.tolist(), broken) == ([3], [])
    ((whole, sequences),) = complete
    assert whole.tolist() == slots.tolist()
    assert sequences.tolist() == [*range(100, 100 + SIZE - 1), 100 + SIZE]
    assert token not in formations


@pytest.mark.parametrize(
    "answers",
    [
        stored(BASE, [*range(SIZE - 1), 3]),
        stored(BASE, [*range(SIZE - 1), SIZE - 2]),
        stored(BASE, range(SIZE + 1)),
        stored(BASE, range(SIZE), OTHER),
        stored(BASE, range(2), OTHER),
    ],
    ids=["falling", "same", "too many", "other stream", "part from another stream"],
)
def test_answers_that_may_not_be_theirs_store_nothing(answers: Stored) -> None:
    """Two answers for one event, or another stream's, are no proof for the rest."""
    formations, _ = formed([S] * SIZE)
    rest, complete, broken = formations.take(answers)
    assert (len(rest.tokens), complete, broken) == (0, [], [BASE])
    assert formations.dissolve(slots_of(BASE)).tolist() == list(range(SIZE))
    assert BASE not in formations


def test_an_unsound_answer_is_not_forgotten() -> None:
    """What another stream said first is not made good by what comes afterwards."""
    formations, _ = formed([S] * SIZE)
    formations.take(stored(BASE, range(2), OTHER))
    _, complete, broken = formations.take(stored(BASE, range(10, 10 + SIZE - 2)))
    assert (complete, broken) == ([], [BASE])


def test_a_doubted_source_goes_alone_until_it_is_proven_again() -> None:
    """After a formation was dissolved, its events have answers of their own."""
    formations, _ = formed([S] * SIZE)
    sources = np.arange(SIZE, dtype=np.uint32)
    formations.dissolve(slots_of(BASE))
    formations.doubt(sources)
    assert formations.form(np.arange(SIZE), sources, 2 * BASE).tolist() == list(range(SIZE))
    formations.prove(sources, np.full(SIZE, S))
    assert set(formations.form(np.arange(SIZE), sources, 3 * BASE).tolist()) == {0}


def test_a_repeat_is_remembered_for_the_event_that_it_was() -> None:
    """What a formation's answer called a duplicate is found again by stream and sequence, once."""
    formations, _ = formed([S] * SIZE)
    formations.repeated(BASE + 1, S, 4)
    formations.repeated(BASE, S, 5)
    formations.dissolve(slots_of(BASE))
    formations.repeated(BASE, S, 6)
    asked = [(S, 4), (S, 5), (OTHER, 6), (S, 6), (S, 6)]
    assert [formations.was_repeated(*one) for one in asked] == [False, True, False, True, False]


def test_no_more_than_so_many_repeats_are_remembered() -> None:
    """Where all of a long run are duplicates, the oldest are forgotten, the latest are not."""
    formations, _ = formed([S] * SIZE)
    for sequence in range(MOST_REMEMBERED + 2):
        formations.repeated(BASE, S, sequence)
    asked = (0, 1, 2, MOST_REMEMBERED + 1)
    assert [formations.was_repeated(S, one) for one in asked] == [False, False, True, True]


def test_nobody_flies_together_once_answers_cannot_be_counted() -> None:
    """Where somebody besides the streams answers, each event has a subject of its own."""
    formations, _ = formed([S] * SIZE)
    formations.allowed = False
    alone = formations.form(np.arange(SIZE), np.arange(SIZE, dtype=np.uint32), 2 * BASE)
    assert alone.tolist() == list(range(SIZE))
