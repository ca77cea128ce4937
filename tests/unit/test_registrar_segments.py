"""A store of many files: rotation, retention, what is recognised, and stores of before."""

import json
import shutil
import time
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_registrar_store import RULES, make_note, make_row

from twin.registrar.coverage import coverage
from twin.registrar.filter import Filter
from twin.registrar.intervals import Intervals
from twin.registrar.keys import KEY_FILE
from twin.registrar.limits import Limits
from twin.registrar.lookup import SPAN_BITS
from twin.registrar.query import read_records
from twin.registrar.record import Note
from twin.registrar.schema import segments
from twin.registrar.store import Store, Written
from twin.registrar.verify import verify

EACH = Limits(segment_bytes=1)
"""A segment a batch."""

V1 = Path(__file__).parents[1] / "data" / "registrar_store_v1.sql"


def filled(folder: Path, batches: int, limits: Limits = EACH) -> Path:
    """Make a store of batches of five events."""
    with Store(folder, RULES, "1", limits) as store:
        for start in range(1, batches * 5 + 1, 5):
            store.write([make_row(number) for number in range(start, start + 5)])
    return folder


def made(schema: int, folder: Path) -> Path:
    """Make a signed store of an older schema: nine events and a note in three batches."""
    folder.mkdir()
    sample = V1.with_name(f"registrar_store_v{schema}.sql")
    db = apsw.Connection(str(folder / "segment-000001.sqlite"))
    db.execute(sample.read_text(encoding="utf-8"))
    db.close()
    (folder / KEY_FILE).write_bytes(sample.with_suffix(".pem").read_bytes())
    (folder / KEY_FILE).chmod(0o600)
    return folder


def names(folder: Path) -> list[int]:
    """Return the numbers of the segments."""
    return [int(path.stem[-6:]) for path in segments(folder)]


def sequences(folder: Path, **wanted: object) -> list[int]:
    """Return the stream sequences of what a query finds, in its order."""
    found = read_records(folder, Filter(**wanted))  # type: ignore[arg-type]
    return [one.stream_seq for one in found if one.kind == "event"]


def codes(written: Written) -> list[int]:
    """Return the codes of new notes, but for that on a segment just closed."""
    return [note.code for note in written.notes if note.code != 733]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of five segments."""
    return filled(tmp_path_factory.mktemp("segments") / "store", 5)


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(original, tmp_path / "store"))


def test_segments_are_one_store(folder: Path) -> None:
    """Each is closed with a checkpoint; chain, numbers and queries go over all of them."""
    assert names(folder) == [1, 2, 3, 4, 5]
    found = verify(folder)
    assert (found.breaks, found.segments, found.batches, found.rows) == ([], 5, 5, 25)
    assert (found.checkpoints, found.signed) == (5, 5)
    assert sequences(folder) == list(range(1, 26))
    assert sequences(folder, id="bot-1/events.v1.state/7") == [7]
    with Store(folder, RULES, "1", EACH) as store:
        store.write([make_row(26)])
        assert store.last_sequences == {"QIKI_EVENTS_V1": 26}
        assert store.size_bytes >= sum(path.stat().st_size for path in segments(folder))
    assert (names(folder)[-1], verify(folder).rows) == (6, 26)


def test_segments_follow_size_and_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment is closed when it is large enough, or old enough, and not before."""
    filled(tmp_path / "one", 20, Limits())
    assert names(tmp_path / "one") == [1]
    filled(tmp_path / "size", 60, Limits(segment_bytes=1_000_000))
    assert 2 <= len(names(tmp_path / "size")) <= 20
    with Store(tmp_path / "age", RULES, "1", Limits(segment_age_s=60)) as store:
        store.write([make_row(1)])
        store.write([make_row(2)])
        assert names(tmp_path / "age") == [1]
        later = time.monotonic_ns() + 61 * 10**9
        monkeypatch.setattr(time, "monotonic_ns", lambda: later)
        store.write([make_row(3)])
    assert names(tmp_path / "age") == [1, 2]


