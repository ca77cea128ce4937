"""The commands of `twin registrar` that write what is in a store into a file of its own."""

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from twin.cli.registrar_store import StoreOption
from twin.cli.replacing import replacing
from twin.errors import UsageError
from twin.registrar.parquet import write_parquet
from twin.registrar.present import dump_lines
from twin.registrar.verify import stored_checkpoints

__all__ = ["checkpoints", "export"]


class FileFormat(StrEnum):
    """In what everything is written."""

    JSONL = "jsonl"
    PARQUET = "parquet"


class Table(StrEnum):
    """What is written."""

    EVENTS = "events"
    NOTES = "notes"
    BATCHES = "batches"


def checkpoints(
    store: StoreOption,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write here instead of to standard output.")
    ] = None,
) -> None:
    """Write the signed checkpoints of a store as JSON lines, to be kept elsewhere.

    Example: twin registrar checkpoints --store runs/last/registrar -o checkpoints.jsonl
    """
    _write((signed.line() for signed in stored_checkpoints(store)), out)


def export(
    store: StoreOption,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write here instead of to standard output.")
    ] = None,
    output: Annotated[
        FileFormat | None,
        typer.Option("--format", help="By default what the file's name ends with, else jsonl."),
    ] = None,
    table: Annotated[
        Table | None, typer.Option(help="What to write: for jsonl all three, for parquet events.")
    ] = None,
) -> None:
    """Write what is in a store as JSON lines or Parquet: events, notes, batches.

    Example: twin registrar export --store runs/last/registrar -o audit.jsonl
    """
    parquet = out is not None and out.suffix == ".parquet"
    if (output or (FileFormat.PARQUET if parquet else FileFormat.JSONL)) is FileFormat.JSONL:
        _write(dump_lines(store, table), out)
        return
    if out is None:
        raise UsageError("Parquet is no text for standard output; name a file with -o")
    wanted = table or Table.EVENTS
    with replacing(out) as part:
        rows = write_parquet(store, wanted, part)
    typer.echo(f"{rows} {wanted} in {out}")


def _write(lines: Iterable[bytes], out: Path | None) -> None:
    if out is None:
        for line in lines:
            sys.stdout.buffer.write(line)
        return
    with replacing(out) as part, part.open("wb") as file:
        file.writelines(lines)
