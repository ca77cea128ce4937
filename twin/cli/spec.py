"""`twin spec`: what is made from a BotSpec."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from twin.configs.generate import drift, generate, stale
from twin.configs.roles import roles
from twin.configs.secrets import context_file, password_in, secret_files
from twin.configs.topology import space_of, spec_topology
from twin.errors import UsageError
from twin.events.topology import Topology
from twin.jetstream.connection import connect
from twin.jetstream.options import DEFAULT_URL, BrokerOptions
from twin.jetstream.reconcile import Action, Change, reconcile
from twin.jetstream.reconcile import drift as differences
from twin.scenario.language.model import Scenario
from twin.spec.annotate import annotated_spec
from twin.spec.bot import BotSpec
from twin.spec.load import load_spec
from twin.spec.schema import file_schema
from twin.verdict.files import write_atomic

__all__ = ["app", "schemas"]

app = typer.Typer(
    name="spec",
    help="Make configs and schemas from a BotSpec.",
    add_completion=False,
    no_args_is_help=True,
)


def schemas() -> dict[str, str]:
    """Return the JSON Schema of each kind of file that users write, by file name."""
    return {
        "botspec.schema.json": file_schema(BotSpec, "BotSpec of twin"),
        "scenario.schema.json": file_schema(Scenario, "Scenario of twin", placeholders=True),
    }


@app.command("generate")
def generate_configs(
    spec: Annotated[str, typer.Argument(help="A BotSpec file, or builtin:NAME.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to, or to check.")],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 with a diff where files differ.")
    ] = False,
    secrets: Annotated[
        Path | None,
        typer.Option(
            help="Also make passwords in this folder, for the server and each role.", metavar="DIR"
        ),
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="New passwords instead of those that are there.")
    ] = False,
) -> None:
    """Make bot config, streams, consumers, nats-server.conf, AsyncAPI, scrape config.

    Example: twin spec generate specs/BotSpec.yaml -o build/
    """
    if secrets is None and rotate:
        raise UsageError("--rotate belongs to --secrets")
    if secrets is not None and check:
        raise UsageError("--check compares what a spec gives; secrets are not among it")
    loaded = load_spec(spec)
    files = generate(loaded)
    if check:
        differences = list(drift(out, files))
        for line in differences or [f"{out}: {len(files)} files are current"]:
            typer.echo(line)
        raise typer.Exit(1 if differences else 0)
    write_files(out, files)
    for name in stale(out, files):
        typer.echo(f"{out / name} belongs to no stream or consumer of the spec: delete it")
    if secrets is not None:
        write_secrets(secrets, loaded, rotate=rotate)


@app.command()
def apply(
    spec: Annotated[str, typer.Argument(help="A BotSpec file, or builtin:NAME.")],
    nats: Annotated[str, typer.Option(help="The server; without it NATS_URL.", metavar="URL")] = "",
    context: Annotated[
        str, typer.Option(help="A nats CLI context that names the server.", metavar="NAME")
    ] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 where the server differs.")
    ] = False,
    allow_shrink: Annotated[
        bool,
        typer.Option("--allow-shrink", help="Lower limits too, which may delete messages."),
    ] = False,
) -> None:
    """Make the streams and consumers of a spec true on a server; delete nothing.

    What is not ours is attached to as it is if it fits, and otherwise shown with exit code 4.

    Example: twin spec apply specs/BotSpec.yaml --nats nats://127.0.0.1:4222
    """
    loaded = load_spec(spec)
    topology = spec_topology(loaded).on_wire(space_of(loaded))
    broker = BrokerOptions.resolve(nats, context)
    changes, conflicts = asyncio.run(_apply(broker, topology, check, allow_shrink))
    for change in changes:
        told = "; ".join(map(str, change.differences))
        typer.echo(f"{change.action} {change.kind} {change.name}" + (f": {told}" if told else ""))
    for conflict in conflicts:
        typer.echo(conflict)
    same = all(change.action is Action.UNCHANGED for change in changes)
    raise typer.Exit(1 if check and not (same and not conflicts) else 0)


async def _apply(
    broker: BrokerOptions, topology: Topology, check: bool, allow_shrink: bool
) -> tuple[list[Change], list[str]]:
    async with await connect(broker, name="twin-spec") as connection:
        if check:
            return await differences(connection, topology)
        return await reconcile(connection, topology, allow_shrink=allow_shrink), []


@app.command()
def schema(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path("schema"),
) -> None:
    """Write JSON Schemas for editors; a file names its own in line 1.

    Example: twin spec schema -o specs/schema, and in a spec
    `# yaml-language-server: $schema=schema/botspec.schema.json`
    """
    write_files(out, schemas())


@app.command()
def defaults() -> None:
    """Print a spec of all components with every default, its unit and its meaning.

    Example: twin spec defaults > specs/bot.yaml
    """
    typer.echo(annotated_spec(), nl=False)


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write text files, telling each; raises UsageError where that is impossible."""
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            typer.echo(f"wrote {path}")
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}") from error


def write_secrets(folder: Path, spec: BotSpec, *, rotate: bool) -> None:
    """Write a server configuration and a context per role, which only their owner may read.

    Passwords that are there stay, unless `rotate`. Raises UsageError where writing fails.
    """
    users = roles(spec, spec_topology(spec))
    paths = {one.user: folder / context_file(one) for one in users}
    texts = {
        user: path.read_text(encoding="utf-8") for user, path in paths.items() if path.is_file()
    }
    known = {} if rotate else {user: password_in(text) for user, text in texts.items()}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in secret_files(spec.metadata.id, users, DEFAULT_URL, known).items():
            path = folder / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(path, text.encode(), 0o600)
            typer.echo(f"wrote {path}")
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}") from error
