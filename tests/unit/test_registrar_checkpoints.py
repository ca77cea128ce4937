# ruff: noqa: S608 - the statements are made of the tests' own constants
"""Signatures: what a checkpoint vouches for, and what shows that somebody else was at work."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import AsyncMock

import apsw
import pytest
from test_registrar_query import run
from test_registrar_store import RULES, make_row

from twin.errors import StoreError, UsageError
from twin.events.subjects import SubjectSpace
from twin.jetstream.message import Message
from twin.registrar import anchor
from twin.registrar.chain import Batch, marks, record_leaves, root
from twin.registrar.keys import KEY_FILE, SigningKey
from twin.registrar.limits import Limits
from twin.registrar.statements import Signed, read_checkpoint, sign
from twin.registrar.store import Store
from twin.registrar.verification import Verification
from twin.registrar.verify import verify

FILE = "segment-000001.sqlite"
EACH_BATCH = Limits(checkpoint_s=0.0)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Signed]]:
    """A store of five batches of ten events, each batch signed, and what was signed."""
    folder = tmp_path_factory.mktemp("signed") / "store"
    with Store(folder, RULES, "1", EACH_BATCH) as store:
        kept = [
            store.write([make_row(number) for number in range(start, start + 10)]).checkpoint
            for start in range(1, 51, 10)
        ]
    return folder, [one for one in kept if one is not None]


async def test_a_message_that_is_no_checkpoint_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may publish beside the registrar breaks nothing but this, and is named."""

    async def junk(*_: object) -> AsyncIterator[list[Message]]:
        yield [Message((b"qiki.registrar.v1.checkpoints.s", b"$JS.ACK.C.d.1.7.1.1.0", b"", b"{}"))]

    state = SimpleNamespace(state=SimpleNamespace(first_seq=7, last_seq=7))
    monkeypatch.setattr(anchor, "stream_info", AsyncMock(return_value=state))
    monkeypatch.setattr(anchor, "scan", junk)
    with pytest.raises(UsageError, match="message 7 of QIKI_CHECKPOINTS_V1 is no signed"):
        await anchor.fetch_anchors(AsyncMock(), SubjectSpace(), "s")


@pytest.fixture
def folder(original: tuple[Path, list[Signed]], tmp_path: Path) -> Path:
    """A copy of it to be tampered with."""
    return Path(shutil.copytree(original[0], tmp_path / "store"))


def changed(folder: Path, *statements: str) -> None:
    """Change the store behind the registrar's back."""
    db = apsw.Connection(str(folder / FILE))
    for statement in statements:
        db.execute(statement)
    db.close()


def without_batches(folder: Path, first: int) -> None:
    """Cut the end off cleanly, with its links and its checkpoints."""
    tables = ("events", "marks", "batches", "checkpoints")
    changed(folder, *(f"DELETE FROM {table} WHERE batch >= {first}" for table in tables))


def rewritten(folder: Path, first: int) -> None:
    """Change one event and make the chain anew from there, as somebody without the key can."""
    db = apsw.Connection(str(folder / FILE))
    db.execute(f"UPDATE events SET bot = 'bot-2' WHERE row = {first * 10}")
    for record in list(db.execute(f"SELECT * FROM batches WHERE batch >= {first}")):
        batch = Batch(*record[:-1])
        before = db.execute("SELECT hash FROM batches WHERE batch = ?", (batch.batch - 1,)).get
        rows = list(db.execute("SELECT * FROM events WHERE batch = ?", (batch.batch,)))
        leaves = record_leaves([one[:20] for one in rows], 1)
        found = (marks(leaves), batch.batch)
        db.execute("UPDATE marks SET marks = ? WHERE batch = ?", found)
        forged = batch._replace(root=root(leaves), previous=before)
        db.execute(
            "UPDATE batches SET root = ?, previous = ?, hash = ? WHERE batch = ?",
            (forged.root, forged.previous, forged.hash, forged.batch),
        )
    db.close()


def first_break(found: Verification) -> str:
    """Return the first place that is named."""
    assert not found.good
    return str(found.breaks[0])


def test_checkpoints_vouch_for_the_chain(original: tuple[Path, list[Signed]]) -> None:
    """An untouched store agrees with its own checkpoints and with those kept elsewhere."""
    folder, kept = original
    found = verify(folder, SigningKey.load(folder / KEY_FILE).public, kept)
    assert (found.breaks, found.checkpoints, found.signed, found.anchored) == ([], 5, 5, 5)
    assert [Signed.parse(one.line()) for one in kept] == kept


def test_a_chain_made_anew_contradicts_its_checkpoints(folder: Path) -> None:
    """Who has no key cannot rewrite what was signed: the first contradiction is named."""
    rewritten(folder, 3)
    assert first_break(verify(folder)) == (
        f"{FILE}, batch 3: checkpoint 3 was signed over something else"
    )


def test_a_chain_made_anew_without_its_checkpoints_contradicts_the_anchors(
    folder: Path, original: tuple[Path, list[Signed]]
) -> None:
    """If the checkpoints are removed as well, those kept elsewhere still show where it began."""
    rewritten(folder, 4)
    changed(folder, "DELETE FROM checkpoints WHERE batch >= 4")
    assert verify(folder).good
    found = verify(folder, anchors=original[1])
    assert "batch 4: is not what an anchored checkpoint says of it" in first_break(found)


