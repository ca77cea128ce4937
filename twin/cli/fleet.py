"""`twin fleet`: bots that publish to a deployment until they are stopped."""

import asyncio
from typing import Annotated

import typer

from twin.cli.services import address, until_terminated
from twin.configs.topology import space_of
from twin.events.subjects import SubjectSpace
from twin.jetstream.options import BrokerOptions
from twin.scenario.fleet.feed import Feed
from twin.simulation.fleet import FleetGroup
from twin.spec.load import load_spec

__all__ = ["fleet"]


def fleet(
    spec: Annotated[str, typer.Argument(help="A BotSpec file, or builtin:NAME.")] = (
        "builtin:BotSpec"
    ),
    bots: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 10,
    name: Annotated[str, typer.Option(help="First part of the bots' ids.")] = "fleet",
    nats: Annotated[str, typer.Option(help="The server; without it NATS_URL.", metavar="URL")] = "",
    context: Annotated[
        str, typer.Option(help="A nats CLI context that names the server.", metavar="NAME")
    ] = "",
    prefix: Annotated[
        str, typer.Option(help="First tokens of all subjects.", metavar="TOKENS")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the bots.")] = 1,
    http: Annotated[
        str, typer.Option(help="Where /metrics is; port 0 takes a free one.", metavar="HOST:PORT")
    ] = "127.0.0.1:9778",
) -> None:
    """Simulate bots that publish in real time and answer commands, until SIGTERM or Ctrl-C.

    Nothing is judged, and no stream is made: `twin spec apply` does that.

    Example: twin fleet builtin:BotSpec --bots 20 --nats nats://127.0.0.1:4222
    """
    loaded = load_spec(spec)
    feed = Feed(
        FleetGroup(name, loaded, bots),
        seed,
        BrokerOptions.resolve(nats, context),
        SubjectSpace(space_of(loaded).layout, prefix),
        address(http),
    )
    asyncio.run(until_terminated(feed.run()))
