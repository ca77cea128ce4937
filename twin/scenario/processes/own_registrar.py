"""The registrar of a run, in a process of its own: how it is started, and what it has recorded."""

from collections.abc import Sequence

from twin.errors import StoreError
from twin.events.event import SourceTable
from twin.registrar.export import export_observed, recorded_per_subject
from twin.scenario.evidence.folder import RunFolder
from twin.scenario.language.outside import Role
from twin.scenario.plan import Plan
from twin.scenario.processes.access import Access
from twin.scenario.processes.registrar_process import RegistrarProcess
from twin.verdict.manifest import ObserverFacts, ServiceFacts

__all__ = ["export_recorded", "own_registrar", "stop_registrar"]


def own_registrar(
    plan: Plan, folder: RunFolder, access: Access, command: Sequence[str]
) -> RegistrarProcess | None:
    """Return the registrar, not started yet; None if it is external."""
    if Role.REGISTRAR in plan.scenario.external:
        return None
    arguments = [
        "--attach",
        *("--store", str(folder.registrar_store)),
        *("--layout", plan.space.layout.value),
        *("--http", "127.0.0.1:0"),
        *("--announce", str(folder.announce)),
        *(("--prefix", plan.space.prefix) if plan.space.prefix else ()),
    ]
    for consumer in plan.topology.consumers:
        if consumer.role == "registrar":
            arguments += ["--consume", f"{consumer.stream}:{consumer.name}"]
    env = access.env("registrar")
    return RegistrarProcess(arguments, env, folder.registrar_log, folder.announce, command)


async def stop_registrar(registrar: RegistrarProcess) -> ServiceFacts:
    """End the registrar; an exit before this was not asked for by us."""
    died = registrar.returncode
    code = await registrar.stop()
    detail = "" if died is None else f"it had ended with {died} before the run was over"
    if died is None and code:
        died, detail = code, f"asked to stop, it ended with {code}"
    return ServiceFacts(
        name="registrar",
        exit_code=died,
        expected=died is None or registrar.stopped_on_purpose,
        detail=detail,
    )


def export_recorded(
    plan: Plan, folder: RunFolder, sources: SourceTable, service: ServiceFacts
) -> ObserverFacts:
    """Write what a registrar that ended as `service` has recorded as evidence."""
    store = folder.registrar_store
    try:
        exported = export_observed(store, sources, plan.recorded, folder.observed, plan.run_id)
        per_subject = recorded_per_subject(store)
    except (StoreError, ValueError, LookupError) as error:  # rows that no registrar writes
        return ObserverFacts(
            name="registrar", rows_total=0, per_subject={}, finished=False, detail=str(error)
        )
    return ObserverFacts(
        name="registrar",
        rows_total=exported.copies,
        per_subject=per_subject,
        finished=service.exit_code is None,
    )
