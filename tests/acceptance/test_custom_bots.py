"""Bots that are not of the platform: a run of theirs, read by a program that is not ours."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from twin.jetstream.server import NatsServer

CONSUMER = Path(__file__).parent / "rover_consumer.py"
SCENARIO = """\
schema_version: 1
name: rovers
fleet:
  rovers: {count: 3, spec: "builtin:rover"}
  scouts: {count: 1}
phases:
  - {name: all, duration: 5s}
expect:
  - audit: {code: 299, min: 30}
limits: {max_slip_p99_ms: 10000}
"""


@pytest.mark.parametrize("stream", ["ROVER_V1", "ROVER_CAMERA_V1"])
async def test_foreign_consumer_reads_what_the_run_has_accounted_for(
    tmp_path: Path, server: NatsServer, stream: str
) -> None:
    """A plain nats-py program in its own process sees every event of a rover stream once."""
    (tmp_path / "rovers.yaml").write_text(SCENARIO)
    pipe = asyncio.subprocess.PIPE
    reader = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CONSUMER), server.url, f"LAB_{stream}", "4"), stdout=pipe
    )
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "twin", "run", "rovers.yaml", "--nats", server.url),
        *("--prefix", "lab"),
        cwd=tmp_path,
        stdout=pipe,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(run.communicate(), 240)
        assert run.returncode == 0, said.decode()
        out, _ = await asyncio.wait_for(reader.communicate(), 240)
    finally:
        for process in (run, reader):
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert reader.returncode == 0
    seen = json.loads(out)
    folder = (tmp_path / "runs" / "last").resolve()
    manifest = json.loads((folder / "manifest.json").read_text())
    stored = next(one for one in manifest["streams"] if one["name"] == f"LAB_{stream}")
    recorded = manifest["observers"][0]["per_subject"]
    plain = {subject.removeprefix("lab."): count for subject, count in seen["subjects"].items()}
    assert plain == stored["subjects"]
    assert plain == {subject: recorded[subject] for subject in plain}
    assert seen["ids"] == sum(plain.values()) >= 6
    assert not seen["errors"]
