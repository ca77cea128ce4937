"""`twin registrar`: the audit service and its store."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from twin.cli.registrar_export import checkpoints, export
from twin.cli.registrar_store import (
    StoreOption,
    evidence,
    query,
    stats,
    tail,
    verify_command,
)
from twin.events.streams import build_topology
from twin.events.subjects import Layout, SubjectSpace
from twin.jetstream.options import BrokerOptions
from twin.registrar.anchor import with_anchors
from twin.registrar.consumers import Durable, attaching, durables_of, reconciling
from twin.registrar.http import Address
from twin.registrar.limits import Limits
from twin.registrar.quantities import parse_age, parse_size
from twin.registrar.rules import Rules
from twin.registrar.serve import ServeOptions, serve
from twin.registrar.service import RegistrarOptions
from twin.spec.load import load_spec

__all__ = ["app"]

app = typer.Typer(
    name="registrar",
    help="The audit service and its store.",
    add_completion=False,
    no_args_is_help=True,
)


@app.command("serve")
def serve_command(
    store: StoreOption,
    nats: Annotated[str, typer.Option(help="The server; without it NATS_URL.", metavar="URL")] = "",
    context: Annotated[
        str, typer.Option(help="A nats CLI context that names the server.", metavar="NAME")
    ] = "",
    spec: Annotated[
        str, typer.Option(help="A BotSpec, for its subject layout.", metavar="FILE")
    ] = "",
    prefix: Annotated[
        str, typer.Option(help="First tokens of all subjects.", metavar="TOKENS")
    ] = "",
    layout: Annotated[Layout | None, typer.Option(help="How bots share the subject space.")] = None,
    durable: Annotated[
        str, typer.Option(help="Name of the durable on each stream.", metavar="NAME")
    ] = "registrar",
    ack_wait: Annotated[
        float, typer.Option(min=0.5, help="Seconds until an unacknowledged message comes again.")
    ] = 5.0,
    attach: Annotated[
        bool, typer.Option(help="Wait for streams and consumers instead of making them.")
    ] = False,
    consume: Annotated[
        list[str] | None,
        typer.Option(help="Read just this STREAM:DURABLE, which is waited for; may be repeated."),
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="Rules of yours, tried before ours.", metavar="FILE")
    ] = None,
    fan_out: Annotated[
        bool, typer.Option(help="Publish audit records of what the rules say.")
    ] = True,
    anchor: Annotated[
        bool | None,
        typer.Option(
            help="Publish signed checkpoints; by default unless --attach or --consume is given.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            help="The signing key, made if it is not there; by default in the store.",
            metavar="FILE",
        ),
    ] = None,
    segment_size: Annotated[
        str, typer.Option(help="Close a file of the store at this size.", metavar="SIZE")
    ] = "1G",
    segment_age: Annotated[
        str, typer.Option(help="Close a file of the store at this age.", metavar="AGE")
    ] = "1d",
    keep_size: Annotated[
        str, typer.Option(help="Drop the oldest files above this size of all.", metavar="SIZE")
    ] = "",
    keep_age: Annotated[
        str,
        typer.Option(help="Drop files whose last event was recorded so long ago.", metavar="AGE"),
    ] = "",
    dedupe_segments: Annotated[
        int, typer.Option(min=0, max=1000, help="Closed files in which duplicates are looked for.")
    ] = 4,
    http: Annotated[
        str, typer.Option(help="Where /healthz, /readyz and /metrics are.", metavar="HOST:PORT")
    ] = "127.0.0.1:0",
    announce: Annotated[
        Path | None,
        typer.Option(help="Written once it consumes: JSON with pid and http.", metavar="FILE"),
    ] = None,
) -> None:
    """Record every event of the platform's streams, until SIGTERM or Ctrl-C.

    Example: twin registrar serve --store audit --nats nats://127.0.0.1:4222 --http 127.0.0.1:9100
    """
    layout = layout or (Layout(load_spec(spec).event_bus.layout) if spec else Layout.PLATFORM)
    space = SubjectSpace(layout, prefix)
    own = not (attach or consume)
    anchor = own if anchor is None else anchor
    logical = build_topology(space, durable=durable, ack_wait_s=ack_wait)
    topology = (with_anchors(logical) if anchor and own else logical).on_wire(space)
    durables = tuple(map(Durable.parse, consume)) if consume else durables_of(topology)
    options = RegistrarOptions(
        store=store,
        durables=durables,
        prepare=reconciling(topology) if own else attaching(durables),
        space=space,
        rules=Rules.load(rules),
        fan_out=fan_out,
        anchor=anchor,
        limits=_limits(segment_size, segment_age, keep_size, keep_age, dedupe_segments),
        key=key,
    )
    broker = BrokerOptions.resolve(nats, context)
    number = asyncio.run(serve(ServeOptions(broker, options, Address.parse(http), announce)))
    if number is signal.SIGINT:
        raise KeyboardInterrupt


def _limits(
    segment_size: str, segment_age: str, keep_size: str, keep_age: str, dedupe_segments: int
) -> Limits:
    """Read what the options of these names say; an empty one keeps everything."""
    return Limits(
        segment_bytes=parse_size("--segment-size", segment_size),
        segment_age_s=parse_age("--segment-age", segment_age),
        keep_bytes=parse_size("--keep-size", keep_size) if keep_size else 0,
        keep_age_s=parse_age("--keep-age", keep_age) if keep_age else 0.0,
        dedupe_segments=dedupe_segments,
    )


for name, command in (
    ("query", query),
    ("tail", tail),
    ("stats", stats),
    ("verify", verify_command),
    ("checkpoints", checkpoints),
    ("evidence", evidence),
    ("export", export),
):
    app.command(name)(command)
