"""The brown-out: a chain of causes from the sun to the audit log, in order for every bot."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from in_process import twin_apart

from twin.verdict.journal import OUTCOME, Outcome, read_table

SCENARIO = Path(__file__).parents[2] / "scenarios" / "brown-out.yaml"
BOTS = [f"roomy-{n:04}" for n in range(1, 5)] + [f"cramped-{n:04}" for n in range(1, 4)]
SUN_RETURNS = "2026-01-01T00:00:08"
CHAIN = [
    ("power_low", "battery", "low"),
    ("load_shed", "radar", "shed"),
    ("load_shed", "transponder", "shed"),
    ("comms", "link", "blocked"),
    ("power_critical", "battery", "critical"),
    ("power_critical", "battery", "cleared"),
    ("power_low", "battery", "cleared"),
    ("load_restored", "transponder", "on"),
    ("load_restored", "radar", "on"),
    ("comms", "link", "online"),
]

BLACKOUT = """\
schema_version: 1
name: blackout
fleet: {silent: {count: 3}}
phases: [{name: all, duration: 8s}]
events: [{at: 4s, do: {fault: radio.blackout}}]
limits: {min_events_fraction: 0.1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of one run of the shipped scenario with few bots, which has passed.

    At ten times the pace a busy broker may not say its consumers' backlog in time.
    """
    where = tmp_path_factory.mktemp("brown-out")
    late = f"{SCENARIO.read_text()}  max_slip_p99_ms: 10000\n"  # its last key is `limits`
    late = re.sub(r"consumer_backlog.*: \[.*\]", "publish_latency: [max<60s]", late)
    (where / "brown-out.yaml").write_text(late)
    bots = ("--var", "bots=4", "--var", "cramped=3")
    run = twin_apart(where, "run", "brown-out.yaml", "--pace", "x10", *bots)
    assert run.returncode == 0, run.stdout + run.stderr
    return (where / "runs" / "last").resolve()


def audited(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what the registrar's store holds, by its own query."""
    store = str(folder / "registrar")
    query = ("query", "--store", store, "--format", "json", "--limit", "100000")
    found = twin_apart(folder, "registrar", *query)
    assert found.returncode == 0, found.stderr
    return map(json.loads, found.stdout.splitlines())


def shed_by_bot(folder: Path) -> dict[tuple[str, str], set[int]]:
    """Return the sequence numbers that the journal calls shed, by bot and subject."""
    lines = (folder / "journal" / "sources.jsonl").read_text().splitlines()
    sources = [json.loads(line) for line in lines]
    found = defaultdict(set)
    for chunk in read_table(folder / "journal" / "acknowledged.bin", OUTCOME):
        for row in chunk[chunk["outcome"] == Outcome.SHED]:
            source = sources[row["source"]]
            found[source["bot"], source["subject"]].add(int(row["seq"]))
    return dict(found)


def test_every_bot_tells_the_chain_of_causes_in_order(folder: Path) -> None:
    """Low, radar off, transponder off, link lost, critical; then sun, recovery, link, in order."""
    states = defaultdict(list)
    for record in audited(folder):
        if record["subject"] == "qiki.events.v1.state":
            states[record["bot"]].append(record)
    assert sorted(states) == sorted(BOTS)
    wanted = {(kind, part) for kind, part, _ in CHAIN}
    for bot, records in states.items():
        records.sort(key=lambda record: int(record["stream_seq"]))
        numbers = [int(record["id"].rpartition("/")[2]) for record in records]
        assert numbers == list(range(1, len(records) + 1)), bot
        told = [
            (r["payload"]["kind"], r["payload"]["subject"], r["payload"]["to"]) for r in records
        ]
        assert [one for one in told if one[:2] in wanted] == CHAIN, bot
        times = [record["time"] for record in records]
        assert times == sorted(times), bot
        recovered = told.index(("power_critical", "battery", "cleared"))
        assert times[recovered - 1] < SUN_RETURNS < times[recovered], bot


def test_what_had_room_is_all_there_and_what_had_none_is_accounted_for(folder: Path) -> None:
    """Stored and shed together are every number from 1 on; only small outboxes shed, and say so."""
    stored, told = defaultdict(set), 0
    for record in audited(folder):
        if record["kind"] == "event":
            stored[record["bot"], record["subject"]].add(int(record["id"].rpartition("/")[2]))
            if record["code"] == 430:
                told += int(record["payload"]["reason"].split()[0])
    shed = shed_by_bot(folder)
    assert {bot for bot, _ in shed} == {bot for bot in BOTS if bot.startswith("cramped")}
    for source in stored.keys() | shed.keys():
        numbers = stored[source] | shed.get(source, set())
        assert numbers == set(range(1, len(numbers) + 1)), source
        assert stored[source].isdisjoint(shed.get(source, set())), source
    publish = json.loads((folder / "manifest.json").read_text())["publish"]
    count = sum(map(len, shed.values()))
    assert count == told == publish["shed"] > 100
    assert publish["attempted"] == count + sum(map(len, stored.values()))
    assert publish["held"] == 0


def test_what_waits_in_an_outbox_at_the_end_is_counted_as_held(tmp_path: Path) -> None:
    """A run that ends in a blackout passes, and says how many events never left their bots."""
    (tmp_path / "blackout.yaml").write_text(BLACKOUT)
    run = twin_apart(tmp_path, "run", "blackout.yaml", "--pace", "fast")
    assert run.returncode == 0, run.stdout + run.stderr
    made = (tmp_path / "runs" / "last").resolve()
    manifest = json.loads((made / "manifest.json").read_text())
    publish, predicted = manifest["publish"], manifest["predicted"]["total"]
    assert publish["held"] > 100
    assert publish["attempted"] < predicted <= publish["attempted"] + publish["held"]
