"""`twin doctor`: what works against a server, and which permissions are missing."""

import asyncio
import secrets
import time
from dataclasses import asdict
from typing import Annotated

import orjson
import typer

from twin.cli.findings import STOPPED, print_findings
from twin.cli.run import interruptible
from twin.doctor.checks import CHECKS
from twin.doctor.needs import Need, snippet
from twin.doctor.patient import examine
from twin.errors import UsageError
from twin.jetstream.connection import connect
from twin.jetstream.options import BrokerOptions
from twin.scenario.plan import PREFIX
from twin.smoke.check import Finding, State, run_checks
from twin.spec.bot import BotSpec
from twin.spec.load import load_spec

__all__ = ["doctor"]


def doctor(
    nats: Annotated[str, typer.Option(help="The server; without it NATS_URL.", metavar="URL")] = "",
    context: Annotated[
        str, typer.Option(help="A nats CLI context that names the server.", metavar="NAME")
    ] = "",
    prefix: Annotated[
        str, typer.Option(help="The prefix that runs are going to have.", metavar="TOKENS")
    ] = "twin",
    spec: Annotated[
        str, typer.Option(help="A BotSpec, for the streams of its channels.", metavar="FILE")
    ] = "builtin:BotSpec",
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say what works against a server of yours, and print the permissions that are missing.

    Nothing there is changed: one stream of its own is made, and deleted again. Exit code 1 when
    something is missing, 4 when the server cannot be reached or does not let us in.

    Example: twin doctor --nats nats://127.0.0.1:4222
    """
    if not PREFIX.fullmatch(prefix):
        raise UsageError(f"--prefix: {prefix!r} is no beginning of a subject")
    broker = BrokerOptions.resolve(nats, context)
    began = time.monotonic()
    findings, wanted, missing = asyncio.run(
        interruptible(_look(broker, load_spec(spec), prefix), STOPPED)
    )
    block = snippet(wanted, missing) if missing else ""
    if as_json:
        document = {
            "schema_version": 1,
            "server": broker.shown,
            "prefix": prefix,
            "checks": [asdict(one) for one in findings],
            "permissions": [asdict(one) | {"missing": one in missing} for one in wanted],
            "snippet": block,
        }
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    else:
        print_findings(findings, time.monotonic() - began)
        if block:
            typer.echo(f"\nPermissions of the user in nats-server.conf, for --prefix {prefix}:\n")
            typer.echo(block, nl=False)
    raise typer.Exit(int(any(one.state is State.FAIL for one in findings)))


async def _look(
    broker: BrokerOptions, spec: BotSpec, prefix: str
) -> tuple[list[Finding], tuple[Need, ...], tuple[Need, ...]]:
    async with await connect(broker, name="twin-doctor") as connection:
        patient = await examine(connection, spec, prefix, f"doctor-{secrets.token_hex(4)}")
        return await run_checks(CHECKS, patient), patient.wanted, patient.missing
