"""`twin doctor`: what works against a server, and which permissions are missing."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import orjson
import typer

from twin.cli.asked_shared import Asked
from twin.cli.findings import STOPPED, print_findings
from twin.cli.run import interruptible
from twin.doctor.checks import CHECKS, SMOKE
from twin.doctor.needs import snippet
from twin.doctor.patient import Patient, examine
from twin.doctor.shared import SHARED_CHECKS, SharedRun, examine_shared
from twin.errors import UsageError
from twin.jetstream.connection import connect
from twin.jetstream.options import BrokerOptions
from twin.scenario.plan import PREFIX
from twin.scenario.shared import Shared
from twin.smoke.check import Finding, State, run_checks
from twin.spec.bot import BotSpec
from twin.spec.load import load_spec

__all__ = ["doctor"]

OWN_PREFIX = "twin"
OWN_SPEC = "builtin:BotSpec"


@dataclass(frozen=True, slots=True)
class _Intent:
    """What is going to be done on the server: runs under a prefix, or one that is shared."""

    prefix: str
    spec: BotSpec
    shared: SharedRun | None
    smoke: bool

    @property
    def title(self) -> str:
        """What the permissions are for."""
        run = self.shared.plan.scenario.name if self.shared else ""
        named = f"--shared {run}" if self.shared else f"--prefix {self.prefix}"
        return named + (", and twin smoke --name smoke" if self.smoke else "")


def doctor(
    nats: Annotated[str, typer.Option(help="The server; without it NATS_URL.", metavar="URL")] = "",
    context: Annotated[
        str, typer.Option(help="A nats CLI context that names the server.", metavar="NAME")
    ] = "",
    prefix: Annotated[
        str,
        typer.Option(help="The prefix that runs are going to have: twin.", metavar="TOKENS"),
    ] = "",
    spec: Annotated[
        str,
        typer.Option(
            help="A BotSpec, for the streams of its channels: builtin:BotSpec.", metavar="FILE"
        ),
    ] = "",
    smoke: Annotated[
        bool, typer.Option(help="Also what `twin smoke --name smoke` does there.")
    ] = False,
    shared: Annotated[
        str,
        typer.Option(
            help="A scenario to be run with --shared, instead of a prefix; needs the four below.",
            metavar="SCENARIO",
        ),
    ] = "",
    allow_subjects: Annotated[
        list[str] | None,
        typer.Option(help="As for that run; may be repeated.", metavar="SUBJECT"),
    ] = None,
    max_messages: Annotated[int, typer.Option(min=0, help="As for that run.")] = 0,
    max_bytes: Annotated[str, typer.Option(help="As for that run.", metavar="SIZE")] = "",
    max_rate: Annotated[float, typer.Option(min=0, help="As for that run.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say what works against a server of yours, and print the permissions that are missing.

    Nothing there is changed: one stream of its own is made, and deleted again; with --shared not
    even that. Exit code 1 when something is missing, 4 when the server cannot be reached or does
    not let us in.

    Example: twin doctor --nats nats://127.0.0.1:4222
    """
    allowed = Asked(bool(shared), tuple(allow_subjects or ()), max_messages, max_bytes, max_rate)
    intent = _intent(prefix, spec, shared, allowed.shared(), smoke=smoke)
    broker = BrokerOptions.resolve(nats, context)
    began = time.monotonic()
    findings, patient = asyncio.run(interruptible(_look(broker, intent), STOPPED))
    if as_json:
        typer.echo(_document(broker, intent, findings, patient))
    else:
        print_findings(findings, time.monotonic() - began)
        if patient.missing:
            typer.echo(f"\nPermissions of the user in nats-server.conf, for {intent.title}:\n")
            typer.echo(snippet(patient.wanted, patient.missing), nl=False)
    raise typer.Exit(int(any(one.state is State.FAIL for one in findings)))


def _intent(
    prefix: str, spec: str, scenario: str, shared: Shared | None, *, smoke: bool
) -> _Intent:
    """Settle what is going to be done; UsageError for what does not go together."""
    if shared is None:
        if prefix and not PREFIX.fullmatch(prefix):
            raise UsageError(f"--prefix: {prefix!r} is no beginning of a subject")
        return _Intent(prefix or OWN_PREFIX, load_spec(spec or OWN_SPEC), None, smoke)
    if prefix or spec:
        flag = "--prefix" if prefix else "--spec"
        raise UsageError(f"{flag} does not go with --shared: the scenario says what there is")
    run = SharedRun.of(scenario, shared)
    return _Intent("", run.loaded.groups[0].spec, run, smoke)


async def _look(broker: BrokerOptions, intent: _Intent) -> tuple[list[Finding], Patient]:
    token = f"doctor-{secrets.token_hex(4)}"
    more = [SMOKE] if intent.smoke else []
    async with await connect(broker, name="twin-doctor") as connection:
        if intent.shared is not None:
            patient = await examine_shared(connection, intent.shared, token, smoke=intent.smoke)
            return await run_checks((*SHARED_CHECKS, *more), patient), patient
        own = await examine(connection, intent.spec, intent.prefix, token, smoke=intent.smoke)
        return await run_checks((*CHECKS, *more), own), own


def _document(
    broker: BrokerOptions, intent: _Intent, findings: Sequence[Finding], patient: Patient
) -> bytes:
    missing = patient.missing
    document = {
        "schema_version": 1,
        "server": broker.shown,
        "prefix": intent.prefix,
        "checks": [asdict(one) for one in findings],
        "permissions": [asdict(one) | {"missing": one in missing} for one in patient.wanted],
        "snippet": snippet(patient.wanted, missing) if missing else "",
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)
