"""The run folder: where everything about a run is kept, under names that stay."""

import json
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from twin.errors import InfrastructureError
from twin.events.event import SourceTable
from twin.scenario.language.load import LoadedScenario, dump_scenario
from twin.spec.dump import dump_spec
from twin.verdict.injections import INJECTED

__all__ = ["RunFolder", "new_run_id"]


def new_run_id(name: str) -> str:
    """Return a fresh id, which sorts by time: `20261122-231502-patrol-4f1a09c2`."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name[:24]}-{secrets.token_hex(4)}"


class RunFolder:
    """Paths of one run folder. docs/run-folder.md explains each of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal"
        self.injected = path / INJECTED
        self.stream = path / "stream"
        self.observed = path / "observed"
        self.acks = path / "observed" / "acks.samples"
        self.samples = path / "samples"
        self.registrar_store = path / "registrar"
        self.broker = path / "nats"
        self.faults = path / "faults.jsonl"
        self.inputs = path / "inputs.jsonl"
        self.lag = path / "lag.jsonl"
        self.advisories = path / "advisories.jsonl"
        self.nats_log = path / "nats-server.log"
        self.disk_log = path / "disk.log"
        self.services = path / "services"
        self.registrar_log = path / "registrar.log"
        self.rollbacks_log = path / "rollbacks.log"
        self.announce = path / "registrar.announce.json"
        self.scenario = path / "scenario.yaml"
        self.specs = path / "specs"
        self.metrics_url = path / "metrics.url"

    @classmethod
    def create(cls, parent: Path, run_id: str) -> "RunFolder":
        """Make the folder `parent/run_id`; raises InfrastructureError when that cannot be done."""
        folder = cls(parent / run_id)
        try:
            for path in (
                folder.journal,
                folder.stream,
                folder.observed,
                folder.samples,
                folder.registrar_store,
                folder.broker,
                folder.specs,
            ):
                path.mkdir(parents=True)
        except OSError as error:
            raise InfrastructureError(f"The run folder cannot be made: {error}") from error
        return folder

    def mark_last(self) -> None:
        """Let `last` beside the run folder lead to it."""
        link = self.path.with_name("last")
        part = self.path.with_name(f".last.{self.path.name}")
        if link.is_symlink() or not link.exists():
            with suppress(OSError):  # a convenience: file systems without links do without
                part.symlink_to(self.path.name)
                part.replace(link)

    def write_inputs(self, loaded: LoadedScenario) -> None:
        """Write the scenario with its parameters put in, and each group's spec as it is used."""
        self.scenario.write_text(dump_scenario(loaded.scenario), encoding="utf-8")
        for group in loaded.groups:
            (self.specs / f"{group.name}.yaml").write_text(dump_spec(group.spec), encoding="utf-8")

    def write_sources(self, sources: SourceTable) -> None:
        """Write which number stands for which source in the tables."""
        lines = (json.dumps({"bot": s.bot, "subject": s.subject}) + "\n" for s in sources)
        (self.journal / "sources.jsonl").write_text("".join(lines))
