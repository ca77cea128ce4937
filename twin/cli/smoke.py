"""`twin smoke`: checks a whole deployment in seconds."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree as ET

import orjson
import typer

from twin.cli.findings import STOPPED, print_findings
from twin.cli.run import interruptible
from twin.configs.roles import roles
from twin.configs.topology import space_of, spec_topology
from twin.errors import UsageError
from twin.events.subjects import BOT_ID, SubjectSpace
from twin.jetstream.connection import connect
from twin.jetstream.options import BrokerOptions
from twin.printable import printable
from twin.smoke.check import Finding, State, run_checks
from twin.smoke.deployment import CHECKS, embedded
from twin.smoke.site import Site, random_name
from twin.spec.bot import BotSpec
from twin.spec.load import load_spec
from twin.verdict.files import write_atomic

__all__ = ["smoke"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be checked; without a broker, a deployment of our own."""

    broker: BrokerOptions | None
    spec: BotSpec
    space: SubjectSpace
    registrar: str
    monitor: str
    configs: Path | None
    credentials: dict[str, BrokerOptions]
    name: str


def smoke(
    nats: Annotated[
        str | None, typer.Option(help="Your server; an embedded one without it.", metavar="URL")
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="A nats CLI context that names your server.", metavar="NAME")
    ] = None,
    spec: Annotated[
        str, typer.Option(help="The BotSpec of the deployment.", metavar="FILE")
    ] = "builtin:BotSpec",
    prefix: Annotated[
        str, typer.Option(help="First tokens of all subjects.", metavar="TOKENS")
    ] = "",
    registrar: Annotated[
        str, typer.Option(help="Where the registrar's pages are.", metavar="URL")
    ] = "",
    monitor: Annotated[
        str, typer.Option(help="Where the lag monitor's pages are.", metavar="URL")
    ] = "",
    configs: Annotated[
        Path | None, typer.Option(help="The folder of the generated files.", metavar="DIR")
    ] = None,
    credentials: Annotated[
        list[str] | None,
        typer.Option(help="A role and the nats CLI context of its user.", metavar="ROLE=CONTEXT"),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            help="Name of all that the checks make, not a random one: `smoke` for the role smoke."
        ),
    ] = "",
    junit: Annotated[
        Path | None, typer.Option(help="Also write JUnit XML.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check a deployment: broker, streams, registrar, lag monitor, files, credentials.

    Nothing is left behind but the audit records of a probing bot. Exit code 1 when a check
    fails, 4 when the broker cannot be reached.

    Example: twin smoke --nats nats://127.0.0.1:4222 --registrar http://127.0.0.1:9100
    """
    given = nats is not None or context is not None
    if not given and (registrar or monitor or credentials):
        raise UsageError("--registrar, --monitor and --credentials belong to --nats or --context")
    if name and not BOT_ID.fullmatch(name):
        raise UsageError(f"--name: {name!r} is not made of A-Z a-z 0-9 _ -")
    loaded = load_spec(spec)
    asked = Asked(
        BrokerOptions.resolve(nats or "", context or "") if given else None,
        loaded,
        SubjectSpace(space_of(loaded).layout, prefix),
        _base(registrar, "--registrar"),
        _base(monitor, "--monitor"),
        configs,
        dict(_role(one, loaded, nats or "") for one in credentials or []),
        name,
    )
    began = time.monotonic()
    findings = asyncio.run(interruptible(_check(asked), STOPPED))
    if junit is not None:
        write_atomic(junit, _junit(findings))
    if as_json:
        typer.echo(orjson.dumps(findings, option=orjson.OPT_INDENT_2))
    else:
        print_findings(findings, time.monotonic() - began)
    raise typer.Exit(int(any(one.state is State.FAIL for one in findings)))


async def _check(asked: Asked) -> list[Finding]:
    topology = spec_topology(asked.spec).on_wire(asked.space)
    broker, registrar, monitor = asked.broker, asked.registrar, asked.monitor
    async with AsyncExitStack() as stack:
        if broker is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twin-smoke-")))
            ours = await stack.enter_async_context(embedded(folder, topology))
            broker, registrar, monitor = BrokerOptions(url=ours.url), ours.registrar, ours.monitor
        connection = await stack.enter_async_context(await connect(broker, name="twin-smoke"))
        site = Site(
            connection,
            asked.spec,
            asked.space,
            topology,
            registrar,
            monitor,
            asked.configs,
            asked.credentials,
            asked.name or random_name(),
        )
        return await run_checks(CHECKS, site)


def _base(url: str, flag: str) -> str:
    if url and not url.startswith(("http://", "https://")):
        raise UsageError(f"{flag}: {url!r} is no http:// or https:// URL")
    return url.rstrip("/").removesuffix("/metrics")


def _role(text: str, spec: BotSpec, url: str) -> tuple[str, BrokerOptions]:
    name, sign, context = text.partition("=")
    if not sign or not context:
        raise UsageError(f"--credentials: {text!r} is not ROLE=CONTEXT")
    known = [role.user for role in roles(spec, spec_topology(spec))]
    if name not in known:
        raise UsageError(f"--credentials: no role is called {name!r}; there are {', '.join(known)}")
    return name, BrokerOptions.resolve(url, context)


def _junit(findings: Sequence[Finding]) -> bytes:
    """A check that fails is a failure; one that was not made is skipped and says why."""
    suite = ET.Element("testsuite", name="twin smoke", tests=str(len(findings)))
    for state, key in ((State.FAIL, "failures"), (State.NOT_CHECKED, "skipped")):
        suite.set(key, str(sum(one.state is state for one in findings)))
    for one in findings:
        case = ET.SubElement(
            suite, "testcase", classname="smoke", name=one.name, time=f"{one.seconds:.3f}"
        )
        if one.state is State.FAIL:
            failure = ET.SubElement(case, "failure", message=printable(one.detail, lines=True))
            failure.text = f"To do: {one.remedy}"
        elif one.state is State.NOT_CHECKED:
            ET.SubElement(case, "skipped", message=printable(one.detail, lines=True))
    ET.indent(suite)
    return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True)) + b"\n"