@pytest.mark.parametrize("days", [400, -400])
def test_a_clock_that_is_set_drops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """Ages are counted by a clock that never jumps; what is written meanwhile verifies."""
    really = time.time_ns
    limits = Limits(segment_bytes=1, keep_age_s=86_400.0)
    with Store(tmp_path / "s", RULES, "1", limits) as store:
        for number in range(1, 4):
            store.write([make_row(number)])
        monkeypatch.setattr(time, "time_ns", lambda: really() + days * 86_400 * 10**9)
        for number in range(4, 7):
            store.write([make_row(number)])
            store.tidy()
        monkeypatch.setattr(time, "time_ns", really)
        store.write([make_row(7), make_row(6, deliveries=2)])
    assert names(tmp_path / "s") == [1, 2, 3, 4, 5, 6, 7]
    found = verify(tmp_path / "s")
    assert (found.breaks, found.rows) == ([], 7)


def test_an_event_is_recognised_over_segments(folder: Path) -> None:
    """Duplicates, conflicts and redeliveries are told as if all segments were one file."""
    with Store(folder, RULES, "1", EACH) as store:
        again = store.write([make_row(8, stream_seq=30), make_row(31)])
        assert ([row.stream_seq for row in again.rows], codes(again)) == ([31], [440])
        conflict = store.write([make_row(14, stream_seq=32, payload='{"forged":1}')])
        assert codes(conflict) == [921]
        assert store.write([make_row(3, deliveries=2)]).redelivered == 1
        assert codes(store.write([make_row(99, stream_seq=12)])) == [922]
        store.write([], [make_note("poison/1")])
        store.write([make_row(40)])
        assert codes(store.write([], [make_note("poison/1")])) == []
    assert verify(folder).good


def test_how_far_an_event_is_recognised(folder: Path) -> None:
    """Past the horizon a second copy is a new event; a redelivery is recognised all the same."""
    with Store(folder, RULES, "1", Limits(segment_bytes=1, dedupe_segments=2)) as store:
        assert len(store.write([make_row(1, stream_seq=30)]).rows) == 1
        assert store.write([make_row(3, deliveries=2)]).redelivered == 1
    with Store(folder, RULES, "1", Limits(segment_bytes=10**9, dedupe_segments=2)) as store:
        assert len(store.write([make_row(24, stream_seq=31)]).rows) == 0


def test_old_segments_are_dropped_under_a_tombstone(folder: Path) -> None:
    """What is larger than allowed goes, oldest first; the rest is intact and says what is gone."""
    size = segments(folder)[0].stat().st_size
    with Store(folder, RULES, "1", Limits(segment_bytes=1, keep_bytes=3 * size)) as store:
        store.write([make_row(26)])
        assert store.size_bytes <= 3 * size + 200_000
    assert names(folder)[0] > 3
    found = verify(folder)
    assert (found.breaks, found.dropped) == ([], names(folder)[0] - 1)
    assert found.signed == found.tip.batch
    notes = list(read_records(folder, Filter(codes=((732, 732),))))
    assert '"reason":"size"' in str(notes[-1].payload)
    dropped = names(folder)[0]
    with Store(folder, RULES, "1", Limits(segment_bytes=1, keep_age_s=0.001)) as store:
        store.write([make_row(27)])
        store.write([make_row(28)])
    assert names(folder)[0] > dropped
    found = verify(folder)
    assert (found.breaks, found.dropped) == ([], names(folder)[0] - 1)


def test_a_drop_that_was_cut_short_is_finished(folder: Path, tmp_path: Path) -> None:
    """Files that a tombstone gives up but that are still there trouble nobody and go next time."""
    saved = shutil.copytree(folder, tmp_path / "saved")
    Store(folder, RULES, "1", Limits(keep_age_s=0.001)).close()
    assert names(folder) == [5]
    for path in segments(saved)[1:4]:
        shutil.copy(path, folder)
    found = verify(folder)
    assert (found.breaks, found.dropped, found.segments) == ([], 1, 4)
    with Store(folder, RULES, "1") as store:
        store.write([make_row(26)])
    assert names(folder) == [5]
    assert verify(folder).good


