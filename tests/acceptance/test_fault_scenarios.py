"""The shipped scenarios of faults: each fault fires, and what they teach holds."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from in_process import twin_apart

from twin.jetstream.api import streams_on
from twin.jetstream.connection import Connection
from twin.jetstream.server import NatsServer

ROOT = Path(__file__).parent.parent.parent


def run(scenario: str | Path, out: Path, *options: str) -> tuple[dict[str, Any], Path]:
    """Run a scenario, and return its result and its run folder."""
    done = twin_apart(ROOT, "run", scenario, "--out", out, "--json", *options)
    assert done.stdout, done.stderr
    return json.loads(done.stdout), (out / "last").resolve()


def written(folder: Path, events: str, more: str = "") -> Path:
    """Write a short scenario with these events."""
    file = folder / "scenarios" / "short.yaml"
    file.parent.mkdir()
    file.write_text(
        "schema_version: 1\nname: short\nfleet: {scouts: {count: 5, spec: 'builtin:scout'}}\n"
        "phases: [{name: boot, duration: 3s, measure: false}, {name: steady, duration: 4s}]\n"
        "limits: {max_slip_p99_ms: 10000}\ndrain_timeout: 6s\n"
        f"events:\n{events}\n{more}\n"
    )
    return file


def test_bots_on_a_slow_network_get_everything_through(tmp_path: Path) -> None:
    """Under latency of the network publishing takes long, and all arrives in the end."""
    result, _ = run(ROOT / "scenarios" / "slow-network.yaml", tmp_path)
    assert result["reasons"] == []
    [fault] = result["faults"]
    assert fault["outcome"] == "fired"
    assert fault["healed_ns"] - fault["fired_ns"] > 4.5e9


def test_bots_on_a_flaky_network_lose_nothing(tmp_path: Path) -> None:
    """Resets of bots and registrar cost neither events nor order."""
    result, _ = run(ROOT / "scenarios" / "flaky-network.yaml", tmp_path)
    assert result["reasons"] == []
    hits = [int(fault["detail"].split()[1]) for fault in result["faults"]]
    assert hits[0] >= 4
    assert hits[1] == 1


def test_a_fault_hits_the_client_that_it_names(tmp_path: Path) -> None:
    """With the registrar's network down bots publish on, and the registrar falls behind."""
    file = written(
        tmp_path,
        "  - {at: 4s, do: {fault: net.down, client: registrar, for: 2s}}",
        "thresholds: {publish_latency: [p(90)<500ms], end_to_end_latency: [max>1500ms]}",
    )
    result, _ = run(file, tmp_path / "runs")
    assert result["reasons"] == []


SPARING = {
    "net.limit_data, bytes: 100000000, for: 1s": "nothing of bots was hit",
    "net.bandwidth, rate: 1000000, for: 1s": "nothing of bots was hit",
    "net.latency, latency: 1s, toxicity: 0.0001, for: 1s": "nothing of bots was hit",
    "net.slicer, average_size: 65000, for: 1s": "nothing of bots was hit",
    "stream.evict, stream: QIKI_EVENTS_V1, max_msgs: 1000000, for: 1s": "no message was evicted",
    "stream.full, stream: QIKI_TELEMETRY_V1, for: 10ms": "no message was refused",
    "consumer.slow, consumer: lounger, rate: 1, for: 1s": "no message was late",
    "consumer.stall, consumer: idler, for: 1s": "no message was held",
    "consumer.pause, consumer: sleeper, for: 1s": "no message was kept waiting",
    "consumer.crash, consumer: dozer, for: 1s": "no message was kept waiting",
    "service.slow, service: rest, share: 0.5, for: 200ms": "",
}


def test_faults_that_hit_nothing_make_the_run_invalid(tmp_path: Path) -> None:
    """Each fault that had no effect is told, with what it did not hit; one that had is not."""
    events = "\n".join(
        f"  - {{at: {'500ms' if 'TELEMETRY' in fault else '4s'}, do: {{fault: {fault}}}}}"
        for fault in SPARING
    )  # long before there is telemetry, however long the stream is full
    nothing = "stream: QIKI_EVENTS_V1, subjects: [qiki.events.v1.state]"
    consumers = ", ".join(
        f"{name}: {{{nothing}}}" for name in ("lounger", "idler", "sleeper", "dozer")
    )
    service = "services: {rest: {command: [sleep, 60]}}"
    file = written(tmp_path, events, f"consumers: {{{consumers}}}\n{service}")
    result, _ = run(file, tmp_path / "runs")
    assert result["verdict"] == "INVALID"
    told = {fault["fault"]: (fault["outcome"], fault["detail"]) for fault in result["faults"]}
    outcome, detail = told.pop("service.slow")
    assert (outcome, detail[:8]) == ("fired", "stopped ")
    meant = {
        fault.partition(",")[0]: ("had no effect", why) for fault, why in SPARING.items() if why
    }
    assert told == meant
    messages = [reason["message"] for reason in result["reasons"]]
    assert "fault net.limit_data had no effect: nothing of bots was hit" in messages
    assert len(messages) == len(meant)


def test_a_full_stream_tells_only_what_it_has_refused_itself(tmp_path: Path) -> None:
    """Of two streams that are full at once each has its own part of the refusals."""
    events = "\n".join(
        f"  - {{at: 4s, do: {{fault: stream.full, stream: {stream}, for: 1s}}}}"
        for stream in ("QIKI_RADAR_V1", "QIKI_EVENTS_V1")
    )
    result, _ = run(written(tmp_path, events), tmp_path / "runs")
    assert [fault["outcome"] for fault in result["faults"]] == ["fired", "fired"]
    hits = [int(fault["detail"].removesuffix(" messages refused")) for fault in result["faults"]]
    assert sum(hits) == result["totals"]["refused"]


