"""Crash campaigns on the store: power loss, a full disk, failed syncs, flipped bits.

The quick setting runs with all tests; `make crash-test` runs the long one (TWIN_CRASH=long).
Each campaign prints its counts.
"""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from powerless import Op, Recorder, disk_after, lay_out, recording
from test_registrar_store import RULES, make_note, make_row

from twin.errors import StoreError
from twin.registrar import archive as archive_module
from twin.registrar import store as store_module
from twin.registrar.limits import Limits
from twin.registrar.schema import open_writer, segments
from twin.registrar.store import Store
from twin.registrar.verify import verify

LONG = os.environ.get("TWIN_CRASH") == "long"
PIECES = 20 if LONG else 1
SMALL = Limits(segment_bytes=500_000, checkpoint_s=0.0)


def lived(folder: Path, vfs: Recorder, batches: int, limits: Limits = SMALL) -> list[int]:
    """Write batches of seven events and mark each that is acknowledged; return how far it came."""
    acknowledged = [0]
    with Store(folder, RULES, "1", limits) as store:
        for start in range(1, batches * 7 + 1, 7):
            rows = [make_row(n, payload=f'{{"n":"{"x" * 300}"}}') for n in range(start, start + 7)]
            store.write(rows, [make_note(f"poison/{start}")])
            store.tidy()
            acknowledged.append(start + 6)
            vfs.ops.append(Op("mark", offset=start + 6))
    return acknowledged


def recorded(folder: Path) -> list[int]:
    """Return the stream sequences of the recorded events in their order."""
    found = []
    for path in segments(folder):
        db = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
        found += [row[0] for row in db.execute("SELECT stream_seq FROM events ORDER BY row")]
        db.close()
    return found


def survived(folder: Path, acknowledged: int, dropping: bool = False) -> list[str]:
    """Open a store after a crash; return what is wrong with it.

    With `dropping` the first events may be gone.
    """
    try:
        with Store(folder, RULES, "2", SMALL) as store:
            store.write([make_row(100_000, stream="OTHER")])
    except StoreError as error:
        return [f"it does not open: {error}"]
    found = recorded(folder)[:-1]
    wrong = [str(one) for one in verify(folder).breaks]
    first = found[0] if dropping and found else 1
    if found != list(range(first, first + len(found))):
        wrong.append("rows are doubled or out of order")
    if len(found) < acknowledged:
        wrong.append(f"{acknowledged - len(found)} acknowledged events are lost")
    return wrong


@pytest.fixture(autouse=True)
def small_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the write-ahead log be moved into the database often."""
    monkeypatch.setattr(store_module, "CHECKPOINT_BYTES", 200_000)


def campaign(life: Path, ops: list[Op], count: int, after: Path, what: str) -> list[str]:
    """Lose power at so many moments of a life; return what went wrong."""
    chance = random.Random(count)
    wrong: list[str] = []
    for _ in range(count):
        past = ops[: chance.randrange(1, len(ops) + 1)]
        acknowledged = max((op.offset for op in past if op.kind == "mark"), default=0)
        lay_out(disk_after(past, chance), life, after)
        wrong += survived(after, acknowledged)
    syncs = sum(op.kind == "sync" for op in ops)
    print(f"{what}: {count} moments of {len(ops)} operations, {syncs} syncs: {len(wrong)} wrong")
    return wrong


def test_power_loss_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Whatever of the unsynced writes reaches the disk, torn too, the store is intact."""
    with recording() as vfs:
        lived(tmp_path / "life", vfs, 20)
    assert len(segments(tmp_path / "life")) > 2
    count = 3000 if LONG else 40
    assert campaign(tmp_path / "life", vfs.ops, count, tmp_path / "after", "power loss") == []


def test_power_loss_during_retention_is_no_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same while old segments are dropped: what is left always verifies."""
    limits = Limits(segment_bytes=400_000, keep_bytes=1_500_000, checkpoint_s=0.0)
    really = archive_module.remove
    with recording() as vfs:

        def remove(paths: list[Path]) -> None:
            for path in paths:
                for name in (f"{path}-wal", str(path)):
                    vfs.ops.append(Op("delete", name))
                vfs.ops.append(Op("settle"))
            really(paths)

        monkeypatch.setattr(archive_module, "remove", remove)
        lived(tmp_path / "life", vfs, 30, limits)
    assert verify(tmp_path / "life").dropped > 1
    chance = random.Random(7)
    count = 1500 if LONG else 20
    wrong: list[str] = []
    for _ in range(count):
        past = vfs.ops[: chance.randrange(1, len(vfs.ops) + 1)]
        lay_out(disk_after(past, chance), tmp_path / "life", tmp_path / "after")
        wrong += survived(tmp_path / "after", 0, dropping=True)
    print(f"power loss with retention: {count} moments: {len(wrong)} wrong")
    assert wrong == []


def test_a_store_without_syncs_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The campaign would notice: with `synchronous` off, acknowledged events are lost."""

    def careless(path: Path) -> apsw.Connection:
        db = open_writer(path)
        db.pragma("synchronous", "OFF")
        return db

    with recording() as vfs, monkeypatch.context() as patch:
        patch.setattr(store_module, "open_writer", careless)
        lived(tmp_path / "life", vfs, 20)
    wrong = campaign(tmp_path / "life", vfs.ops, 20, tmp_path / "after", "no syncs (control)")
    assert any("are lost" in one or "does not open" in one for one in wrong)