def test_a_clean_cut_shows_against_an_anchor(
    folder: Path, original: tuple[Path, list[Signed]]
) -> None:
    """Batches that were cut off the end are missed by the last anchored checkpoint."""
    without_batches(folder, 4)
    assert verify(folder).good
    found = verify(folder, anchors=original[1][-1:])
    assert "batch 4: the end is cut off" in first_break(found)
    assert "knows batch 5, the store ends with batch 3" in first_break(found)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM checkpoints WHERE checkpoint = 2", "checkpoint 3 follows checkpoint 1"),
        ("UPDATE checkpoints SET signature = zeroblob(64) WHERE checkpoint = 2",
         "checkpoint 2 was not signed by its key"),
        ("UPDATE checkpoints SET statement = replace(statement, 'rows\":20', 'rows\":21')",
         "checkpoint 2 was not signed by its key"),
        ("UPDATE checkpoints SET batch = 4 WHERE checkpoint = 2", "checkpoint 2"),
        ("UPDATE checkpoints SET statement = '{}' WHERE checkpoint = 5", "is no checkpoint"),
        ("DELETE FROM checkpoints", "nothing in it is signed"),
    ],
)  # fmt: skip
def test_changed_checkpoints_are_found(folder: Path, statement: str, message: str) -> None:
    """Checkpoints cannot be edited, forged, exchanged or taken out."""
    changed(folder, statement)
    assert message in " ".join(map(str, verify(folder).breaks))


def test_a_replaced_key_is_found(folder: Path, original: tuple[Path, list[Signed]]) -> None:
    """A store made anew and signed by another key is not taken for the old one."""
    shutil.rmtree(folder)
    with Store(folder, RULES, "1", EACH_BATCH) as store:
        for start in range(1, 51, 10):
            store.write([make_row(number) for number in range(start, start + 10)])
    assert verify(folder).good
    public = SigningKey.load(original[0] / KEY_FILE).public
    (told,) = verify(folder, key=public).breaks
    assert "it is signed by another key" in told.message
    messages = " ".join(map(str, verify(folder, anchors=original[1]).breaks))
    assert "signed by another key" in messages
    assert "belongs to another store" in messages


def test_a_checkpoint_that_nobody_signed_is_no_anchor(
    folder: Path, original: tuple[Path, list[Signed]]
) -> None:
    """A forged anchor is named, not believed."""
    forged = original[1][0]._replace(signature=bytes(64))
    assert "anchors: checkpoint 1 was not signed" in first_break(verify(folder, anchors=[forged]))


@pytest.mark.parametrize("order", [1, -1])
def test_anchors_that_contradict_each_other_are_found(
    original: tuple[Path, list[Signed]], order: int
) -> None:
    """Who has the key can sign another end of a batch, but not take back what is kept elsewhere."""
    folder, (first, *_) = original
    other = read_checkpoint(first).model_copy(update={"hash": "0" * 64})
    forged = sign(SigningKey.load(folder / KEY_FILE), other)
    found = first_break(verify(folder, anchors=[first, forged][::order]))
    assert found == "anchors: two checkpoints contradict each other on batch 1"


def test_a_key_may_be_given_in_capitals(original: tuple[Path, list[Signed]]) -> None:
    """The digits of a public key are hexadecimal; what is no key is bad usage."""
    public = SigningKey.load(original[0] / KEY_FILE).public
    assert run("verify", "--store", original[0], "--key", public.upper())[0] == 0
    code, output = run("verify", "--store", original[0], "--key", public[1:])
    assert (code, "64 hexadecimal digits" in output) == (2, True)


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    """The key is made with mode 0600, in the folder or where it was asked for, and kept."""
    key = tmp_path / "elsewhere.pem"
    with Store(tmp_path / "a", RULES, "1", key=key) as store:
        store.write([make_row(1)])
        public = store.public_key
    assert key.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "a" / KEY_FILE).exists()
    with Store(tmp_path / "a", RULES, "1", key=key) as store:
        assert store.public_key == public
    Store(tmp_path / "b", RULES, "1").close()
    assert (tmp_path / "b" / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_the_folder_of_the_key_is_made(tmp_path: Path) -> None:
    """A key may lie in a folder that is not there yet; only its owner may look into it."""
    key = tmp_path / "keys" / "of" / "registrar.pem"
    Store(tmp_path / "a", RULES, "1", key=key).close()
    assert key.exists()
    assert key.parent.stat().st_mode & 0o777 == 0o700


def test_a_wrong_key_file_is_refused(tmp_path: Path) -> None:
    """Another key, one that others may read, none at all: the store is not opened."""
    folder, key = tmp_path / "store", tmp_path / "store" / KEY_FILE
    Store(folder, RULES, "1").close()
    saved = key.read_bytes()
    for change, message in (
        (lambda: key.chmod(0o640), "may be read by others"),
        (lambda: key.write_bytes(b"junk"), "no unencrypted private key"),
        (lambda: key.write_bytes(_another(tmp_path)), "is not the key of this store"),
        (key.unlink, "cannot be read: No such file"),
    ):
        change()
        with pytest.raises(StoreError, match=message):
            Store(folder, RULES, "1")
        key.write_bytes(saved)
        key.chmod(0o600)
    Store(folder, RULES, "1").close()


def _another(folder: Path) -> bytes:
    path = folder / "another.pem"
    SigningKey.create(path)
    return path.read_bytes()


def test_signing_follows_the_clock_and_the_end(tmp_path: Path) -> None:
    """Not every commit is signed, but the last one is when the store is closed."""
    with Store(tmp_path / "s", RULES, "1", Limits(checkpoint_s=3600)) as store:
        signed = [store.write([make_row(number)]).checkpoint for number in range(1, 6)]
        assert [one is not None for one in signed] == [True, False, False, False, False]
        assert store.write([make_row(6)], seal=True).checkpoint is not None
        store.write([make_row(7)])
    found = verify(tmp_path / "s")
    assert (found.good, found.checkpoints, found.signed) == (True, 3, 7)
