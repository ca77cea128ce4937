"""`twin bench`: load benchmarks beside the alternatives, on a nats-server of their own."""

import asyncio
import re
import tempfile
import time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.status import Status

from twin.bench.against import other_version, present_version, turns
from twin.bench.libnats import LibNats
from twin.bench.pieces import turn
from twin.bench.present import (
    document,
    floor_table,
    pieces_table,
    rate_table,
    soak_table,
)
from twin.bench.record import costs_document
from twin.bench.rig import PAYLOAD_BYTES, Rig
from twin.bench.soak import SoakResult, soak
from twin.bench.traffic import contenders, measure
from twin.cli.bench_fields import add_fields, report_command
from twin.cli.compare import as_markdown, exit_code, print_changes
from twin.errors import UsageError
from twin.jetstream.server import NatsServer
from twin.report.compare import compare
from twin.scenario.evidence.facts import machine, versions
from twin.verdict.files import write_atomic

__all__ = ["app"]

app = typer.Typer(
    name="bench",
    help="Load benchmarks, side by side with the alternatives.",
    add_completion=False,
    no_args_is_help=True,
)

QUICK_MESSAGES, QUICK_ROUNDS = 6_000, 2
QUICK_EVENTS, MOST_EVENTS = 100_000, 100_000_000
READY_S = 120.0
"""For a server that was killed to read a large store again."""


class Group(StrEnum):
    """What is compared."""

    PUBLISH = "publish"
    CONSUME = "consume"
    AUDIT = "audit"


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    against: Annotated[
        str | None,
        typer.Option(help="Short for `twin bench pieces --against REF`.", metavar="REF"),
    ] = None,
) -> None:
    """Load benchmarks, side by side with the alternatives."""
    if against is None:
        return
    if context.invoked_subcommand is not None:
        raise UsageError("--against belongs to `twin bench pieces`, or stands alone")
    pieces_command(against=against)


@app.command("traffic")
def traffic_command(
    messages: Annotated[
        int, typer.Option(min=100, max=10_000_000, help="Messages of one turn.", metavar="N")
    ] = 60_000,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Turns of everybody.")] = 5,
    only: Annotated[
        list[Group] | None, typer.Option(help="Compare just this; may be repeated.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few messages, two rounds: does it run at all?")
    ] = False,
    as_json: Annotated[
        Path | None,
        typer.Option("--json", help="Also write all repeats, for twin compare.", metavar="FILE"),
    ] = None,
) -> None:
    """Publish and consume beside nats-py, a raw socket and libnats, in turns.

    Example: twin bench traffic --only publish --json traffic.json
    """
    if quick:
        messages, rounds = min(messages, QUICK_MESSAGES), min(rounds, QUICK_ROUNDS)
    asyncio.run(_traffic(messages, rounds, [str(group) for group in only or ()], as_json))


async def _traffic(messages: int, rounds: int, only: list[str], as_json: Path | None) -> None:
    console, log = Console(), Console(stderr=True)
    began_ns = time.time_ns()
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as name:
        folder = Path(name)
        libnats = await asyncio.to_thread(LibNats.build, folder)
        field = contenders(only, libnats)
        async with NatsServer(folder / "nats", log=folder / "nats-server.log") as server:
            with log.status("starting") as status:
                outcome = await measure(Rig(server, folder), field, messages, rounds, status.update)
            where, built = machine(), versions(server.version)
    settings = {"messages": messages, "rounds": rounds, "payload_bytes": PAYLOAD_BYTES}
    console.print(
        f"{messages:,} messages a turn, {rounds} rounds in turns, {PAYLOAD_BYTES} bytes, "
        "7 CloudEvents headers and Nats-Msg-Id\n(of a fleet what it sends), file storage, "
        "all acknowledged and counted in the stream (slow contenders get a part of the messages)."
    )
    console.print(rate_table(field, outcome))
    console.print(floor_table(outcome))
    console.print(", ".join(f"{name} {number}" for name, number in built.items()))
    console.print(f"{where['processor']}, {where['cores']} cores, {where['system']}")
    if libnats is None:
        console.print("libnats is not in the table: it needs cc and the C client (libnats-dev).")
    if as_json is not None:
        result = document(
            outcome, began_ns=began_ns, machine=where, versions=built, settings=dict(settings)
        )
        write_atomic(as_json, result.model_dump_json(indent=2).encode())


