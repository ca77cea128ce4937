"""The command `twin`: wires the command groups and turns errors into exit codes."""

import sys
from typing import Annotated

import typer

from twin import __version__
from twin.cli.init import init
from twin.cli.judge import judge_run
from twin.cli.registrar import app as registrar_app
from twin.cli.run import run_scenarios
from twin.cli.spec import app as spec_app
from twin.cli.validate import validate
from twin.errors import TwinError

__all__ = ["app", "run"]

app = typer.Typer(
    name="twin",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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

    Exit codes: 0 PASS, 1 FAIL, 2 bad usage or bad file, 3 INVALID, 4 infrastructure,
    130 interrupted.
    """


app.command("run")(run_scenarios)
app.command("init")(init)
app.command("validate")(validate)
app.command("judge")(judge_run)
app.add_typer(spec_app, name="spec")
app.add_typer(registrar_app, name="registrar")


def run() -> None:
    """Run the command line; this is the console script."""
    try:
        app()
    except TwinError as error:
        print(f"twin: {error}", file=sys.stderr)  # noqa: T201 - the one place that speaks for errors
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("twin: interrupted", file=sys.stderr)  # noqa: T201 - see above
        sys.exit(130)
