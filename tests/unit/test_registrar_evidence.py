"""Evidence packs: checked alone and offline; whoever tampers with one is found out."""

import json
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from test_registrar_query import run
from test_registrar_segments import made
from test_registrar_store import RULES, make_note, make_row

from twin.registrar.evidence import FORMAT
from twin.registrar.evidence_verifier import FORMATS, Refused, check
from twin.registrar.limits import Limits
from twin.registrar.store import Store

DATA = Path(__file__).parents[1] / "data"
Change = Callable[[dict[str, bytes]], None]
BATCH = b'[99,1,1,1,0,1,"r","1","00","00"]\n'


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Batches of one event, and one whose events share leaves; notes; two segments; few signed."""
    folder = tmp_path_factory.mktemp("evidence") / "store"
    odd = make_row(3, id='q"\\\u00e9\n\x07\x7f', payload=b"\x01\xff", code=602)
    for limits in (Limits(checkpoint_s=3600), Limits(checkpoint_s=3600, segment_bytes=1)):
        with Store(folder, RULES, "1", limits) as opened:
            if limits.segment_bytes == 1:
                opened.write([make_row(999, code=602)])
                continue
            opened.write([make_row(1, code=602)])
            opened.write([make_row(2)])
            opened.write([odd], [make_note("poison/1")])
            opened.write([make_row(n, code=602 if n % 140 == 0 else 101) for n in range(4, 604)])
    return folder


@pytest.fixture(scope="module")
def pack(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of the events of one code, and of the quarantined message."""
    out = tmp_path_factory.mktemp("pack") / "F.zip"
    code, output = run("evidence", "--store", store, "--code", "602", "--range", "9xx", "-o", out)
    assert (code, output.startswith("8 records in")) == (0, True)
    return out


def offline(pack: Path, folder: Path, *more: str) -> tuple[int, str]:
    """Check a pack with the verifier that is in it, in a bare interpreter elsewhere."""
    folder.mkdir(exist_ok=True)
    verifier = folder / "verify.py"
    with zipfile.ZipFile(pack) as content:
        verifier.write_bytes(content.read("verify.py"))
    blocked = (
        "import sys; sys.modules['twin'] = sys.modules['socket'] = None; sys.argv = sys.argv[1:]"
    )
    program = f"{blocked}; exec(compile(open(sys.argv[0]).read(), sys.argv[0], 'exec'))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(verifier), str(pack), *more],
        capture_output=True, text=True, timeout=240, check=False, cwd=folder,
    )  # fmt: skip
    assert not done.stderr
    return done.returncode, done.stdout


def test_a_pack_is_checked_alone(pack: Path, store: Path, tmp_path: Path) -> None:
    """The packed verifier, without this package and without network, accepts what is genuine."""
    key = json.loads(run("verify", "--store", store, "--json")[1])["key"]
    code, output = offline(pack, tmp_path, "--key", key)
    assert (code, output.startswith("8 records are what store")) == (0, True)
    assert key in output
    code, output = offline(pack, tmp_path)
    assert "whose key that is the pack cannot prove" in output
    code, output = offline(pack, tmp_path, "--key", "00" * 32)
    assert (code, "REFUSED: the pack is signed by" in output) == (1, True)
    with zipfile.ZipFile(pack) as content:
        assert len(content.read("verify.py").splitlines()) < 200
        records = [json.loads(line) for line in content.read("records.jsonl").splitlines()]
    shown = [(one["rows"], len(one["leaf"])) for one in records if "rows" in one]
    shared = [([row], 8) for row in range(140, 561, 140)]
    assert shown == [([1], 1), ([3], 1), *shared, ([604], 1)]
    assert [one["leaf"][:2] for one in records if "rows" not in one] == [["note", 1]]


