"""A damaged run folder never passes, and never ends in a traceback."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from verdict_folder import TABLES, Folder, healthy

from twin.errors import TwinError, UsageError
from twin.verdict.judge import judge
from twin.verdict.manifest import MANIFEST, BrokenManifest, Manifest
from twin.verdict.result import Verdict

EVIDENCE = (
    "journal/sources.jsonl",
    "journal/attempted.bin",
    "journal/acknowledged.bin",
    "stream/stored.bin",
    "stream/strange.jsonl",
    "observed/registrar.bin",
    "observed/registrar.strange.jsonl",
    "observed/audit.json",
    "faults.jsonl",
    "lag.jsonl",
    "advisories.jsonl",
)


def flip(data: bytes) -> bytes:
    """Change one bit in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :] if data else b"x"


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "deleted": lambda data: None,
    "emptied": lambda data: b"" if data else b"\n",
    "cut by one byte": lambda data: data[:-1] if data else b"{",
    "cut in half": lambda data: data[: len(data) // 2] if len(data) > 1 else b"[]",
    "one bit flipped": flip,
    "continued": lambda data: data + data[-40:] + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_evidence_is_invalid_and_named(damage: str, tmp_path: Path) -> None:
    """Whatever happens to a sealed file, the run is INVALID and the reason names the file."""
    run = healthy().write(tmp_path)
    for name in (*EVIDENCE, "inputs.jsonl"):
        path = run / name
        data = path.read_bytes()
        changed = DAMAGE[damage](data)
        if changed is None:
            path.unlink()
        else:
            path.write_bytes(changed)
        result = judge(run)
        assert result.verdict is Verdict.INVALID, name
        assert [one.check for one in result.reasons] == ["evidence"], name
        assert name in result.reasons[0].message
        path.write_bytes(data)
    assert judge(run).verdict is Verdict.PASS


def why_invalid(run: Path) -> str:
    """Return why a run is INVALID, as a reason or, when there is no manifest to go by, an error."""
    try:
        result = judge(run)
    except BrokenManifest as error:
        return str(error)
    assert result.verdict is Verdict.INVALID
    return result.reasons[0].message


def test_a_damaged_manifest_is_invalid_and_named(tmp_path: Path) -> None:
    """No flipped bit and no cut in the manifest gets past its checksum: it is INVALID."""
    run = healthy().write(tmp_path)
    path = run / MANIFEST
    data = path.read_bytes()
    cuts = range(0, len(data) - 1, 97)
    for at in cuts:
        for changed in (data[:at], data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]):
            path.write_bytes(changed)
            assert MANIFEST in why_invalid(run)


def test_no_run_folder_is_a_usage_error(tmp_path: Path) -> None:
    """A path without a manifest is the user's mistake, not a verdict."""
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="is no run folder"):
            judge(path)


def test_what_is_no_evidence_may_change(tmp_path: Path) -> None:
    """Logs and results beside the evidence do not touch the verdict."""
    run = healthy().write(tmp_path)
    (run / "nats-server.log").write_text("anything")
    (run / "result.json").write_text("{}")
    assert judge(run).verdict is Verdict.PASS


@pytest.mark.parametrize("name", ["observed/acks.samples", "observed/bus.jsonl"])
def test_evidence_that_came_after_the_seal_is_invalid(name: str, tmp_path: Path) -> None:
    """A file that the run did not write cannot explain away what the run has recorded."""
    run = healthy().write(tmp_path)
    (run / name).write_bytes(b"")
    assert why_invalid(run) == f"{name} is not under the seal"


def test_a_seal_over_too_little_is_invalid(tmp_path: Path) -> None:
    """A runner that forgot a file before it sealed cannot pass."""
    folder = healthy()
    folder.write(tmp_path, seal=False)
    manifest = Manifest.load(tmp_path)
    for name in EVIDENCE:
        if name == "observed/audit.json":
            continue
        hidden = tmp_path / "hidden"
        (tmp_path / name).rename(hidden)
        manifest.sealed(tmp_path).save(tmp_path)
        hidden.rename(tmp_path / name)
        result = judge(tmp_path)
        assert result.verdict is Verdict.INVALID
        assert result.reasons[0].message == f"{name} is not under the seal"


def test_an_expectation_without_an_audit_is_invalid(tmp_path: Path) -> None:
    """When no observer exported its audit, what is expected of it cannot be judged."""
    run = healthy().write(tmp_path)
    (run / "observed/audit.json").unlink()
    Manifest.load(run).model_copy(update={"state": "running"}).sealed(run).save(run)
    result = judge(run)
    assert {(one.kind, one.check) for one in result.reasons} == {("invalid", "expectation")}


def set_all(table: str, **fields: int) -> Callable[[Folder], None]:
    """Set fields of every row of a table."""

    def mutate(folder: Folder) -> None:
        for name, value in fields.items():
            getattr(folder, table)[name] = value

    return mutate


