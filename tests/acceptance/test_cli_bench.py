"""`twin bench`: the alternatives side by side, and the soak, as a user calls them."""

import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from in_process import twin_apart

from twin.bench.fields import FIELDS
from twin.bench.measured import quantile_ms
from twin.bench.pieces import PIECES
from twin.bench.traffic import FLOORS
from twin.report.compare import Bench

ROOT = Path(__file__).parent.parent.parent


def twin(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    env = {"COLUMNS": "120", "PATH": "/usr/bin:/bin", "TMPDIR": str(cwd)}
    return twin_apart(cwd, "bench", *arguments, env=env)


def test_traffic_measures_every_contender_and_says_what_was_promised(tmp_path: Path) -> None:
    """Each group's contenders, floors, versions and machine are shown; --json keeps all turns."""
    done = twin(
        *("traffic", "--quick", "--messages", "600", "--rounds", "1", "--json", "t.json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    result = Bench.load(tmp_path / "t.json")
    assert result.name == "traffic"
    assert result.settings == {"messages": 600, "rounds": 1, "payload_bytes": 256}
    assert result.versions["nats-server"] in done.stdout
    assert "cores" in result.machine
    ours = {floor.name for floor in FLOORS} - {"libnats js_PublishMsgAsync"}
    for name in {*ours, "nats-py publish_async", "nats-py fetch(1000)", "raw socket, no accounts"}:
        assert name in done.stdout
        metric = result.metrics[f"rate{{{name}}}"]
        assert len(metric.samples) == 1
        assert all(sample > 0 for sample in metric.samples)
    assert "ratio{twin, pipelined;raw socket, no accounts}" in result.metrics
    assert "cpu{twin, audited;registrar}" in result.metrics
    assert not list(tmp_path.glob("twin-bench-*"))


@pytest.mark.parametrize(
    ("field", "points", "parties"),
    [
        ("flow", (3,), {"twin": "registrar", "SimPy a sensor, nats-py, sqlite3": "reader"}),
        ("scale", (20,), {"twin": "server", "SimPy a sensor, nats-py": "server"}),
        ("payload", (100,), {"twin": "client", "nats-py publish_async": "client"}),
        ("lag", (5,), {"twin": "server", "nats-py consumer_info": "server"}),
        (
            "registrar",
            (100,),
            {"twin": "registrar", "nats-py fetch, JSON lines, no sync": "client"},
        ),
    ],
)
def test_whole_flows_are_measured_beside_their_alternatives(
    tmp_path: Path, field: str, points: tuple[int, ...], parties: dict[str, str]
) -> None:
    """Every contender at every point: rate, time and memory by process, latencies, ratios."""
    at = [word for point in points for word in ("--at", str(point))]
    done = twin(field, "--quick", *at, "--json", "f.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = Bench.load(tmp_path / "f.json")
    assert found.versions["nats-server"]
    unit = FIELDS[field].point
    for point in points:
        for name, party in parties.items():
            place = f"{name};{unit}={point}"
            assert found.metrics[f"rate{{{place}}}"].samples[0] > 1
            assert f"cpu{{{place};{party}}}" in found.metrics
            assert 5 < found.metrics[f"memory{{{place};{party}}}"].samples[0] < 1000
            if field.startswith("registrar"):
                assert 300 < found.metrics[f"bytes{{{place}}}"].samples[0] < 5_000
            if field in ("flow", "lag"):
                assert 0 < quantile_ms(found.histograms[f"latency{{{place}}}"], 50) < 5_000
        other = [*parties][1]
        assert f"ratio{{twin;{other};{unit}={point};cpu}}" in found.metrics
    assert not list(tmp_path.glob("twin-bench-*"))


def test_the_page_of_benchmarks_is_what_was_recorded(tmp_path: Path) -> None:
    """Its measured parts are those of the recorded results; one that was edited is told."""
    recorded, page = ROOT / "benchmarks" / "recorded", ROOT / "docs" / "benchmarks.md"
    done = twin("report", str(recorded), "--page", str(page), "--check", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    edited = tmp_path / "page.md"
    text = page.read_text()
    edited.write_text(re.sub(r"Recorded on 20", "Recorded on 19", text, count=1))
    done = twin("report", str(recorded), "--page", str(edited), "--check", cwd=tmp_path)
    assert done.returncode == 1
    assert "not what the results say" in done.stderr
    assert twin("report", str(recorded), "--page", str(edited), cwd=tmp_path).returncode == 0
    assert edited.read_text() == text


def test_benchmarks_of_pieces_run_beside_their_alternatives() -> None:
    """Each of `benchmarks/` once, untimed: none has been left behind by the code it measures."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "benchmarks",
            "-o",
            "addopts=",
            "--benchmark-disable",
            "-v",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for piece in ("codec", "encode", "ledger", "planes", "status", "store"):
        assert done.stdout.count(f"bench_{piece}.py::") >= 2, piece


def test_soak_counts_every_copy_over_a_killed_broker(tmp_path: Path) -> None:
    """Journal, stream and store hold the same events once, and the exit code says so."""
    done = twin("soak", "--events", "10k", "--kills", "1", "--json", "s.json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: 10,000 events" in done.stdout
    found = orjson.loads((tmp_path / "s.json").read_bytes())
    for place in ("attempted", "acknowledged", "stored", "recorded"):
        assert found[place] == 10_000
    wrong = ("lost", "duplicates", "reordered", "corrupt", "unexpected")
    assert [found[name] for name in wrong] == [0] * 5
    assert found["disconnects"] >= 1
    assert len(found["server_downtime_s"]) == 1


@pytest.mark.parametrize("events", ["0", "1G"])
def test_a_soak_of_no_number_is_refused(tmp_path: Path, events: str) -> None:
    """What --events takes is said, with exit code 2."""
    done = twin("soak", f"--events={events}", cwd=tmp_path)
    assert done.returncode == 2
    assert "10M" in done.stderr
    assert "Traceback" not in done.stderr


def test_pieces_are_measured_and_another_version_must_be_there(tmp_path: Path) -> None:
    """Every piece has a cost per event, the document is one for `twin compare`."""
    done = twin("pieces", "--repeats", "1", "--json", "pieces.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = Bench.load(tmp_path / "pieces.json")
    assert {*found.metrics} == {f"cpu{{{name}}}" for name in PIECES}
    assert all(0 < metric.samples[0] < 10_000 for metric in found.metrics.values())
    for arguments in (("pieces", "--against", "no-such-commit"), ("--against", "no-such-commit")):
        done = twin(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert "no-such-commit" in done.stderr or "git checkout" in done.stderr
    assert twin("--against", "main", "lag", cwd=tmp_path).returncode == 2
