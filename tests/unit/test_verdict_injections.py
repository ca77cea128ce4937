"""Injected messages: nothing unexpected, and judged by what became of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from verdict_folder import START_NS, Folder, S, healthy
from verdict_mutations import judged

from twin.verdict.result import Verdict

POISON, RECORDED = 9001, 9002
"""Places in the stream EVENTS of what is injected with an identity of its own."""
AGAIN = 9003
STATE = (2, 7)
"""The event that is injected once more: source and sequence."""


def injection(place: int, expected: str, **more: Any) -> dict[str, Any]:
    """Return a line of the journal of injected messages."""
    number = place - 9000
    return {
        "fault": number,
        "kind": expected,
        "expected": expected,
        "outcome": "stored",
        "stream": "EVENTS",
        "stream_seq": place,
        "subject": "qiki.events.v1.state",
        "id": f"injected/{number}/1",
        "source": "urn:twin:20260101-000000-synthetic-0001:injected",
        "hash": 0,
        "wall_ns": START_NS + 5 * S,
        "error": "",
    } | more


def injected() -> Folder:
    """Return a healthy run with one poison, one event of a stranger, and one event again."""
    folder = healthy()
    run = folder.manifest["run_id"]
    for place, code in ((POISON, 920), (RECORDED, 220)):
        named = {
            "subject": "qiki.events.v1.state",
            "run": run,
            "msg_id": f"injected/{place - 9000}/1",
            "source": f"urn:twin:{run}:injected",
        }
        for table in ("stored", "observed"):
            folder.phantom(table, named, place)
        folder.observed["code"][-1] = code
    folder.append("stored", *STATE, stream_seq=AGAIN, time_ns=START_NS + 6 * S)
    digest = int(folder.stored["hash"][folder.where("stored", *STATE)])
    folder.injected = [
        injection(POISON, "quarantined"),
        injection(RECORDED, "recorded"),
        injection(AGAIN, "deduplicated", hash=digest),
        injection(9004, "dropped", outcome="dropped", stream_seq=3),
        injection(9005, "refused", outcome="refused", stream_seq=0),
    ]
    return folder


def drop_row(table: str, place: int) -> Callable[[Folder], None]:
    """Return what takes an injected message out of a table."""

    def damage(folder: Folder) -> None:
        rows = getattr(folder, table)
        setattr(folder, table, rows[rows["stream_seq"] != place])
        lines = folder.stream_strange if table == "stored" else folder.observed_strange
        lines[:] = [line for line in lines if line["stream_seq"] != place]

    return damage


def recode(folder: Folder) -> None:
    """Let the registrar take poison for an event."""
    folder.observed["code"][folder.observed["stream_seq"] == POISON] = 220


def record_twice(folder: Folder) -> None:
    """Let the registrar record the repeated event again."""
    folder.append("observed", *STATE, stream_seq=AGAIN)


def alter(folder: Folder) -> None:
    """Let the stream hold something else than what was injected."""
    folder.stored["hash"][folder.stored["stream_seq"] == RECORDED] = 5


def forget(folder: Folder) -> None:
    """Let nobody know of the injections."""
    folder.injected = []


def let_through(folder: Folder) -> None:
    """Let the broker store what it should have dropped."""
    folder.injected[3] |= {"outcome": "stored"}


def test_injected_messages_are_known_and_pass(tmp_path: Path) -> None:
    """With all of them where they belong the run passes, each fault has its check."""
    result = judged(injected(), tmp_path)
    assert result.reasons == ()
    checks = [one for one in result.expectations if one.name.startswith("injected ")]
    assert len(checks) == 5
    assert all(one.ok for one in checks)
    assert result.totals is not None
    assert result.totals.stored == result.totals.acknowledged


def test_the_registrar_may_have_either_copy(tmp_path: Path) -> None:
    """Who recorded the second copy only, as after a redelivery, is in no wrong place."""
    folder = injected()
    folder.change("observed", *STATE, stream_seq=AGAIN)
    assert judged(folder, tmp_path).reasons == ()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (drop_row("observed", POISON), "was recorded 0 times by registrar"),
        (drop_row("observed", RECORDED), "was recorded 0 times by registrar"),
        (drop_row("stored", RECORDED), "is not in the stream any more"),
        (recode, "was recorded by registrar under 220"),
        (record_twice, "duplicates: 1 event recorded more than once"),
        (alter, "unexpected: 1 event recorded but never attempted"),
        (forget, "unexpected: 2 events"),
        (let_through, "it was stored"),
    ],
)
def test_what_should_not_have_become_of_them_fails(
    damage: Callable[[Folder], None], told: str, tmp_path: Path
) -> None:
    """Poison that is lost or taken for an event, and an event that counts twice, are told."""
    folder = injected()
    damage(folder)
    result = judged(folder, tmp_path)
    assert result.verdict is Verdict.FAIL
    assert any(told in reason.message for reason in result.reasons), result.reasons