def twice(table: str) -> Callable[[Folder], None]:
    """Write a row of a table a second time."""
    return lambda folder: folder.append(table, 2, 9)


CONTRADICTIONS: dict[str, tuple[Callable[[Folder], object], str]] = {
    "source out of range": (set_all("attempted", source=400), "cannot be"),
    "sequence zero": (set_all("attempted", seq=0), "cannot be"),
    "sequences not dense": (lambda f: f.change("attempted", 0, 1, seq=2**31), "not dense"),
    "event attempted twice": (twice("attempted"), "lists an event twice"),
    "event settled twice": (twice("outcomes"), "two outcomes for one event"),
    "outcome without attempt": (
        lambda f: f.drop("attempted", 1, 2),
        "events that were never attempted",
    ),
    "outcome unknown to us": (set_all("outcomes", outcome=9), "outcomes that cannot be"),
    "stream unknown": (set_all("observed", stream=7), "a stream that the manifest does not have"),
    "scan out of order": (
        lambda f: setattr(f, "stored", f.stored[::-1].copy()),
        "not list its streams in ascending order",
    ),
    "scan twice": (
        lambda f: setattr(f, "stored", np.concatenate([f.stored, f.stored])),
        "ascending order",
    ),
    "stranger without a row": (
        lambda f: f.stream_strange.append(
            {"stream": "EVENTS", "stream_seq": 5000, "subject": "x", "msg_id": ""}
        ),
        "lacks 1 messages",
    ),
    "stranger of no stream": (
        lambda f: f.observed_strange.append({"stream": "NO", "stream_seq": 1}),
        "has no stream 'NO'",
    ),
    "fault without a name": (lambda f: f.faults[0].pop("fault"), "fault is None"),
    "fault at a text": (lambda f: f.faults[0].update(fired_wall_ns="now"), "'now'"),
    "sample without a time": (lambda f: f.lag[0].pop("wall_ns"), "wall_ns is missing"),
    "sample that is a text": (lambda f: f.lag[0].update(backlog="many"), "'many'"),
    "advisory without a sequence": (
        lambda f: f.advisories.append(
            {"role": "registrar", "stream": "EVENTS", "consumer": "x", "kind": "exhausted"}
        ),
        "stream_seq is missing",
    ),
    "audit that is none": (lambda f: f.audit[0].pop("bots"), "audit.json cannot be read"),
    "source that is a number": (lambda f: f.sources[0].update(bot=3), "bot is 3"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_sealed_nonsense_is_invalid_and_explained(name: str, tmp_path: Path) -> None:
    """Evidence that was written wrongly, yet sealed, is INVALID with a plain reason."""
    mutate, text = CONTRADICTIONS[name]
    folder = healthy()
    folder.manifest = folder.facts()
    folder.counts_follow = False
    mutate(folder)
    result = judge(folder.write(tmp_path))
    assert result.verdict is Verdict.INVALID
    assert [one.check for one in result.reasons] == ["evidence"]
    assert text in result.reasons[0].message


@pytest.mark.parametrize("table", TABLES)
def test_a_torn_record_under_the_seal_is_invalid(table: str, tmp_path: Path) -> None:
    """A writer that was sealed before it was flushed is noticed by its torn last record."""
    run = healthy().write(tmp_path, seal=False)
    path = run / TABLES[table][0]
    path.write_bytes(path.read_bytes()[:-3])
    Manifest.load(run).sealed(run).save(run)
    result = judge(run)
    assert result.verdict is Verdict.INVALID
    assert "ends within a record" in result.reasons[0].message


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}', "\0", '"x"'])
@pytest.mark.parametrize(
    "name", [name for name in EVIDENCE if name.endswith("l") and "strange" not in name]
)
def test_sealed_lines_of_garbage_are_invalid(name: str, text: str, tmp_path: Path) -> None:
    """No line of garbage in any file of JSON lines is skipped in silence."""
    run = healthy().write(tmp_path, seal=False)
    with (run / name).open("a") as file:
        file.write(text + "\n")
    Manifest.load(run).sealed(run).save(run)
    assert judge(run).verdict is Verdict.INVALID


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    table=st.sampled_from(sorted(TABLES)),
    places=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4
    ),
)
def test_random_bytes_in_a_sealed_table_give_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, table: str, places: list[tuple[float, int]]
) -> None:
    """Whatever numbers a table holds, the judge answers with a result or an error of ours."""
    run = healthy().write(tmp_path_factory.mktemp("run"), seal=False)
    path = run / TABLES[table][0]
    data = bytearray(path.read_bytes())
    for place, value in places:
        data[int(place * len(data))] ^= value
    path.write_bytes(data)
    Manifest.load(run).sealed(run).save(run)
    try:
        result = judge(run)
    except TwinError:
        return
    assert json.loads(result.as_json())["verdict"] in ("PASS", "FAIL", "INVALID")