add_fields(app)
app.command("report")(report_command)


@app.command("pieces")
def pieces_command(
    repeats: Annotated[int, typer.Option(min=1, max=200, help="Turns of every piece.")] = 12,
    against: Annotated[
        str | None,
        typer.Option(
            help="A commit of this checkout to be measured in turns with it.", metavar="REF"
        ),
    ] = None,
    as_json: Annotated[
        Path | None,
        typer.Option("--json", help="Also write all repeats, for twin compare.", metavar="FILE"),
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(help="Append the table as Markdown.", metavar="FILE")
    ] = None,
    one_turn: Annotated[bool, typer.Option("--one-turn", hidden=True)] = False,
) -> None:
    """Measure what every event passes: physics, encoding, decoding, registrar, lag status.

    In processor time per event, without a broker. With --against another version is built and
    both are measured in turns; exit code 1 when a piece has regressed, 3 when every one may have.
    --json then writes the other version's repeats too, to FILE with .base.json at its end.

    Example: twin bench pieces --against main
    """
    if one_turn:
        typer.echo(orjson.dumps(turn()))
        return
    console, began_ns = Console(), time.time_ns()
    other, samples = _measured(against, repeats)
    document = partial(
        costs_document,
        "pieces",
        began_ns=began_ns,
        settings={"repeats": repeats},
    )
    current = document(samples)
    if as_json is not None:
        write_atomic(as_json, current.model_dump_json(indent=2).encode())
    if against is None:
        console.print(pieces_table(current))
        return
    before = document(other)
    if as_json is not None:
        beside = as_json.with_suffix(".base.json")
        write_atomic(beside, before.model_dump_json(indent=2).encode())
    changes = compare(before, current)
    print_changes(changes)
    if summary is not None:
        with summary.open("a") as file:
            file.write(f"### Pieces against {against}\n\n{as_markdown(changes)}")
    raise typer.Exit(exit_code(changes))


def _measured(
    against: str | None, repeats: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the repeats of the other version, none without one, and of this one, by piece."""
    with Console(stderr=True).status("measuring") as status:
        tell = partial(_tell_turn, status, repeats)
        if against is not None:
            with other_version(against) as base:
                return turns(base, present_version(), repeats, tell)
        samples: dict[str, list[float]] = {}
        for number in range(repeats):
            for name, cost_us in turn().items():
                samples.setdefault(name, []).append(cost_us)
            tell(number + 1)
        return {}, samples


def _tell_turn(status: Status, repeats: int, number: int) -> None:
    status.update(f"turn {number} of {repeats}")


@app.command("soak")
def soak_command(
    events: Annotated[
        str, typer.Option(help="How many events: 250000, 500k, 10M.", metavar="N")
    ] = "1M",
    kills: Annotated[int, typer.Option(min=0, max=100, help="kill -9 of the broker.")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="At most 100,000 events: does it run at all?")
    ] = False,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Also write the result.", metavar="FILE")
    ] = None,
) -> None:
    """Publish many events over broker kills, and find each one exactly once everywhere.

    Journal, stream and the registrar's store are read from end to end. 10 million events take
    some 15 GB under TMPDIR. Exit 0: all counts equal, none lost, doubled, reordered or
    altered, memory flat; 1: not so. Example: twin bench soak --events 10M
    """
    count = _count(events)
    result = asyncio.run(_soak(min(count, QUICK_EVENTS) if quick else count, kills))
    Console().print(soak_table(result))
    if as_json is not None:
        write_atomic(as_json, result.as_json())
    raise typer.Exit(0 if result.passed else 1)


def _count(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9})([kM]?)", text)
    count = int(found[1]) * {"": 1, "k": 1_000, "M": 1_000_000}[found[2]] if found else 0
    if not 1 <= count <= MOST_EVENTS:
        raise UsageError(f"--events takes 1 to {MOST_EVENTS:,}, as 250000, 500k or 10M, not {text}")
    return count


async def _soak(events: int, kills: int) -> SoakResult:
    with tempfile.TemporaryDirectory(prefix="twin-soak-") as name:
        folder = Path(name)
        server = NatsServer(folder / "nats", log=folder / "nats-server.log", ready_s=READY_S)
        async with server:
            with Console(stderr=True).status("starting") as status:
                return await soak(server, folder, events, kills, status.update)
