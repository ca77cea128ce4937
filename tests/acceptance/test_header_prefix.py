"""Events in the platform's `ce_` spelling: written on request, read by everyone."""

import asyncio
from pathlib import Path

import orjson
from in_process import twin_apart

from twin.jetstream.connection import BrokerOptions, connect
from twin.jetstream.scan import scan
from twin.jetstream.server import NatsServer

SCENARIO = """\
schema_version: 1
name: dialect
fleet: {crew: {count: 2}}
phases: [{name: all, duration: 3s}]
header_prefix: ce_
observers: {copy: {stream: QIKI_TELEMETRY_V1, key: id, subjects: [qiki.telemetry]}}
guarantees: {lost: 0, duplicates: 0, unexpected: 0}
limits: {max_slip_p99_ms: 10000}
"""


async def test_a_run_in_the_platforms_spelling(tmp_path: Path, server: NatsServer) -> None:
    """Stream, registrar and an observer account for every event; no `ce-` header is written."""
    (tmp_path / "dialect.yaml").write_text(SCENARIO)
    run = ("run", "dialect.yaml", "--nats", server.url, "--prefix", "lab")
    done = await asyncio.to_thread(twin_apart, tmp_path, *run)
    assert done.returncode == 0, done.stdout + done.stderr
    result = orjson.loads((tmp_path / "runs" / "last" / "result.json").read_bytes())
    counts = {hop["name"]: hop["events"] for hop in result["hops"]}
    assert counts["stream"] == counts["registrar"] == result["totals"]["acknowledged"]
    async with await connect(BrokerOptions(url=server.url), name="test") as connection:
        found = [
            m async for batch in scan(connection, "LAB_QIKI_TELEMETRY_V1", 1, 10) for m in batch
        ]
    assert found
    for message in found:
        assert b"\r\nce_id: " in message.headers
        assert b"\r\nce-" not in message.headers
