"""What hostile files, names and messages try: to read elsewhere, to use memory, to write lines."""

import io
import time
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console
from verdict_folder import healthy

from twin.errors import InputError
from twin.events.attributes import CloudEvent
from twin.events.cloudevents import encode_binary
from twin.events.headers import HeaderError, header_block
from twin.lag.present import LiveTable, as_text
from twin.lag.sample import ConsumerSample
from twin.printable import printable
from twin.registrar.evidence_verifier import Refused, check
from twin.report.junit import write_junit
from twin.report.terminal import print_result
from twin.scenario.language.load import load_scenario
from twin.spec.load import load_spec
from twin.spec.yaml import read_text
from twin.verdict.judge import judge
from twin.verdict.manifest import EvidenceFile, Manifest
from twin.verdict.result import Verdict

MINIMAL = """\
schema_version: 1
name: tiny
fleet: {crew: {count: 1}}
phases: [{name: all, duration: 2s}]
"""
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m\r\nverdict PASS\x9b1A\u202e"


def refusals(folder: Path, text: str) -> str:
    """Return what is said against a scenario in a project of its own."""
    project = folder / "project"
    (project / "scenarios").mkdir(parents=True, exist_ok=True)
    (project / "twin.toml").touch()
    file = project / "scenarios" / "tiny.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as refusal:
        load_scenario(str(file))
    return str(refusal.value)


