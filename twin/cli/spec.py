"""`twin spec`: what is made from a BotSpec."""

from pathlib import Path
from typing import Annotated

import typer

from twin.configs.generate import drift, generate, stale
from twin.errors import UsageError
from twin.scenario.model import Scenario
from twin.spec.annotate import annotated_spec
from twin.spec.bot import BotSpec
from twin.spec.load import load_spec
from twin.spec.schema import file_schema

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
) -> None:
    """Make bot config, streams, consumers, nats-server.conf, AsyncAPI, scrape config.

    Example: twin spec generate specs/BotSpec.yaml -o build/
    """
    files = generate(load_spec(spec))
    if check:
        differences = list(drift(out, files))
        for line in differences or [f"{out}: {len(files)} files are current"]:
            typer.echo(line)
        raise typer.Exit(1 if differences else 0)
    write_files(out, files)
    for name in stale(out, files):
        typer.echo(f"{out / name} belongs to no stream or consumer of the spec: delete it")


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