def test_restarts_and_a_slow_registrar_lose_nothing(tmp_path: Path) -> None:
    """nats-server ends in good order and comes back while the registrar runs at a tenth."""
    file = written(
        tmp_path,
        "  - {at: 3s, do: {fault: registrar.slow, share: 0.1, for: 3s}}\n"
        "  - {at: 4s, do: {fault: broker.restart, after: 500ms}}",
        "thresholds: {publish_latency: [max>400ms]}",
    )
    result, _ = run(file, tmp_path / "runs")
    assert result["reasons"] == []
    slow = result["faults"][0]
    assert int(slow["detail"].split()[1]) > 1
    assert slow["detail"].endswith(" messages came for it")


def test_a_deleted_stream_is_a_loss(tmp_path: Path) -> None:
    """A stream that is deleted and made again loses what it held: FAIL, and a rollback noted."""
    file = written(
        tmp_path,
        "  - {at: 4s, do: {fault: stream.delete, stream: QIKI_RADAR_V1, restore_after: 500ms}}",
        "expect: [{audit: {code: 922, min: 1}}]",
    )
    result, _ = run(file, tmp_path / "runs")
    assert result["verdict"] == "FAIL"
    assert {reason["check"] for reason in result["reasons"]} == {"guarantee.lost"}


SERVICE = """\
import asyncio, os, nats

async def main():
    client = await nats.connect(os.environ["NATS_URL"], max_reconnect_attempts=-1)
    print("ready", flush=True)
    while True:
        await client.flush(30)
        await asyncio.sleep(0.02)

asyncio.run(main())
"""


async def test_faults_of_clients_work_on_a_server_of_the_user(
    server: NatsServer, connection: Connection, tmp_path: Path
) -> None:
    """Networks of a service and of a consumer break there too, and no stream is left behind."""
    place = tmp_path / "service.py"
    place.write_text(SERVICE)
    file = written(
        tmp_path,
        "  - {at: 3s, do: {fault: net.latency, client: mine, latency: 150ms, for: 1s}}\n"
        "  - {at: 3s, do: {fault: service.slow, service: mine, share: 0.5, for: 1s}}\n"
        "  - {at: 3s, do: {fault: net.reset_peer, client: worker}}\n"
        "  - {at: 5s, do: {fault: net.down, client: mine, for: 500ms}}",
        "consumers: {worker: {stream: QIKI_EVENTS_V1}}\n"
        f"services: {{mine: {{command: [python, '{place}'], ready: {{log: ready}}}}}}",
    )
    result, _ = await asyncio.to_thread(run, file, tmp_path / "runs", "--nats", server.url)
    details = [(fault["outcome"], fault["detail"]) for fault in result["faults"]]
    assert {outcome for outcome, _ in details} == {"fired"}, details
    latency, slow, reset, down = (detail for _, detail in details)
    assert int(latency.split()[-2]) >= 140
    assert int(slow.split()[1]) >= 3
    assert (reset, down) == ("hit 1 connections", "hit 1 connections")
    assert result["reasons"] == []
    assert await streams_on(connection, ">") == ()


@pytest.mark.parametrize("name", ["lame-duck", "poison-messages", "duplicated-messages"])
def test_a_shipped_scenario_passes(name: str, tmp_path: Path) -> None:
    """Every fault fires, and what the scenario teaches holds."""
    result, folder = run(ROOT / "scenarios" / f"{name}.yaml", tmp_path)
    assert result["reasons"] == []
    assert {fault["outcome"] for fault in result["faults"]} == {"fired"}
    assert twin_apart(ROOT, "judge", folder).returncode == 0


def test_a_full_disk_costs_no_event(tmp_path: Path) -> None:
    """The broker meets ENOSPC and loses nothing; where no disk can be made the run is INVALID."""
    result, folder = run(ROOT / "scenarios" / "broker-disk-full.yaml", tmp_path)
    if "nobody mount a disk" in result["faults"][0]["detail"]:
        assert result["verdict"] == "INVALID"
        return
    assert result["reasons"] == []
    assert "no space left on device" in (folder / "nats-server.log").read_text()
    assert result["totals"]["acknowledged"] == result["totals"]["generated"]


def test_a_wrong_clock_is_recorded_and_too_large_is_refused(tmp_path: Path) -> None:
    """Skewed events are recorded once; the broker refuses what is above its maximum."""
    file = written(
        tmp_path,
        "  - {at: 4s, do: {fault: message.skew, stream: QIKI_RADAR_V1, ahead: 1h, count: 5}}\n"
        "  - {at: 4s, do: {fault: message.oversize, stream: QIKI_EVENTS_V1, size: 1100000}}",
    )
    result, folder = run(file, tmp_path / "runs")
    assert result["reasons"] == []
    rows = (folder / "journal" / "injected.jsonl").read_text().splitlines()
    outcomes = [json.loads(row)["outcome"] for row in rows]
    assert sorted(outcomes) == ["refused", *["stored"] * 5]


def test_an_injection_that_cannot_be_made_is_invalid(tmp_path: Path) -> None:
    """More events again than there were: the fault did not fire, and the run proves nothing."""
    fault = "message.replay, stream: QIKI_TELEMETRY_V1, count: 1000"
    file = written(tmp_path, f"  - {{at: 4s, do: {{fault: {fault}}}}}")
    result, _ = run(file, tmp_path / "runs")
    assert result["verdict"] == "INVALID"
    assert "to be injected" in result["reasons"][0]["message"]
