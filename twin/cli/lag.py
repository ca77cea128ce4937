"""`twin lag`: how far consumers are behind, why, and what would help."""

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.live import Live

from twin.cli.services import address, until_terminated
from twin.errors import InfrastructureError, UsageError
from twin.jetstream.options import BrokerOptions
from twin.lag.explain import advise, facts
from twin.lag.monitor import open_sampler, serve_page
from twin.lag.present import LiveTable, as_line, as_text
from twin.lag.sample import ALL, ConsumerSample
from twin.verdict.files import write_atomic

__all__ = ["app"]

app = typer.Typer(
    name="lag",
    help="How far consumers are behind, why, and what would help.",
    add_completion=False,
    no_args_is_help=True,
)

NatsOption = Annotated[str, typer.Option(help="The server; without it NATS_URL.", metavar="URL")]
ContextOption = Annotated[
    str, typer.Option(help="A nats CLI context that names the server.", metavar="NAME")
]
StreamOption = Annotated[
    list[str] | None,
    typer.Option(help="Streams, by name or pattern (QIKI_*); may be repeated. All without it."),
]
IntervalOption = Annotated[
    float, typer.Option(min=0.1, max=3600.0, help="Seconds from one look to the next.")
]
PATTERN = re.compile(r"[^\s.>/\\\x00-\x1f\x7f]+")
NO_NAME = "it may not be empty, nor have spaces, dots, >, / or \\"
Take = Callable[[list[ConsumerSample]], None]


class Enough(Exception):
    """As many rounds as were asked for have been shown."""


@app.command("serve")
def serve_command(
    nats: NatsOption = "",
    context: ContextOption = "",
    stream: StreamOption = None,
    interval: IntervalOption = 1.0,
    http: Annotated[
        str, typer.Option(help="Where /metrics is; port 0 takes a free one.", metavar="HOST:PORT")
    ] = "127.0.0.1:9777",
    announce: Annotated[
        Path | None, typer.Option(help="Written once it serves: JSON with http.", metavar="FILE")
    ] = None,
) -> None:
    """Export the lag of all consumers to Prometheus, until SIGTERM or Ctrl-C.

    New streams and consumers appear by themselves. Example: twin lag serve --stream 'QIKI_*'
    """
    host, port = address(http)
    patterns = _patterns(stream)
    broker = BrokerOptions.resolve(nats, context)

    async def work() -> None:
        async with open_sampler(broker, patterns, interval, forever=True) as sampler:
            await sampler.sample(interval)
            with serve_page(sampler, host, port) as url:
                if announce is not None:
                    write_atomic(announce, orjson.dumps({"http": url}))
                typer.echo(url, err=True)
                await sampler.run(interval, lambda samples: None)

    asyncio.run(until_terminated(work()))


@app.command()
def watch(
    nats: NatsOption = "",
    context: ContextOption = "",
    stream: StreamOption = None,
    interval: IntervalOption = 1.0,
    count: Annotated[int, typer.Option(min=0, help="End after so many looks; 0 is never.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Show the lag of all consumers, live; plain lines where there is no terminal.

    Example: twin lag watch --nats nats://127.0.0.1:4222 --stream 'QIKI_*'
    """
    patterns = _patterns(stream)
    broker = BrokerOptions.resolve(nats, context)
    console = Console()

    async def work(take: Take) -> None:
        async with open_sampler(broker, patterns, interval) as sampler:
            await sampler.run(interval, _counted(take, count))

    def watch_with(take: Take) -> None:
        try:
            asyncio.run(until_terminated(work(take)))
        except Enough:
            return

    if as_json:
        watch_with(_print_json)
    elif not console.is_terminal:
        watch_with(_print_text)
    else:
        table = LiveTable()
        with Live(console=console, auto_refresh=False, screen=count == 0) as live:
            watch_with(lambda samples: live.update(table.show(samples), refresh=True))


@app.command()
def explain(
    stream: Annotated[str, typer.Argument(help="The stream.")],
    consumer: Annotated[str, typer.Argument(help="The consumer.")],
    nats: NatsOption = "",
    context: ContextOption = "",
    interval: IntervalOption = 0.5,
    looks: Annotated[int, typer.Option(min=1, max=1000, help="How often to look.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say why a consumer has its status, and which setting would help.

    Example: twin lag explain QIKI_EVENTS_V1 registrar
    """
    for what, name, wild in (("stream", stream, "*?["), ("consumer", consumer, "*")):
        if not PATTERN.fullmatch(name) or set(wild) & set(name):
            raise UsageError(f"{name!r} is no name of a {what}: {NO_NAME}, nor wildcards")
    broker = BrokerOptions.resolve(nats, context)
    seen = asyncio.run(_look(broker, stream, consumer, interval, looks))
    last = seen[-1]
    if as_json:
        document = {
            "stream": stream,
            "consumer": consumer,
            "status": last.status,
            "reason": last.reason,
            "facts": facts(seen),
            "advice": advise(seen),
        }
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        return
    typer.echo(f"{last.status} {stream}/{consumer}" + (f": {last.reason}" if last.reason else ""))
    for name, value in facts(seen).items():
        typer.echo(f"  {name:16} {value}")
    for text in advise(seen):
        typer.echo(f"- {text}")


def _patterns(streams: list[str] | None) -> list[str]:
    """Return what --stream names, all streams without it; UsageError for what names none."""
    for one in streams or ():
        if not PATTERN.fullmatch(one):
            raise UsageError(f"--stream: {one!r} is no name or pattern of streams: {NO_NAME}")
    return streams or ["*"]


async def _look(
    broker: BrokerOptions, stream: str, consumer: str, interval_s: float, looks: int
) -> list[ConsumerSample]:
    """Return the samples of one consumer; InfrastructureError when it never was there."""
    async with open_sampler(broker, [stream], interval_s) as sampler:
        seen: list[ConsumerSample] = []

        def take(samples: list[ConsumerSample]) -> None:
            seen.extend(one for one in samples if one.consumer == consumer)
            unknown = [one for one in samples if one.consumer == ALL and not one.missing]
            if not seen and unknown:
                name, why = f"{stream}/{consumer}", unknown[0].error
                raise InfrastructureError(f"Of {name} nothing is known: {why}.")
            if not seen:
                raise InfrastructureError(f"There is no consumer {stream}/{consumer}.")

        try:
            await sampler.run(interval_s, _counted(take, looks))
        except Enough:
            return seen
    raise AssertionError("a sampler without end has ended")


def _counted(take: Take, count: int) -> Take:
    """Return `take`, which raises Enough after `count` rounds (0: never)."""
    left = count

    def once(samples: list[ConsumerSample]) -> None:
        nonlocal left
        take(samples)
        left -= 1
        if left == 0:
            raise Enough

    return once


def _print_json(samples: list[ConsumerSample]) -> None:
    sys.stdout.buffer.write(b"".join(map(as_line, samples)))
    sys.stdout.buffer.flush()


def _print_text(samples: list[ConsumerSample]) -> None:
    for one in samples:
        typer.echo(as_text(one))
    sys.stdout.flush()
