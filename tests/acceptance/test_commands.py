"""Commands on the bus, while a run lasts: a bot does what it is told, and answers."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson

from twin.events.payloads import validate_payload
from twin.jetstream.connection import Connection
from twin.jetstream.server import NatsServer
from twin.jetstream.wire import Delivery

Until = Callable[..., Awaitable[None]]
SCENARIO = """\
schema_version: 1
name: orders
fleet: {crew: {count: 2}}
phases: [{name: all, duration: 9s}]
limits: {max_slip_p99_ms: 10000}
"""
ONE, OTHER = "crew-0001", "crew-0002"


def control(name: str, request: str, destination: str, **parameters: object) -> bytes:
    """Return a control command."""
    metadata = {
        "message_id": request,
        "correlation_id": request,
        "timestamp": "2026-01-01T00:00:00Z",
        "message_type": "command",
        "source": "operator",
        "destination": destination,
    }
    return orjson.dumps({"command_name": name, "parameters": parameters, "metadata": metadata})


async def test_commands_change_bots_and_are_answered_during_a_run(
    tmp_path: Path, server: NatsServer, connection: Connection, until: Until
) -> None:
    """One bot switches its payload on, all change their transponder, nonsense is refused; PASS."""
    (tmp_path / "orders.yaml").write_text(SCENARIO)
    latest: dict[str, Any] = {}
    answers: list[dict[str, Any]] = []

    def telemetry(batch: list[Delivery]) -> None:
        for _, _, _, payload in batch:
            document = orjson.loads(payload)
            latest[document["source"]] = document

    def responses(batch: list[Delivery]) -> None:
        for _, _, _, payload in batch:
            validate_payload("responses.control", payload)
            answers.append(orjson.loads(payload))

    await connection.subscribe("lab.qiki.telemetry", telemetry)
    await connection.subscribe("lab.qiki.responses.control", responses)
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "twin", "run", "orders.yaml", "--nats", server.url),
        *("--prefix", "lab"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        await until(lambda: len(latest) == 2, deadline_s=60)
        control_subject = "lab.qiki.commands.control"
        reply = await connection.request(control_subject, control("power.nbl.on", "r1", ONE))
        assert orjson.loads(reply[3])["ok"] is True
        reply = await connection.request(control_subject, control("sim.dance", "r2", ONE))
        refused = orjson.loads(reply[3])
        await connection.publish(control_subject, b"nonsense")
        await connection.publish(
            control_subject, control("sim.xpdr.mode", "r3", "q_sim_service", mode="SPOOF")
        )
        await until(lambda: latest[ONE]["power"]["nbl_active"])
        await until(
            lambda: all(one["comms"]["plane_profile"] == "spoof" for one in latest.values())
        )
        assert not latest[OTHER]["power"]["nbl_active"]
        output, _ = await asyncio.wait_for(run.communicate(), 240)
    finally:
        if run.returncode is None:
            run.kill()
            await run.wait()
    assert run.returncode == 0, output.decode()
    assert (refused["ok"], refused["error"]) == (False, "unknown_command")
    assert [one["request_id"] for one in answers] == ["r1", "r2", "", "", "r3", "r3"]
    folder = (tmp_path / "runs" / "last").resolve()
    logged = [orjson.loads(line) for line in (folder / "inputs.jsonl").read_bytes().splitlines()]
    assert [line["bot"] for line in logged] == [ONE, ONE, ONE, OTHER, ONE, OTHER]
    result = orjson.loads((folder / "result.json").read_bytes())
    assert result["verdict"] == "PASS"
