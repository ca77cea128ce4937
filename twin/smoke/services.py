"""Checks of what runs beside the broker: the lag monitor's eyes, health pages, generated files."""

import asyncio
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from twin.configs.generate import drift, generate
from twin.jetstream.consumer import PullConsumer
from twin.smoke.check import Broken, NotChecked
from twin.smoke.site import Site, publish

__all__ = ["Recorded", "configs", "monitor", "monitor_pages", "recorded", "registrar_pages"]

BACKLOG = 25
SEEN_S = 4.0
POLL_S = 0.1
PAGE_S = 2.0
SHOWN = 4
PENDING = "jetstream_consumer_num_pending"


async def monitor(site: Site) -> str:
    """A backlog made on purpose is seen by the lag monitor, and so is its end."""
    if not site.monitor:
        raise NotChecked("no --monitor URL was given")
    async with site.stream("lag") as (stream, subject):
        for number in range(BACKLOG):
            await publish(site.connection, subject, b"%d" % number, b"NATS/1.0\r\n\r\n")
        seen_s = await _until(site, stream, lambda value: value == BACKLOG)
        if seen_s is None:
            raise Broken(
                f"a backlog of {BACKLOG} messages of {stream} was not seen within {SEEN_S:g} s",
                "see that `twin lag serve` reaches this broker, watches all streams "
                "(--stream '*') and looks at least once a second",
            )
        async with PullConsumer(site.connection, stream, stream) as consumer:
            left = BACKLOG
            while left and (batch := await consumer.next_batch(2.0)):
                await consumer.ack_sync(batch)
                left -= len(batch)
        gone_s = await _until(site, stream, lambda value: value == 0)
        if gone_s is None:
            raise Broken(
                f"the end of the backlog of {stream} was not seen within {SEEN_S:g} s",
                "see that `twin lag serve` goes on polling: its twin_consumer_up is 1",
            )
    return f"{BACKLOG} messages seen after {seen_s:.1f} s, their end after {gone_s:.1f} s"


async def registrar_pages(site: Site) -> str:
    """The registrar is alive and ready, and its metrics can be read."""
    if not site.registrar:
        raise NotChecked("no --registrar URL was given")
    await _page(site.registrar + "/healthz")
    try:
        await _page(site.registrar + "/readyz")
    except Broken as broken:
        why = ("jetstream", "topology")
        raise Broken(str(broken), broken.remedy, explained_by=why) from broken
    families = await _metrics(site.registrar, "registrar")
    if "registrar_events" not in families:
        raise Broken(
            f"{site.registrar}/metrics has no registrar_events_total",
            "give the URL of a registrar: --registrar http://HOST:PORT",
        )
    return f"{site.registrar}: /healthz, /readyz, {len(families)} metrics"


class Recorded(NamedTuple):
    """How many events a registrar has recorded, and the last sequence of each stream."""

    events: float
    last: dict[str, float]


async def recorded(site: Site) -> Recorded:
    """Return what the registrar at the given URL says it has recorded."""
    text = await _page(f"{site.registrar}/metrics")
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    return Recorded(
        sum(one.value for one in samples if one.name == "registrar_events_total"),
        {
            one.labels.get("stream", ""): one.value
            for one in samples
            if one.name == "registrar_last_sequence"
        },
    )


async def monitor_pages(site: Site) -> str:
    """The lag monitor is alive, serves metrics, and says that it reaches its broker."""
    if not site.monitor:
        raise NotChecked("no --monitor URL was given")
    await _page(site.monitor + "/healthz")
    families = await _metrics(site.monitor, "lag monitor")
    if families.get("twin_lag_connected") != 1.0:
        raise Broken(
            f"{site.monitor}/metrics does not say twin_lag_connected 1",
            "give the URL of a `twin lag serve` that reaches its broker",
        )
    return f"{site.monitor}: /healthz, {len(families)} metrics"


async def configs(site: Site) -> str:
    """The generated files are what the spec gives today."""
    if site.configs is None:
        raise NotChecked("no --configs folder was given")
    lines = list(drift(site.configs, generate(site.spec)))
    if lines:
        changed = [line for line in lines if line[:1] in "+-"]
        raise Broken(
            f"{site.configs} differs from the spec: {' | '.join(changed[:SHOWN])}",
            f"twin spec generate SPEC -o {site.configs}",
        )
    return f"{site.configs} is what the spec gives"


async def _until(site: Site, stream: str, right: Callable[[float], bool]) -> float | None:
    """Return after how long the monitor shows what is right for a stream; None: not in time."""
    began = time.monotonic()
    while time.monotonic() - began < SEEN_S:
        text = await _page(f"{site.monitor}/metrics")
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                named = sample.labels.get("stream_name") == stream
                if sample.name == PENDING and named and right(sample.value):
                    return time.monotonic() - began
        await asyncio.sleep(POLL_S)
    return None


async def _metrics(url: str, service: str) -> dict[str, float]:
    """Return the first value of each metric family."""
    try:
        families = list(text_string_to_metric_families(await _page(f"{url}/metrics")))
    except ValueError as error:
        raise Broken(
            f"{url}/metrics is no Prometheus exposition: {error}",
            f"give the URL of the {service}",
        ) from error
    return {one.name: one.samples[0].value if one.samples else 0.0 for one in families}


async def _page(url: str) -> str:
    def get() -> str:
        with urllib.request.urlopen(url, timeout=PAGE_S) as answer:  # noqa: S310 - checked by the cli
            return str(answer.read(4_000_000).decode())

    try:
        return await asyncio.to_thread(get)
    except urllib.error.HTTPError as error:
        raise Broken(f"{url} answers {error.code}", "see the log of that service") from error
    except http.client.HTTPException as error:
        raise Broken(
            f"what answers {url} speaks no HTTP: {str(error).strip()}", "mend the URL"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Broken(
            f"{url} does not answer: {reason}", "start the service, or mend the URL"
        ) from error