@pytest.mark.parametrize("number", [1, 4])
def test_a_file_under_the_name_of_a_dropped_one_is_found(
    folder: Path, tmp_path: Path, number: int
) -> None:
    """Who asks is answered from it: that a tombstone speaks of it vouches for no other content."""
    forged = tmp_path / "forged"
    with Store(forged, RULES, "1", EACH) as store:
        for seq in range(1, 6):
            store.write([make_row(seq, id=f"forged/{seq}")])
    Store(folder, RULES, "1", Limits(keep_age_s=0.001)).close()
    assert (names(folder), verify(folder).good) == ([5], True)
    shutil.copy(forged / f"segment-{number:06d}.sqlite", folder)
    assert not verify(folder).good
    shutil.copytree(
        forged, folder, dirs_exist_ok=True, ignore=lambda *_: ["lock", "segment-000005.sqlite"]
    )
    assert not verify(folder).good


def test_a_leftover_of_a_dropped_segment_is_held_to_its_tombstone(
    folder: Path, tmp_path: Path
) -> None:
    """An event of it that was edited is named."""
    saved = shutil.copytree(folder, tmp_path / "saved")
    Store(folder, RULES, "1", Limits(keep_age_s=0.001)).close()
    shutil.copy(segments(saved)[3], folder)
    with apsw.Connection(str(segments(folder)[0])) as db:
        db.execute("UPDATE events SET bot = 'x' WHERE row = (SELECT min(row) FROM events)")
    db.close()
    assert "was changed" in verify(folder).breaks[0].message


def test_a_rotation_that_was_cut_short_is_finished(folder: Path) -> None:
    """A new file that is still empty is made a segment when the store is opened."""
    (folder / "segment-000006.sqlite").touch()
    with Store(folder, RULES, "1", EACH) as store:
        store.write([make_row(26)])
    assert names(folder) == [1, 2, 3, 4, 5, 6]
    assert (verify(folder).breaks, verify(folder).rows) == ([], 26)


def test_a_file_of_another_name_is_no_segment(folder: Path) -> None:
    """Digits that Python knows besides 0 to 9 make no number of a segment."""
    (folder / "segment-\u00b2\u00b2\u00b2\u00b2\u00b2\u00b2.sqlite").touch()
    assert names(folder) == [1, 2, 3, 4, 5]
    assert verify(folder).good


def test_segments_that_are_missing_or_swapped_are_found(folder: Path, tmp_path: Path) -> None:
    """A segment removed, exchanged, renamed or taken from another store is named."""
    files = segments(folder)
    other = filled(tmp_path / "other", 5)
    spare = tmp_path / "spare"
    for change, message in (
        (files[2].unlink, "segment-000004.sqlite: segments 3 to 3 are missing"),
        (files[0].unlink, "segments 1 to 1 are missing without a tombstone"),
        (lambda: shutil.copy(segments(other)[2], files[2]),
         "segment-000003.sqlite: it belongs to another store"),
        (lambda: shutil.copy(files[1], files[2]), "segment-000003.sqlite: it is segment 2"),
    ):  # fmt: skip
        saved = shutil.copytree(folder, spare)
        change()
        assert message in str(verify(folder).breaks[0])
        shutil.rmtree(folder)
        saved.rename(folder)


def test_a_forged_tombstone_covers_nothing(folder: Path) -> None:
    """Without the key nobody can drop a segment and call it retention."""
    Store(folder, RULES, "1", Limits(keep_age_s=0.001)).close()
    db = apsw.Connection(str(segments(folder)[-1]))
    db.execute("UPDATE tombstones SET signature = zeroblob(64)")
    db.close()
    assert "segments 1 to 4 are missing without a tombstone" in str(verify(folder).breaks[0])


def test_a_store_of_before_is_read_and_continued(tmp_path: Path) -> None:
    """A one-file store of schema 1 is verified, queried, and goes on in a new segment, signed."""
    folder = tmp_path / "store"
    folder.mkdir()
    db = apsw.Connection(str(folder / "segment-000001.sqlite"))
    db.execute(V1.read_text(encoding="utf-8"))
    db.close()
    assert "nothing in it is signed" in str(verify(folder, key="0" * 64).breaks[0])
    before = (folder / "segment-000001.sqlite").read_bytes()
    found = verify(folder)
    assert (found.breaks, found.rows, found.notes, found.checkpoints) == ([], 9, 1, 0)
    assert sequences(folder, codes=((602, 602),)) == [5]
    with Store(folder, RULES, "2") as store:
        assert store.write([make_row(1, payload='{"n":1}')]).redelivered == 1
        assert store.write([make_row(6, stream_seq=20, payload='{"n":6}')]).notes[0].code == 440
        store.write([make_row(21)])
    assert names(folder) == [1, 2]
    assert (folder / "segment-000001.sqlite").read_bytes()[100:] == before[100:]
    assert (folder / KEY_FILE).exists()
    found = verify(folder)
    assert (found.breaks, found.rows, found.batches) == ([], 10, 5)
    assert found.signed == found.tip.batch