@pytest.mark.parametrize(
    "reach", ["../../secret.yaml", "{}/secret.yaml", "link.yaml", "inner/../../../secret.yaml"]
)
def test_a_scenario_reads_nothing_outside_its_project(tmp_path: Path, reach: str) -> None:
    """Neither pieces nor specs, by `..`, absolute paths or links; nothing of the file is shown."""
    (tmp_path / "secret.yaml").write_text("hunter2: [")
    (tmp_path / "project" / "scenarios" / "inner").mkdir(parents=True)
    (tmp_path / "project" / "scenarios" / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    name = reach.format(tmp_path)
    for text in (
        f"{MINIMAL}include: [{name}]\n",
        MINIMAL.replace("count: 1", f"count: 1, spec: {name}"),
    ):
        said = refusals(tmp_path, text)
        assert "outside the project" in said
        assert "hunter2" not in said


def nested(depth: int) -> str:
    """Lists in lists."""
    return f"{'[' * depth}{']' * depth}"


BOMBS = {
    "aliases": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghi")),
    "depth": f"a: {nested(200)}",
    "size": "a: " + "x" * (1 << 20),
    "nodes": "a: [" + "0," * 120_000 + "]",
    "anchor in itself": "a: &a [*a]",
    "merge": "a: &a {x: 1}\nb: {<<: *a}",
    "python": "a: !!python/object/apply:os.system [true]",
    "binary": "a: !!binary aGk=",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_yaml_bombs_are_refused_quickly_wherever_yaml_is_read(tmp_path: Path, kind: str) -> None:
    """As a scenario, as a piece of one, as a spec, and by the reader itself."""
    began = time.process_time()
    with pytest.raises(InputError):
        read_text(BOMBS[kind])
    refusals(tmp_path, BOMBS[kind])
    (tmp_path / "project" / "scenarios" / "piece.yaml").write_text(BOMBS[kind])
    assert "piece.yaml" in refusals(tmp_path, f"{MINIMAL}include: [piece.yaml]\n")
    (tmp_path / "spec.yaml").write_text(BOMBS[kind])
    with pytest.raises(InputError):
        load_spec(tmp_path / "spec.yaml")
    assert time.process_time() - began < 25


@pytest.mark.parametrize("char", ["\r", "\n", "\0", "\r\nNats-Msg-Id: forged"])
def test_no_value_ends_a_header_line(char: str) -> None:
    """Values from bots, scenarios and specs cannot add a header of their own."""
    with pytest.raises(HeaderError):
        header_block([("Nats-Msg-Id", f"a{char}b")])
    with pytest.raises(HeaderError):
        header_block([(f"Name{char}", "b")])
    with pytest.raises(ValueError, match="forbidden_character"):
        encode_binary(CloudEvent(id=f"a{char}b", source="/s", type="t"))


@pytest.mark.parametrize("place", ["name", "bot", "prefix", "subject"])
def test_names_that_become_subjects_are_held_to_their_grammar(tmp_path: Path, place: str) -> None:
    """Spaces, line ends and wildcards in a name would say something else to the server."""
    text = {
        "name": MINIMAL.replace("tiny", '"a\\r\\nPUB x 0"'),
        "bot": MINIMAL.replace("crew:", '"a b\\r\\n.>":'),
        "prefix": MINIMAL + 'watch: {x: {stream: "S\\r\\nX", durable: d}}\n',
        "subject": MINIMAL + 'consumers: {r: {stream: QIKI_TELEMETRY_V1, subjects: ["a b"]}}\n',
    }[place]
    assert refusals(tmp_path, text)


def test_control_characters_of_others_do_not_reach_the_terminal(tmp_path: Path) -> None:
    """What strangers put into ids, subjects and names neither colours, moves nor forges lines."""
    folder = healthy()
    folder.manifest["scenario"] = {"name": "plain", "description": ""}
    folder.phantom("stored", {"msg_id": ESCAPES, "subject": ESCAPES, "reason": ESCAPES})
    run_dir = folder.write(tmp_path)
    result = judge(run_dir)
    output = io.StringIO()
    print_result(result, None, Console(file=output, force_terminal=False, width=200))
    sample = ConsumerSample(0, "r", f"S{ESCAPES}", f"[red]{ESCAPES}")
    table = io.StringIO()
    Console(file=table, width=300).print(LiveTable().show([sample]))
    for text in (output.getvalue(), as_text(sample._replace(error=ESCAPES)), table.getvalue()):
        seen = text.replace("\n", "")
        assert "owned" in seen
        assert seen.isprintable(), seen
    assert "[red]" in table.getvalue()
    assert not any(line.startswith("verdict PASS") for line in output.getvalue().splitlines())
    assert printable("a\tb\nc\x1b", lines=True) == "a\ufffdb\nc\ufffd"
    write_junit(tmp_path / "junit.xml", result)
    assert "\x1b" not in (tmp_path / "junit.xml").read_text()


def test_an_evidence_pack_is_never_unpacked(tmp_path: Path) -> None:
    """Entries that name places outside, and bombs, are read as nothing: the pack is refused."""
    pack = tmp_path / "pack.zip"
    with zipfile.ZipFile(pack, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("../escaped.txt", "x")
        target.writestr("/escaped.txt", "x")
        target.writestr("records.jsonl", b"0" * (1 << 26))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Refused):
        check(str(pack))
    assert sorted(tmp_path.iterdir()) == before
    assert not (tmp_path.parent / "escaped.txt").exists()


@pytest.mark.parametrize("name", ["../secret", "{}/secret", "stream/link"])
def test_a_run_folder_of_others_reads_nothing_outside_it(tmp_path: Path, name: str) -> None:
    """Evidence that is named elsewhere makes it INVALID, and tells nothing of the file."""
    (tmp_path / "secret").write_text("hunter2")
    run_dir = healthy().write(tmp_path / "inner")
    if name == "stream/link":
        (run_dir / name).symlink_to(tmp_path / "secret")
    manifest = Manifest.load(run_dir)
    outside = name.format(tmp_path)
    known = {**manifest.evidence, outside: EvidenceFile(size=1, sha256="0" * 64)}
    manifest.model_copy(update={"evidence": known}).save(run_dir)
    assert Manifest.load(run_dir).damage(run_dir) == [f"{outside} lies outside the run folder"]
    assert judge(run_dir).verdict is Verdict.INVALID
