"""How long a judgement takes, and how much memory: `python benchmarks/bench_ledger.py`.

Under pytest-benchmark (`make bench`): the account of 200,000 events beside one that keeps
dictionaries and sets of event ids, as such checkers are usually written; both find the same.

Writes the folder of a run with N events (default 10 million, 2,000 bots with five subjects,
a few lost, doubled, altered and swapped), judges it in a process of its own, and prints
time and peak memory. Fails beyond 30 s or 300 MB for 10 million events, scaled for others.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twin.verdict.journal import ATTEMPT, COPY, OUTCOME, Outcome, read_table
from twin.verdict.judge import judge
from twin.verdict.ledger import EventClass, reconcile
from twin.verdict.manifest import Manifest

BOTS, SUBJECTS = 2000, tuple(f"qiki.events.v1.channel{number}" for number in range(5))
SOURCES = BOTS * len(SUBJECTS)
START_NS, S = 1_790_000_000_000_000_000, 1_000_000_000
MAX_S, MAX_MB = 30.0, 300.0


def write_tables(folder: Path, each: int) -> None:
    """Write `each` events per source: round by round, as a fleet emits them."""
    rng = np.random.default_rng(1)
    files = {
        name: (folder / name).open("wb")
        for name in (
            "journal/attempted.bin",
            "journal/acknowledged.bin",
            "stream/stored.bin",
            "observed/registrar.bin",
        )
    }
    rounds = max(1, 200_000 // SOURCES)
    for first in range(0, each, rounds):
        seq = np.repeat(np.arange(first + 1, min(first + rounds, each) + 1), SOURCES)
        source = np.tile(np.arange(SOURCES), len(seq) // SOURCES)
        sim_ns = seq * (60 * S // each)
        attempted = np.zeros(len(seq), ATTEMPT)
        outcomes, stored = np.zeros(len(seq), OUTCOME), np.zeros(len(seq), COPY)
        for table in (attempted, outcomes, stored):
            table["source"], table["seq"] = source, seq
        attempted["hash"] = stored["hash"] = rng.integers(0, 2**63, len(seq), dtype=np.uint64)
        attempted["sim_ns"], attempted["intended_ns"] = sim_ns, START_NS + sim_ns
        outcomes["outcome"], outcomes["tries"] = Outcome.ACKNOWLEDGED, 1
        outcomes["ack_ns"] = START_NS + sim_ns + rng.exponential(3e6, len(seq)).astype(np.int64)
        outcomes["stream_seq"] = stored["stream_seq"] = first * SOURCES + 1 + np.arange(len(seq))
        stored["time_ns"] = outcomes["ack_ns"]
        observed = stored.copy()
        observed["time_ns"] += 20_000_000
        observed["deliveries"] = 1
        kept = np.ones(len(observed), np.bool_)
        kept[17 :: len(observed) // 3] = False
        observed["hash"][23 :: len(observed) // 2] += 1
        places = np.arange(40, len(observed) - SOURCES, len(observed) // 2)
        observed[places], observed[places + SOURCES] = (
            observed[places + SOURCES].copy(),
            observed[places].copy(),
        )
        for file, table in zip(
            files.values(), (attempted, outcomes, stored, observed[kept]), strict=True
        ):
            table.tofile(file)
    for file in files.values():
        file.close()


def write_folder(folder: Path, each: int) -> None:
    """Write and seal the whole run folder."""
    for name in ("journal", "stream", "observed"):
        (folder / name).mkdir()
    write_tables(folder, each)
    with (folder / "journal" / "sources.jsonl").open("w") as file:
        for number in range(SOURCES):
            bot, subject = f"bot-{number // 5}", SUBJECTS[number % 5]
            file.write(json.dumps({"bot": bot, "subject": subject}) + "\n")
    for name in (
        "stream/strange.jsonl",
        "observed/registrar.strange.jsonl",
        "faults.jsonl",
        "inputs.jsonl",
    ):
        (folder / name).write_text("")
    total = each * SOURCES
    rows = (folder / "observed" / "registrar.bin").stat().st_size // COPY.itemsize
    manifest = Manifest.model_validate(
        {
            "run_id": "bench",
            "state": "running",
            "scenario": {"name": "bench"},
            "seed": 1,
            "epoch_ns": 0,
            "pace": "realtime",
            "layout": "platform",
            "started_ns": START_NS,
            "ended_ns": START_NS + 61 * S,
            "phases": [
                {"name": "warmup", "start_sim_ns": 0, "end_sim_ns": 10 * S, "measure": False},
                {"name": "steady", "start_sim_ns": 10 * S, "end_sim_ns": 61 * S},
            ],
            "streams": [
                {
                    "name": "EVENTS",
                    "first_seq": 1,
                    "last_seq": total,
                    "subjects": dict.fromkeys(SUBJECTS, total // 5),
                    "scanned": True,
                }
            ],
            "observers": [
                {
                    "name": "registrar",
                    "kind": "other",
                    "rows_total": rows,
                    "per_subject": {},
                    "finished": True,
                }
            ],
            "predicted": {"total": total},
            "criteria": {
                "guarantees": {"lost": 0, "duplicates": 0, "reordered": 0, "corrupt": 0},
                "thresholds": {"publish_latency": ["p(99)<250ms"]},
            },
        }
    )
    manifest.sealed(folder).save(folder)


FOUND = tuple(map(EventClass, ("lost", "duplicate", "reordered", "corrupt")))


def account(folder: Path) -> dict[EventClass, int]:
    """Return what the ledger finds wrong with the registrar's records."""
    manifest, _ = Manifest.read(folder)
    [hop] = [one for one in reconcile(folder, manifest).hops if one.name == "registrar"]
    return {kind: hop.counts.get(kind, 0) for kind in FOUND}


