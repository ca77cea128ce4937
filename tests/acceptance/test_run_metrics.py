"""While a run lasts, `/metrics` has the publisher's account beside the lag."""

import asyncio
import sys
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

Until = Callable[..., Awaitable[None]]
SCENARIO = """\
schema_version: 1
name: counted
fleet: {crew: {count: 2}}
phases: [{name: all, duration: 5s}]
limits: {max_slip_p99_ms: 10000}
"""


OUTCOMES = ("events_totalacknowledged", "events_totalrefused", "events_totalunknown")


def scraped(url: str) -> dict[str, float]:
    """Return the publisher's series; an outcome's name in brackets."""
    with urllib.request.urlopen(url, timeout=5) as page:  # noqa: S310 - our own page
        families = list(text_string_to_metric_families(page.read().decode()))
    samples = (one for family in families for one in family.samples)
    return {
        one.name.removeprefix("twin_publish_") + one.labels.get("outcome", ""): one.value
        for one in samples
        if one.name.startswith("twin_publish_")
    }


async def test_every_outcome_has_its_metric(tmp_path: Path, until: Until) -> None:
    """Offered is the sum of all outcomes and of what has none yet; it grows as events leave."""
    (tmp_path / "counted.yaml").write_text(SCENARIO)
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "twin", "run", "counted.yaml"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL,
    )
    address = tmp_path / "runs" / "last" / "metrics.url"
    await until(address.exists, deadline_s=60)
    seen: list[dict[str, float]] = []

    def look() -> bool:
        """Scrape until the sum is right: a page may be made while an event changes its place."""
        seen.append(scraped(address.read_text().strip()))
        whole = sum(seen[-1][part] for part in (*OUTCOMES, "in_flight", "waiting"))
        return seen[-1]["events_totalacknowledged"] > 20 and seen[-1]["offered_total"] == whole

    await until(look)
    last = seen[-1]
    assert seen[0]["offered_total"] <= last["offered_total"]
    assert {"resent_total", "duplicates_total", "overflowed_total", "disconnects_total"} <= set(
        last
    )
    assert await asyncio.wait_for(run.wait(), 60) == 0