def test_without_cryptography_the_verifier_says_so(pack: Path, tmp_path: Path) -> None:
    """In an interpreter without the one package that it needs, one line and no traceback."""
    verifier = tmp_path / "verify.py"
    with zipfile.ZipFile(pack) as content:
        verifier.write_bytes(content.read("verify.py"))
    argv = [sys.executable, "-S", "-I", str(verifier), str(pack)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith("nothing is checked without the package cryptography")


def test_it_is_said_how_many_others_a_pack_shows(store: Path, tmp_path: Path) -> None:
    """Events come with those of their leaves, alone only where their batch is small."""
    for where, told in (
        (("--code", "602"), "shows 28 others"),
        (("--id", "bot-1/events.v1.state/1"), ""),
    ):
        code, output = run("evidence", "--store", store, *where, "-o", tmp_path / "F.zip")
        assert (code, told in output, "others" in output) == (0, True, bool(told)), output


@pytest.mark.parametrize("schema", [3, 4])
def test_a_pack_of_segments_of_two_schemas_is_checked(tmp_path: Path, schema: int) -> None:
    """Leaves as JSON, leaves that few events share, and leaves of one event each."""
    folder = made(schema, tmp_path / "store")
    with Store(folder, RULES, "1") as opened:
        opened.write([make_row(number, code=602) for number in range(21, 32)], [make_note("p/2")])
    out = tmp_path / "F.zip"
    assert run("evidence", "--store", folder, "--code", "602", "--range", "9xx", "-o", out)[0] == 0
    code, output = offline(out, tmp_path / "elsewhere")
    assert (code, output.startswith("14 records are what store")) == (0, True), output
    with zipfile.ZipFile(out) as content:
        records = [json.loads(line) for line in content.read("records.jsonl").splitlines()]
    events = [["event", 5]] if schema == 3 else []
    as_json = [one["leaf"][:2] for one in records if "rows" not in one]
    assert as_json == [*events, ["note", 1], ["note", 2]]
    shown = [(one["rows"], len(one["leaf"])) for one in records if "rows" in one]
    older = [([5], 3)] if schema == 4 else []
    assert shown == [*older, *[([row], 1) for row in range(10, 21)]]


def edit(name: str, old: bytes, new: bytes) -> Change:
    """Return a change of one file."""

    def change(files: dict[str, bytes]) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new, 1)

    return change


def cut(name: str, line: int) -> Change:
    """Return a change that takes a line out."""

    def change(files: dict[str, bytes]) -> None:
        lines = files[name].splitlines(keepends=True)
        files[name] = b"".join(lines[:line] + lines[line + 1 :])

    return change


def twice(files: dict[str, bytes]) -> None:
    """Pack a record twice in the place of another."""
    lines = files["records.jsonl"].splitlines(keepends=True)
    files["records.jsonl"] = b"".join([lines[0], *lines[:-1]])


def moved(files: dict[str, bytes]) -> None:
    """Give a record the proof of another."""
    lines = [json.loads(line) for line in files["records.jsonl"].splitlines()]
    lines[4]["proof"], lines[5]["proof"] = lines[5]["proof"], lines[4]["proof"]
    files["records.jsonl"] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def as_dict(files: dict[str, bytes]) -> None:
    """Let the payload of bytes be a dictionary with another text in it."""
    edit("records.jsonl", b'["01ff"]', b'{"01ff":"a lie"}')(files)


def claimed_twice(files: dict[str, bytes]) -> None:
    """Claim a row once more, by a number that is equal."""
    edit("records.jsonl", b'"rows":[140]', b'"rows":[140,140.0]')(files)
    edit("manifest.json", b'"records": 8', b'"records": 9')(files)


def no_records(files: dict[str, bytes]) -> None:
    """Leave a pack that claims nothing."""
    files["records.jsonl"] = b""
    edit("manifest.json", b'"records": 8', b'"records": 0')(files)


def batch_twice(files: dict[str, bytes]) -> None:
    """Tell another time of a batch before the genuine one."""
    first = json.loads(files["batches.jsonl"].splitlines()[0])
    first[5] = 1
    files["batches.jsonl"] = json.dumps(first).encode() + b"\n" + files["batches.jsonl"]