def plain_account(folder: Path) -> dict[EventClass, int]:
    """Find the same with a dictionary entry per event and a set of what was seen."""
    sent = {
        (source, seq): hashed
        for table in read_table(folder / "journal" / "attempted.bin", ATTEMPT)
        for source, seq, hashed in table[["source", "seq", "hash"]].tolist()
    }
    found = dict.fromkeys(FOUND, 0)
    seen: set[tuple[int, int]] = set()
    newest: dict[int, int] = {}
    for table in read_table(folder / "observed" / "registrar.bin", COPY):
        for source, seq, hashed in table[["source", "seq", "hash"]].tolist():
            if (source, seq) in seen:
                found[EventClass.DUPLICATE] += 1
                continue
            seen.add((source, seq))
            found[EventClass.CORRUPT] += sent[source, seq] != hashed
            found[EventClass.REORDERED] += seq < newest.get(source, 0)
            newest[source] = max(seq, newest.get(source, 0))
    found[EventClass.LOST] = len(sent) - len(seen)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of 200,000 events."""
    made = tmp_path_factory.mktemp("run")
    write_folder(made, 200_000 // SOURCES)
    return made


@pytest.mark.parametrize("way", [account, plain_account])
def test_account(
    benchmark: Any, folder: Path, way: Callable[[Path], dict[EventClass, int]]
) -> None:
    """Both find the same events lost and altered."""
    found = benchmark.pedantic(way, (folder,), rounds=3)
    assert found == account(folder)
    assert found[EventClass.LOST] == found[EventClass.CORRUPT] + 1 > 1


def measure(folder: Path) -> None:
    """Judge a folder and print time and peak memory of this process as JSON."""
    started = time.perf_counter()
    result = judge(folder)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - started,
                "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "verdict": result.verdict,
                "generated": result.totals.generated,
                "reasons": [reason.message for reason in result.reasons],
            }
        )
    )


def main() -> int:
    """Run the benchmark; the exit code says whether the limits were kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return 0
    each = max(1, options.events // SOURCES)
    with tempfile.TemporaryDirectory() as name:
        write_folder(Path(name), each)
        done = subprocess.run(
            [sys.executable, __file__, "--measure", name], check=True, capture_output=True
        )
    found = json.loads(done.stdout)
    scale = max(1.0, each * SOURCES / 10_000_000)
    print(f"{found['generated']:,} events: {found['seconds']:.1f} s, {found['mb']:.0f} MB")
    print(f"{found['verdict']}: " + "; ".join(found["reasons"]))
    return int(found["seconds"] > MAX_S * scale or found["mb"] > MAX_MB * scale)


if __name__ == "__main__":
    sys.exit(main())
