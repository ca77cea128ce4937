"""The commands of `twin registrar` that read a store."""

import asyncio
import re
import sys
import time
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console

from twin.cli.record_filter import filtered
from twin.cli.replacing import replacing
from twin.errors import StoreError, UsageError
from twin.events.subjects import SubjectSpace
from twin.jetstream.connection import connect
from twin.jetstream.options import BrokerOptions
from twin.registrar.anchor import fetch_anchors, read_anchors
from twin.registrar.coverage import coverage
from twin.registrar.evidence import write_pack
from twin.registrar.filter import Filter
from twin.registrar.follow import Follower
from twin.registrar.present import (
    as_csv,
    as_json_lines,
    as_lines,
    as_table,
    stats_document,
    stats_table,
)
from twin.registrar.present_verify import verification_document, verification_lines
from twin.registrar.query import Found, read_records
from twin.registrar.statements import Signed
from twin.registrar.stats import store_stats
from twin.registrar.verify import store_id, verify

__all__ = ["StoreOption", "evidence", "query", "stats", "tail", "verify_command"]

PUBLIC_KEY: Final = re.compile(r"[0-9A-Fa-f]{64}")
MOST: Final = 1_000_000_000
"""Records that can be asked for at once."""

StoreOption = Annotated[Path, typer.Option("--store", help="Folder of the store.", metavar="DIR")]


class Format(StrEnum):
    """How records are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    SPREADSHEET = "spreadsheet"


@filtered
def query(
    wanted: Filter,
    store: StoreOption,
    output: Annotated[
        Format,
        typer.Option(
            "--format", help="How records are printed; spreadsheet: CSV without formulas."
        ),
    ] = Format.TABLE,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many records.")] = 100,
    newest: Annotated[bool, typer.Option(help="The latest first.")] = False,
) -> None:
    """Find records by what is known of them, in the order of their event time.

    Example: twin registrar query --store runs/last/registrar --range 6xx --severity WARN
    """
    _print(islice(read_records(store, wanted, newest), limit), output)


@filtered
def tail(
    wanted: Filter,
    store: StoreOption,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, max=MOST, help="So many to begin with.")
    ] = 10,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is recorded, until Ctrl-C.")
    ] = False,
    output: Annotated[
        Format, typer.Option("--format", help="How records are printed; table: a line each.")
    ] = Format.TABLE,
) -> None:
    """Show what was recorded last, in the order in which it was recorded.

    Example: twin registrar tail --store runs/last/registrar --severity WARN
    """
    follower = Follower(store, wanted)
    records = chain(follower.last(lines), follower.follow() if follow else ())
    for text in _texts(records, output):
        sys.stdout.buffer.write(text)
        sys.stdout.flush()


@filtered
def evidence(
    wanted: Filter,
    store: StoreOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The zip file.", metavar="FILE")],
    limit: Annotated[
        int, typer.Option(min=1, max=MOST, help="Refuse to pack more records.")
    ] = 100_000,
) -> None:
    """Pack what is found with the proof that it is in the log, and a verifier that needs no log.

    An event of a batch of more than 128 comes with up to seven others that share its hash.
    Example: twin registrar evidence --store runs/last/registrar --code 602 -o evidence.zip
    """
    found = list(islice(read_records(store, wanted), limit + 1))
    if len(found) > limit:
        raise UsageError(f"more than {limit} records match; narrow it down or raise --limit")
    with replacing(out) as part:
        packed = write_pack(store, found, wanted.document(), part, time.time_ns())
    typer.echo(f"{packed.records} records in {out}, signed by {packed.key}")
    if packed.neighbours:
        typer.echo(f"it shows {packed.neighbours} others as well, which share hashes with them")


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
        typer.echo(f"{name:9} {'-' if document[name] is None else document[name]}")


def verify_command(
    store: StoreOption,
    key: Annotated[
        str, typer.Option(help="The public key that has to have signed it.", metavar="HEX")
    ] = "",
    anchor: Annotated[
        Path | None,
        typer.Option(help="Checkpoints kept elsewhere, as JSON lines.", metavar="FILE"),
    ] = None,
    nats: Annotated[
        str, typer.Option(help="A server that has the store's checkpoints.", metavar="URL")
    ] = "",
    context: Annotated[
        str, typer.Option(help="A nats CLI context that names it.", metavar="NAME")
    ] = "",
    prefix: Annotated[
        str, typer.Option(help="First tokens of all subjects there.", metavar="TOKENS")
    ] = "",
    with_coverage: Annotated[
        bool, typer.Option("--coverage", help="Also account for every sequence of each stream.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recompute every hash of a store and check every signature.

    Exit 1 and the places if it is not what was written, with --coverage also if nobody knows
    why a sequence is missing. A cut-off end and a store made anew
    show only against checkpoints that were kept elsewhere (--anchor, --nats) or the key.
    Example: twin registrar verify --store runs/last/registrar
    """
    if key and not PUBLIC_KEY.fullmatch(key):
        raise UsageError(f"--key: '{key}' is no public key, which has 64 hexadecimal digits")
    anchors = read_anchors(anchor) if anchor else []
    if nats or context:
        broker = BrokerOptions.resolve(nats, context)
        anchors += asyncio.run(_fetched(broker, SubjectSpace(prefix=prefix), store_id(store)))
    found = verify(store, key.lower(), anchors)
    try:
        stretches = coverage(store) if with_coverage else None
    except StoreError:
        if found.good:
            raise
        stretches = None
    if as_json:
        document = verification_document(found, stretches)
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    else:
        for text in verification_lines(found, stretches or ()):
            typer.echo(text)
    if not found.good or any(one.cause == "unknown" for one in stretches or ()):
        raise typer.Exit(1)


async def _fetched(broker: BrokerOptions, space: SubjectSpace, store: str) -> list[Signed]:
    async with await connect(broker, name="twin-registrar-verify") as connection:
        found = await fetch_anchors(connection, space, store)
    if not found:
        raise UsageError(f"there is no checkpoint of store {store} on this server")
    return found


def _print(records: Iterable[Found], output: Format) -> None:
    if output is Format.TABLE:
        Console().print(as_table(records))
        return
    for text in _texts(records, output):
        sys.stdout.buffer.write(text)


def _texts(records: Iterable[Found], output: Format) -> Iterator[bytes]:
    if output is Format.JSON:
        return as_json_lines(records)
    if output in {Format.CSV, Format.SPREADSHEET}:
        lines = as_csv(records, spreadsheet=output is Format.SPREADSHEET)
    else:
        lines = as_lines(records)
    return (line.encode() for line in lines)
