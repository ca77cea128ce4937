"""Carries a scenario out on a real broker and leaves a sealed run folder; judges nothing.

Reading order: `run_scenario` opens the folder and the broker; `Conduct.carry_out` brings the
topology, the registrar and the monitors up, lets the fleet live (`FleetLife`, `Live`), and
collects the evidence; then the folder is sealed.
"""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from twin.errors import InfrastructureError
from twin.jetstream.reconcile import remove_streams
from twin.scenario.broker import Broker
from twin.scenario.conduct import Conduct
from twin.scenario.evidence.facts import machine
from twin.scenario.evidence.folder import RunFolder
from twin.scenario.fleet.live import Watch
from twin.scenario.language.load import LoadedScenario
from twin.scenario.language.net_actions import BOTS
from twin.scenario.options import RunOptions
from twin.scenario.plan import Plan
from twin.scenario.processes.access import Access
from twin.verdict.manifest import Manifest, ScenarioFacts

__all__ = ["RunOptions", "run_scenario"]


async def run_scenario(loaded: LoadedScenario, options: RunOptions, watch: Watch) -> Path:
    """Run to the end and return the sealed run folder.

    Raises TwinError when the run cannot be carried out; the folder then stays unsealed, as
    it does when the process is killed, and `judge` calls it INVALID.
    """
    plan = Plan.make(loaded, options.settings)
    async with AsyncExitStack() as stack:
        theirs = await Broker.theirs(options.broker, stack) if options.broker else None
        if theirs is not None and plan.shared:
            plan = await plan.attach(theirs.connection)
        folder = RunFolder.create(options.out, plan.run_id)
        folder.write_inputs(loaded)
        folder.mark_last()
        manifest = _opening(plan, options)
        manifest.save(folder.path)
        broker = theirs or await Broker.own(plan, folder, stack)
        access = Access(plan.scenario, broker.options)
        await access.start(stack, broker.connection)
        bots = await access.connection(BOTS, stack, broker.connection)
        run = Conduct(loaded, plan, options, folder, broker, access, bots, watch)
        try:
            manifest = await run.carry_out(manifest, stack)
        except asyncio.CancelledError:
            manifest.model_copy(update={"state": "interrupted"}).save(folder.path)
            raise
        finally:
            if plan.owns_streams:
                with suppress(InfrastructureError):  # without the server there is nothing to tidy
                    names = [stream.name for stream in plan.topology.streams]
                    await remove_streams(broker.connection, names)
    manifest.sealed(folder.path).save(folder.path)
    return folder.path


def _opening(plan: Plan, options: RunOptions) -> Manifest:
    return Manifest(
        run_id=plan.run_id,
        state="running",
        scenario=ScenarioFacts(name=plan.scenario.name, description=plan.scenario.description),
        seed=plan.seed,
        epoch_ns=plan.epoch_ns,
        pace=plan.pace.value,
        layout=plan.space.layout.value,
        prefix=plan.space.prefix,
        started_ns=time.time_ns(),
        phases=plan.phases,
        predicted=plan.predicted,
        faults_declared=len(plan.scenario.events),
        external=plan.external,
        machine=machine(),
        criteria=plan.criteria,
        reproduce=options.reproduce,
    )