TAMPERED: dict[str, tuple[Change, str]] = {
    "an edited event": (edit("records.jsonl", b'"bot-1",602', b'"bot-2",602'), "event 1 is not"),
    "an edited note": (edit("records.jsonl", b'\\"x\\"', b'\\"y\\"'), "note 1 is not"),
    "another number": (edit("records.jsonl", b"[140,4,", b"[139,4,"), "event 140 is not"),
    "an edited neighbour": (edit("records.jsonl", b"[141,4,", b"[149,4,"), "event 140 is not"),
    "another claim": (edit("records.jsonl", b'"rows":[140]', b'"rows":[7]'), "event 7 has another"),
    "more claims": (edit("records.jsonl", b'"rows":[140]', b'"rows":[140,141]'), "has 9"),
    "a record less": (cut("records.jsonl", 0), "claims 8 records and has 7"),
    "a record twice": (twice, "event 1 is in the pack twice"),
    "another's proof": (moved, "is not what was recorded"),
    "an edited batch": (edit("batches.jsonl", b"[1,1,1,1,0,", b"[1,1,1,1,1,"), "batch 1"),
    "a batch made anew": (edit("batches.jsonl", b"[3,3,1,1,1,", b"[3,3,1,1,2,"), "batch 4 does"),
    "a batch less": (cut("batches.jsonl", 1), "no checkpoint vouches for batch"),
    "a forged checkpoint": (edit("checkpoints.jsonl", b'"rows\\":', b'"rows\\": '), "not signed"),
    "a checkpoint less": (cut("checkpoints.jsonl", 2), "no checkpoint vouches for batch"),
    "another key": (edit("manifest.json", b'"key": "', b'"key": "0'), "not signed"),
    "another store": (edit("manifest.json", b'"store": "', b'"store": "0'), "another store"),
    "a payload that says more": (as_dict, "is no field of a record"),
    "a payload in other digits": (edit("records.jsonl", b'"01ff"', b'"01 FF"'), "is no field"),
    "a row claimed twice": (claimed_twice, "malformed"),
    "a word more": (edit("records.jsonl", b'{"rows"', b'{"x":1,"rows"'), "more or less than"),
    "a leaf told twice": (edit("records.jsonl", b'{"rows"', b'{"leaf":[],"rows"'), "leaf is in"),
    "an older format": (edit("manifest.json", b'"format": 3', b'"format": 1'), "has format 1"),
    "no records": (no_records, "claims 0 records"),
    "a batch told twice": (batch_twice, "1 is in the pack twice"),
    "a batch that nothing signs": (
        lambda files: files.update({"batches.jsonl": files["batches.jsonl"] + BATCH}),
        "no checkpoint vouches for batch 99",
    ),
    "a number too large": (edit("records.jsonl", b",602,", b",%d," % 2**70), "malformed"),
    "brackets": (lambda files: files.update({"records.jsonl": b"[" * 200_000}), "malformed"),
    "junk": (edit("records.jsonl", b"[", b"]"), "cannot be read"),
}


@pytest.mark.parametrize(("rows", "leaves"), [(1, 1), (128, 128), (129, 17), (136, 17), (137, 18)])
def test_a_pack_of_a_batch_of_any_size_is_checked(tmp_path: Path, rows: int, leaves: int) -> None:
    """From 129 events on eight share a leaf: other numbers would be another format."""
    with Store(tmp_path / "store", RULES, "1") as opened:
        opened.write([make_row(number) for number in range(1, rows + 1)], [make_note("poison/1")])
    out = tmp_path / "F.zip"
    code, output = run("evidence", "--store", tmp_path / "store", "-o", out)
    assert (code, check(str(out))["records"]) == (0, rows + 1), output
    with zipfile.ZipFile(out) as content:
        assert len(content.read("records.jsonl").splitlines()) == leaves + 1


@pytest.mark.parametrize("case", TAMPERED)
def test_a_tampered_pack_is_refused(pack: Path, tmp_path: Path, case: str) -> None:
    """Whatever is changed in a pack, the verifier refuses it and says what is wrong."""
    change, message = TAMPERED[case]
    with zipfile.ZipFile(pack) as content:
        files = {name: content.read(name) for name in content.namelist()}
    change(files)
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(changed, "w") as content:
        for name, text in files.items():
            content.writestr(name, text)
    code, output = offline(changed, tmp_path)
    assert code == 1
    assert output.startswith("REFUSED: ")
    assert message in output