def gap(stream: str, number: int, **causes: list[list[int]]) -> Note:
    """Return a note on holes, as the registrar writes it."""
    detail = json.dumps(causes)
    return Note(f"gap/{stream}/{number}", number, 441, 20, stream, detail=detail)


def test_coverage_is_put_together_from_records_and_notes(tmp_path: Path) -> None:
    """Holes get the cause that was noted, `unknown` below and `open` above what was looked at."""
    stream = "QIKI_EVENTS_V1"
    with Store(tmp_path / "s", RULES, "1", EACH) as store:
        store.write([make_row(n) for n in (1, 2, 5, 6)], [make_note("poison/3", 3)])
        store.write([make_row(n) for n in (9, 12, 20)], covered={stream: 3})
        store.write([], [gap(stream, 1, filtered=[[4, 4]], down=[[7, 8, 50, 60]])])
        store.write([make_row(30)], covered={stream: 12})
        assert store.account(stream) == (12, [20, 30])
    found = [(one.first, one.last, one.cause, one.to_ns) for one in coverage(tmp_path / "s")]
    assert found == [
        (1, 3, "recorded", 0), (4, 4, "filtered", 0), (5, 6, "recorded", 0), (7, 8, "down", 60),
        (9, 9, "recorded", 0), (10, 11, "unknown", 0), (12, 12, "recorded", 0),
        (13, 19, "open", 0), (20, 20, "recorded", 0), (21, 29, "open", 0), (30, 30, "recorded", 0),
    ]  # fmt: skip


def test_what_was_unknown_once_stays_unknown(tmp_path: Path) -> None:
    """That it is gone from the stream later explains nothing."""
    stream = "QIKI_EVENTS_V1"
    with Store(tmp_path / "s", RULES, "1") as store:
        store.write([make_row(1), make_row(5)], [gap(stream, 1, unknown=[[2, 4]])])
        store.write([], [gap(stream, 2, expired=[[1, 3]])], covered={stream: 5})
    found = [(one.first, one.last, one.cause) for one in coverage(tmp_path / "s")]
    assert found == [(1, 1, "recorded"), (2, 4, "unknown"), (5, 5, "recorded")]


def test_coverage_outlives_retention(tmp_path: Path) -> None:
    """What dropped segments said of a stream's sequences is in the tombstone."""
    stream = "QIKI_EVENTS_V1"
    with Store(tmp_path / "s", RULES, "1", EACH) as store:
        store.write([make_row(n) for n in (1, 2, 5)])
        store.write([make_row(6)], [gap(stream, 1, filtered=[[3, 3]])], covered={stream: 6})
        store.write([make_row(7)])
    before = coverage(tmp_path / "s")
    Store(tmp_path / "s", RULES, "1", Limits(keep_age_s=0.001)).close()
    assert names(tmp_path / "s") == [3]
    assert coverage(tmp_path / "s") == before
    assert [one.cause for one in before] == ["recorded", "filtered", "unknown", "recorded"]


def test_a_stream_that_began_anew_is_covered_twice(tmp_path: Path) -> None:
    """After a rollback sequences are given out again, and accounted for by themselves."""
    with Store(tmp_path / "s", RULES, "1", EACH) as store:
        store.write([make_row(n) for n in range(1, 11)])
        store.write([make_row(n + 100, stream_seq=n) for n in (8, 9, 11)])
        assert store.account("QIKI_EVENTS_V1") == (7, [8, 9, 11])
        store.observe_stream("QIKI_EVENTS_V1", 4, 11, 5)
        assert store.account("QIKI_EVENTS_V1") == (4, [])
        store.write([make_row(205, stream_seq=5)])
    found = [(one.epoch, one.first, one.last, one.cause) for one in coverage(tmp_path / "s")]
    assert found == [
        (1, 1, 10, "recorded"), (2, 8, 9, "recorded"), (2, 10, 10, "unknown"),
        (2, 11, 11, "recorded"), (3, 5, 5, "recorded"),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5)), max_size=15))