@pytest.mark.parametrize("kind", ["write", "sync"])
def test_a_failing_disk_ends_the_store_and_nothing_else(tmp_path: Path, kind: str) -> None:
    """A full disk or a failed sync, at any operation: an error at once, and nothing is lost."""
    folder = tmp_path / "life"
    with recording() as vfs:
        lived(folder, vfs, 12)
    total = sum(op.kind == kind for op in vfs.ops)
    places = range(1, total + 1, 1 if LONG else max(1, total // 12))
    wrong: list[str] = []
    ended = 0
    for place in places:
        shutil.rmtree(folder)
        with recording() as vfs:
            vfs.fail = failing(kind, place)
            try:
                lived(folder, vfs, 12)
            except StoreError:
                ended += 1
        acknowledged = max((op.offset for op in vfs.ops if op.kind == "mark"), default=0)
        wrong += survived(folder, acknowledged)
    print(f"failing {kind}: {len(places)} of {total} places, {ended} ended: {len(wrong)} wrong")
    assert wrong == []
    assert ended > len(places) // 2


def failing(kind: str, place: int) -> Callable[[Op], None]:
    """Return what lets the disk refuse from one operation of a kind on."""
    seen = 0

    def fail(op: Op) -> None:
        nonlocal seen
        seen += op.kind == kind and "-shm" not in op.path
        if seen >= place and op.kind == kind:
            raise apsw.FullError("no space") if kind == "write" else apsw.IOError("no sync")

    return fail


TMPFS = """
import sys
from pathlib import Path
from test_registrar_crash import lived, recording, survived
from twin.errors import StoreError
folder = Path(sys.argv[1])
ballast = folder / "ballast"
ballast.write_bytes(bytes(500_000))
with recording() as vfs:
    try:
        lived(folder / "store", vfs, 1000)
    except StoreError as error:
        assert "full" in str(error), error
acknowledged = max(op.offset for op in vfs.ops if op.kind == "mark")
ballast.unlink()
print(acknowledged, survived(folder / "store", acknowledged))
"""


def test_a_full_file_system_ends_the_store_and_nothing_else(tmp_path: Path) -> None:
    """On a tmpfs without room left the write fails, and all that was acknowledged is there."""
    mount = f'mount -t tmpfs -o size=4m none {tmp_path} && exec {sys.executable} -c "$0" {tmp_path}'
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare on this machine")
    done = subprocess.run(
        [unshare, "-rm", "sh", "-c", mount, TMPFS],
        capture_output=True, text=True, timeout=240, check=False, cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this kernel lets nobody mount a tmpfs in a namespace of their own")
    assert not done.stderr
    acknowledged, wrong = done.stdout.split(maxsplit=1)
    assert (int(acknowledged) > 100, wrong) == (True, "[]\n")


@pytest.mark.parametrize("piece", range(PIECES))
def test_every_flipped_bit_and_every_cut_is_found(tmp_path: Path, piece: int) -> None:
    """In a closed segment every byte counts: no flip and no cut goes unnoticed."""
    folder = tmp_path / "store"
    with Store(folder, RULES, "1", Limits(segment_bytes=1)) as store:
        store.write([make_row(1)], [make_note("poison/1")])
        store.write([make_row(2)])
    path = segments(folder)[0]
    content = path.read_bytes()
    chance = random.Random(piece)
    count = len(content) if LONG else 150
    places = sorted(chance.sample(range(len(content)), count))[piece::PIECES]
    missed = []
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        if intact(folder):
            missed.append(place)
    lengths = range(0, len(content), 1 if LONG else len(content) // 60)[piece::PIECES]
    for length in lengths:
        path.write_bytes(content[:length])
        if intact(folder):
            missed.append(length)
    print(f"bit flips: {len(places)}, cuts: {len(lengths)}, missed: {len(missed)}")
    assert missed == []
    path.write_bytes(content)
    assert intact(folder)


def intact(folder: Path) -> bool:
    """Tell whether verify finds nothing; a store that cannot be opened is not intact."""
    try:
        return verify(folder).good
    except StoreError:
        return False


def test_clean_stores_raise_no_alarm(tmp_path: Path) -> None:
    """Stores of every shape, as they are written, verify."""
    count = 1000 if LONG else 15
    chance = random.Random(3)
    for number in range(count):
        folder = tmp_path / str(number)
        limits = Limits(
            segment_bytes=chance.choice([1, 400_000, 10**9]), checkpoint_s=chance.choice([0, 60])
        )
        with Store(folder, RULES, "1", limits) as store:
            at = 1
            for _ in range(chance.randrange(1, 7)):
                rows = [
                    make_row(n) for n in range(at, at + chance.choice([0, 1, 2, 63, 64, 65, 130]))
                ]
                again = rows[: chance.randrange(3)]
                notes = [make_note(f"{at}/{n}") for n in range(chance.randrange(3))]
                store.write(rows, notes)
                store.write([row._replace(deliveries=2) for row in again])
                at += len(rows)
        assert verify(folder).breaks == [], number
        shutil.rmtree(folder)
    print(f"clean stores: {count}, false alarms: 0")
