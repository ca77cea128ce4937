"""What the services export, as Prometheus' own tool reads it."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
pytestmark = [pytest.mark.external]


@pytest.fixture(scope="module")
def promtool() -> str:
    """The program; its absence is a failure, not a skip."""
    path = f"{ROOT / '.tools' / 'usr' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which("promtool", path=path)
    assert found, "promtool is missing: run .ci/tools"
    return found


def page_of(url_file: Path, run: "subprocess.Popen[bytes]") -> bytes:
    """Return the metrics page of a run once it has samples."""
    end = time.monotonic() + 40
    page = b""
    while b"twin_consumer_backlog{" not in page:
        assert run.poll() is None, "the run ended first"
        assert time.monotonic() < end, "no sample came"
        if url_file.exists() and (url := url_file.read_text().strip()):
            page = urllib.request.urlopen(url, timeout=30).read()  # noqa: S310 - our own page
        time.sleep(0.2)
    return page


def test_metrics_of_a_run_follow_the_conventions(promtool: str, tmp_path: Path) -> None:
    """`promtool check metrics` accepts the lag page of a run while it lasts."""
    run = subprocess.Popen(
        [sys.executable, "-m", "twin", "run", "builtin:patrol", "--out", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while not (found := list(tmp_path.glob("*/metrics.url"))):
            assert time.monotonic() < end, "the run never served its metrics"
            time.sleep(0.1)
        page = page_of(found[0], run)
    finally:
        run.terminate()
        run.wait(60)
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, check=False, timeout=120
    )
    assert (checked.returncode, checked.stderr) == (0, b""), checked.stderr.decode()