def test_intervals_are_sets(spans: list[tuple[int, int]]) -> None:
    """Intervals hold what was added, and their holes are the rest, in whatever order it comes."""
    known = Intervals()
    for first, length in spans:
        known.add(first, first + length)
    held = {n for first, length in spans for n in range(first, first + length + 1)}
    assert {n for first, last in known for n in range(first, last + 1)} == held
    holes = {n for first, last in known.holes(3, 44) for n in range(first, last + 1)}
    assert holes == {*range(3, 45)} - held
    assert {n for a, b in known.within(10, 20) for n in range(a, b + 1)} == held & {*range(10, 21)}
    known.forget(15)
    assert {n for first, last in known for n in range(first, last + 1)} == held - {*range(16)}


@pytest.mark.parametrize("schema", [2, 3, 4])
def test_a_store_of_an_older_schema_is_read_and_continued(tmp_path: Path, schema: int) -> None:
    """With other indexes or leaves: it is verified, queried, and goes on in a new segment."""
    folder = made(schema, tmp_path / "store")
    found = verify(folder)
    assert (found.breaks, found.rows, found.notes, found.signed) == ([], 9, 1, 3)
    with Store(folder, RULES, "3") as store:
        again = store.write([make_row(1, payload='{"n":1}'), make_row(21)])
        assert (again.redelivered, len(again.rows)) == (1, 1)
        assert store.write([make_row(6, stream_seq=22, payload='{"n":6}')]).notes[0].code == 440
    assert names(folder) == [1, 2]
    assert sequences(folder, codes=((602, 602),)) == [5]
    assert sequences(folder, bot="bot-1") == [*range(1, 10), 21]
    assert sequences(folder, id=make_row(21).id) == [21]
    found = verify(folder)
    assert (found.breaks, found.rows, found.signed) == ([], 10, found.tip.batch)


@pytest.mark.parametrize("schema", [2, 3, 4])
def test_a_changed_event_of_an_older_schema_is_found(tmp_path: Path, schema: int) -> None:
    """Each has a leaf or a mark of its own there, by which it is told to the row."""
    folder = made(schema, tmp_path / "store")
    db = apsw.Connection(str(folder / "segment-000001.sqlite"))
    db.execute("UPDATE events SET subject = 's' WHERE row = 8")
    db.execute("UPDATE notes SET subject = 's'")
    db.close()
    messages = [one.message for one in verify(folder).breaks]
    assert messages == ["note 1 was changed", "row 8 was changed"]


def test_an_event_is_found_in_every_partition(tmp_path: Path) -> None:
    """More rows than an index partition holds: recognised, found by id, in order by bot."""
    folder, span = tmp_path / "store", 1 << SPAN_BITS
    with Store(folder, RULES, "3") as store:
        for start in (1, span):
            store.write(
                [
                    make_row(
                        number, bot=f"bot-{number % 3}", event_ns=-number, code=101 + number % 2
                    )
                    for number in range(start, start + span - 1)
                ]
            )
        for number in (5, 2 * span - 2):
            again = store.write([make_row(number, stream_seq=3 * span + number)])
            assert [note.code for note in again.notes] == [440]
    last = 2 * span - 2
    for number in (1, span - 1, span, last):
        assert sequences(folder, id=make_row(number).id) == [number]
    wanted = list(range(last, 0, -1))
    assert sequences(folder) == wanted
    assert sequences(folder, bot="bot-2") == [one for one in wanted if one % 3 == 2]
    both = sequences(folder, bot="bot-2", codes=((102, 102),))
    assert both == [one for one in wanted if one % 6 == 5]
    assert sequences(folder, type="t") == []
    assert len(sequences(folder, type=make_row(1).type, codes=((101, 101),))) == last // 2
    assert verify(folder).good