@pytest.mark.parametrize(
    ("written", "key"),
    [
        (1, "3e144e05bd81556e1db0373e26e6891c02e6d98cfa118452a9230a53bacea042"),
        (2, "1ecd6e715d4c02b0605ee92e45627e8ed586f1b78e87fcb9296026ffe562f3c8"),
    ],
)
def test_a_pack_of_a_format_before_is_checked(tmp_path: Path, written: int, key: str) -> None:
    """When each event had a leaf as JSON, when eight always shared one; an edit is refused."""
    kept = DATA / f"evidence_pack_v{written}.zip"
    assert check(str(kept), key)["records"] == 6
    with zipfile.ZipFile(kept) as content:
        files = {name: content.read(name) for name in content.namelist()}
    assert f'"format": {written}'.encode() in files["manifest.json"]
    edit("records.jsonl", b'"bot-1",602', b'"bot-2",602')(files)
    with zipfile.ZipFile(tmp_path / "changed.zip", "w") as content:
        for name, text in files.items():
            content.writestr(name, text)
    with pytest.raises(Refused, match="event 1 is not what was recorded"):
        check(str(tmp_path / "changed.zip"), key)


def test_every_older_format_has_a_kept_pack() -> None:
    """The test above opens it; a new format needs one of the format before."""
    kept = {int(path.stem.rpartition("_v")[2]) for path in DATA.glob("evidence_pack_v*.zip")}
    assert kept == {*FORMATS} - {FORMAT}


def test_a_cut_pack_is_refused(pack: Path, tmp_path: Path) -> None:
    """Half a zip file is refused without a traceback."""
    half = tmp_path / "half.zip"
    verifier = tmp_path / "v"
    verifier.mkdir()
    with zipfile.ZipFile(pack) as content:
        (verifier / "verify.py").write_bytes(content.read("verify.py"))
        place = content.getinfo("records.jsonl").header_offset + 60
    whole = pack.read_bytes()
    for damaged in (whole[:-200], whole[:place] + b"\xff" * 9 + whole[place + 9 :]):
        half.write_bytes(damaged)
        done = subprocess.run(
            [sys.executable, str(verifier / "verify.py"), str(half)],
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout.startswith("REFUSED"), done.stderr) == (1, True, "")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(pack: Path, tmp_path: Path) -> None:
    """Of which one reader takes the first and another the last."""
    twofold = shutil.copy(pack, tmp_path / "two.zip")
    with zipfile.ZipFile(pack) as content, zipfile.ZipFile(twofold, "w") as target:
        lie = content.read("records.jsonl").replace(b"bot-1", b"bot-2")
        target.writestr("records.jsonl", lie)
        for name in content.namelist():
            target.writestr(name, content.read(name))
    code, output = offline(twofold, tmp_path)
    assert (code, "records.jsonl is in the pack twice" in output) == (1, True)


def test_evidence_is_not_given_of_nothing_or_of_what_is_not_signed(
    store: Path, tmp_path: Path
) -> None:
    """No match is bad usage; what no checkpoint covers yet, or was edited, is an error."""
    out = tmp_path / "F.zip"
    assert run("evidence", "--store", store, "--code", "100", "-o", out)[0] == 2
    assert run("evidence", "--store", store, "--limit", "3", "-o", out)[0] == 2
    folder = tmp_path / "open"
    with Store(folder, RULES, "1", Limits(checkpoint_s=3600)) as opened:
        opened.write([make_row(1)])
        opened.write([make_row(2)])
        code, output = run("evidence", "--store", folder, "-o", out)
        assert (code, "batch 2 is not signed yet" in output) == (4, True)
    db = sqlite3.connect(folder / "segment-000001.sqlite")
    db.execute("UPDATE checkpoints SET signature = x''")
    db.commit()
    db.close()
    code, output = run("evidence", "--store", folder, "-o", out)
    assert (code, "is not what was written" in output) == (4, True)
    assert not out.exists()
