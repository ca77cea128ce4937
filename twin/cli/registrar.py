"""`twin registrar`: the audit service and its store."""

import asyncio
import signal
import sys
from collections.abc import Iterable
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from twin.errors import UsageError
from twin.events.streams import build_topology
from twin.events.subjects import Layout, SubjectSpace
from twin.jetstream.options import BrokerOptions
from twin.registrar.codes import Severity, code_range
from twin.registrar.consumers import Durable, attaching, durables_of, reconciling
from twin.registrar.http import Address
from twin.registrar.present import (
    as_csv,
    as_json_lines,
    as_table,
    dump_lines,
    stats_document,
    stats_table,
)
from twin.registrar.query import Condition, Filter, Found, read_records
from twin.registrar.rules import Rules
from twin.registrar.serve import ServeOptions, serve
from twin.registrar.service import RegistrarOptions
from twin.registrar.stats import store_stats
from twin.registrar.times import parse_ns
from twin.registrar.verify import verify
from twin.spec.load import load_spec

__all__ = ["app"]

app = typer.Typer(
    name="registrar",
    help="The audit service and its store.",
    add_completion=False,
    no_args_is_help=True,
)

StoreOption = Annotated[Path, typer.Option("--store", help="Folder of the store.", metavar="DIR")]


class Format(StrEnum):
    """How records are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


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
    topology = build_topology(space, durable=durable, ack_wait_s=ack_wait).on_wire(space)
    durables = tuple(map(Durable.parse, consume)) if consume else durables_of(topology)
    options = RegistrarOptions(
        store=store,
        durables=durables,
        prepare=attaching(durables) if attach or consume else reconciling(topology),
        space=space,
        rules=Rules.load(rules),
        fan_out=fan_out,
    )
    broker = BrokerOptions.resolve(nats, context)
    number = asyncio.run(serve(ServeOptions(broker, options, Address.parse(http), announce)))
    if number is signal.SIGINT:
        raise KeyboardInterrupt


@app.command()
def query(
    store: StoreOption,
    code: Annotated[
        list[int] | None, typer.Option(help="An event code, as 602; may be repeated.")
    ] = None,
    in_range: Annotated[
        list[str] | None, typer.Option("--range", help="A range of codes, as 6xx or 61x.")
    ] = None,
    severity: Annotated[
        str, typer.Option(help="This severity or a worse one, as WARN.", metavar="NAME")
    ] = "",
    bot: Annotated[str | None, typer.Option(help="A bot's id.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="A CloudEvents type.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="A CloudEvents id.")] = None,
    since: Annotated[str, typer.Option(help="Event time from here on, RFC 3339.")] = "",
    until: Annotated[str, typer.Option(help="Event time before this, RFC 3339.")] = "",
    correlation: Annotated[str | None, typer.Option(help="A correlation id.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="A payload field and its value, as power.soc_pct=20.")
    ] = None,
    output: Annotated[
        Format, typer.Option("--format", help="How records are printed.")
    ] = Format.TABLE,
    limit: Annotated[int, typer.Option(min=1, help="At most so many records.")] = 100,
    newest: Annotated[bool, typer.Option(help="The latest first.")] = False,
) -> None:
    """Find records by what is known of them, in the order of their event time.

    Example: twin registrar query --store runs/last/registrar --range 6xx --severity WARN
    """
    wanted = Filter(
        codes=tuple([(one, one) for one in code or []] + [_range(one) for one in in_range or []]),
        severity=_severity(severity),
        bot=bot,
        type=event_type,
        id=event_id,
        since_ns=_time(since),
        until_ns=_time(until),
        correlation=correlation,
        where=tuple(map(Condition.parse, where or [])),
    )
    _print(islice(read_records(store, wanted, newest), limit), output)


@app.command()
def stats(
    store: StoreOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count what a store holds.

    Example: twin registrar stats --store runs/last/registrar
    """
    found = store_stats(store)
    document = stats_document(found)
    if as_json:
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        return
    Console().print(stats_table(found))
    for name in ("events", "notes", "batches", "segments", "bytes", "first", "last"):
        typer.echo(f"{name:9} {document[name]}")


@app.command("verify")
def verify_command(
    store: StoreOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recompute every hash of a store; exit 1 and the places if it is not what was written.

    Example: twin registrar verify --store runs/last/registrar
    """
    found = verify(store)
    if as_json:
        breaks = [one._asdict() for one in found.breaks]
        document = {
            "good": found.good,
            "batches": found.batches,
            "events": found.rows,
            "notes": found.notes,
            "last_hash": found.last_hash,
            "breaks": breaks,
        }
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    else:
        for one in found.breaks:
            typer.echo(f"BROKEN {one}")
        what = f"{found.batches} batches, {found.rows} events, {found.notes} notes"
        verdict = "intact" if found.good else f"{len(found.breaks)} breaks"
        typer.echo(f"{verdict}: {what}; last hash {found.last_hash}")
    if not found.good:
        raise typer.Exit(1)


@app.command()
def export(
    store: StoreOption,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write here instead of to standard output.")
    ] = None,
) -> None:
    """Write everything in a store as JSON lines: batches, events, notes.

    Example: twin registrar export --store runs/last/registrar -o audit.jsonl
    """
    if out is None:
        for line in dump_lines(store):
            sys.stdout.buffer.write(line)
        return
    try:
        with out.open("wb") as file:
            file.writelines(dump_lines(store))
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from error


def _print(records: Iterable[Found], output: Format) -> None:
    if output is Format.TABLE:
        Console().print(as_table(records))
    elif output is Format.JSON:
        for line in as_json_lines(records):
            sys.stdout.buffer.write(line)
    else:
        for text in as_csv(records):
            sys.stdout.write(text)


def _range(text: str) -> tuple[int, int]:
    try:
        return code_range(text)
    except ValueError as error:
        raise UsageError(f"--range: {error}") from error


def _severity(text: str) -> int:
    if not text:
        return 0
    if text.upper() not in Severity.__members__:
        raise UsageError(f"--severity: '{text}' is none of {', '.join(Severity.__members__)}")
    return Severity[text.upper()]


def _time(text: str) -> int | None:
    try:
        return parse_ns(text) if text else None
    except ValueError as error:
        raise UsageError(str(error)) from error
