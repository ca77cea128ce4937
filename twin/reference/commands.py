"""The page of commands: every one with its arguments, options and example."""

from collections.abc import Iterator
from typing import TypeAlias, cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from twin.cli.main import app
from twin.reference.markdown import code, table

__all__ = ["commands_page"]

Node: TypeAlias = TyperCommand | TyperGroup
"""What typer makes of every function and group, though it promises a class that it hides."""

HEAD = """# Commands

What `twin COMMAND --help` says, of every command.
"""


def commands_page() -> str:
    """Return the page; commands in the order in which `twin --help` names them."""
    root = cast("Node", typer.main.get_command(app))
    return HEAD + "".join(f"\n{section}" for section in _sections("twin", root))


def _sections(name: str, command: Node) -> Iterator[str]:
    """Yield a section for a command, or one for each of a group's."""
    context = typer.Context(command)
    if not isinstance(command, TyperGroup):
        yield _section(name, command, context)
        return
    for child in command.list_commands(context):
        found = cast("Node", command.get_command(context, child))
        yield from _sections(f"{name} {child}", found)


def _section(name: str, command: TyperCommand, context: typer.Context) -> str:
    pieces = (
        word.replace("{", "").replace("}", "") for word in command.collect_usage_pieces(context)
    )
    usage = " ".join([name, *pieces])
    parts = [f"## {name}\n", f"`{usage}`\n", f"{(command.help or '').strip()}\n"]
    records: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for one in command.params:
        if record := one.get_help_record(context):
            term = record[0].replace("list[str]", "text").replace(" range>", ">")
            records[isinstance(one, TyperArgument)].append((code(term), record[1]))
    for argument, rows in records.items():
        if rows:
            parts.append(table(["argument" if argument else "option", "means"], rows))
    return "\n".join(parts)
