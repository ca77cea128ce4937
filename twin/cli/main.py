"""The command `twin`: finds the command groups and turns errors into exit codes."""

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from twin import __version__
from twin.errors import InfrastructureError, TwinError, UsageError
from twin.printable import printable

__all__ = ["app", "run"]

COMMANDS = {
    "run": ("twin.cli.run", "run_scenarios"),
    "init": ("twin.cli.init", "init"),
    "smoke": ("twin.cli.smoke", "smoke"),
    "doctor": ("twin.cli.doctor", "doctor"),
    "validate": ("twin.cli.validate", "validate"),
    "selftest": ("twin.cli.selftest", "selftest"),
    "replay": ("twin.cli.replay", "replay"),
    "judge": ("twin.cli.judge", "judge_run"),
    "compare": ("twin.cli.compare", "compare_benches"),
    "spec": ("twin.cli.spec", "app"),
    "registrar": ("twin.cli.registrar", "app"),
    "lag": ("twin.cli.lag", "app"),
    "fleet": ("twin.cli.fleet", "fleet"),
    "capacity": ("twin.cli.capacity", "find_capacity"),
    "bench": ("twin.cli.bench", "app"),
}
"""Where each command is: a function, or a group of commands. Only the one asked for is loaded."""


class Commands(TyperGroup):
    """Loads a command when it is named, so that a service starts with what it needs."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # click's
        """Name all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """Load one command; UsageError for a name that is none."""
        if cmd_name not in COMMANDS:
            near = get_close_matches(cmd_name, COMMANDS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(COMMANDS)}"
            raise UsageError(f"no command is called {cmd_name!r}; {hint}")
        module, name = COMMANDS[cmd_name]
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            group = found
        else:
            group = typer.Typer(
                context_settings=HELP, pretty_exceptions_enable=False, add_completion=False
            )
            group.command(cmd_name)(found)
        group.info.name = cmd_name
        return get_command(group)


HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    name="twin",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=HELP,
)


def print_version(wanted: bool) -> None:
    """Print the version and leave, when it is wanted."""
    if wanted:
        typer.echo(f"twin {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Simulate a fleet on a real JetStream, break things, and get a verdict to trust.

    Exit codes: 0 PASS, 1 FAIL, 2 bad usage, 3 INVALID, 4 infrastructure, 130 interrupted.
    """


def run() -> None:
    """Run the command line; this is the console script."""
    try:
        app()
    except TwinError as error:
        print(f"twin: {printable(str(error), lines=True)}", file=sys.stderr)  # noqa: T201 - the one place that speaks for errors
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("twin: interrupted", file=sys.stderr)  # noqa: T201 - see above
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(InfrastructureError.exit_code)
    except OSError as error:
        print(f"twin: {error}", file=sys.stderr)  # noqa: T201 - see above
        sys.exit(InfrastructureError.exit_code)
    except Exception as error:
        if os.environ.get("TWIN_DEBUG"):
            raise
        what = f"{type(error).__name__}: {error}"
        print(f"twin: internal error, please report it: {what}", file=sys.stderr)  # noqa: T201
        sys.exit(InfrastructureError.exit_code)
