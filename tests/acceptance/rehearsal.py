"""compose.yaml without a container engine: each service's own command line as a process here.

What a container would bring is mapped: paths of volumes, configs and secrets to a folder, each
port of a service to a free one of this machine, names of services to 127.0.0.1, the programs of
the image to those of this interpreter. Environment and order are those that are declared, and
a service counts as up when its own health check says so.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from free_ports import free_ports

from twin.jetstream.server import find_nats_server

DEADLINE_S = 60.0
VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")


class RehearsalFailed(Exception):
    """A service did not become what those that depend on it wait for."""


@dataclass
class Rehearsal:
    """The services of a compose file that are built here; leaving the context ends them."""

    document: dict[str, Any]
    root: Path
    folder: Path
    programs: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    ports: dict[tuple[str, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path, folder: Path, **programs: str) -> Self:
        """Read compose.yaml; `programs` are images of others, by service, that are here too."""
        text = VARIABLE.sub(r"\1", (root / "compose.yaml").read_text())
        made = cls(yaml.safe_load(text), root, folder, programs)
        declared = [
            (name, str(port).rpartition(":")[2])
            for name, service in made.services.items()
            for port in [*service.get("expose", []), *service.get("ports", [])]
        ]
        made.ports.update(zip(declared, free_ports(len(declared)), strict=True))
        return made

    @property
    def services(self) -> dict[str, Any]:
        """What is declared, of the images that are here."""
        every = self.document["services"]
        return {k: v for k, v in every.items() if "build" in v or k in self.programs}

    def up(self, *names: str) -> None:
        """Start services and all that they depend on, in the declared order."""
        for name in names or [k for k, v in self.services.items() if "profiles" not in v]:
            if name in self.processes:
                continue
            for other, waits in self.services[name].get("depends_on", {}).items():
                self.up(other)
                self.await_condition(other, waits["condition"])
            self.start(name)

    def start(self, name: str) -> None:
        """Start a service's process."""
        service = self.services[name]
        entry = service.get("entrypoint", self.entrypoint(name))
        (self.folder / name).mkdir(exist_ok=True)
        with self.log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [
                    self.program(name, entry[0]),
                    *self.mapped(name, [*entry[1:], *service["command"]]),
                ],
                env=self.environment(name),
                cwd=self.work_folder(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def await_condition(self, name: str, condition: str) -> None:
        """Wait as compose would; raises RehearsalFailed."""
        if condition == "service_completed_successfully":
            if code := self.processes[name].wait(DEADLINE_S):
                raise RehearsalFailed(f"{name} ended with {code}: {self.said(name)}")
            return
        assert condition == "service_healthy", condition
        check = self.services[name]["healthcheck"]
        end = time.monotonic() + _seconds(check["start_period"])
        tries = int(check["retries"])
        while (why := self.sickness(name)) and tries and self.processes[name].poll() is None:
            tries -= time.monotonic() > end
            time.sleep(0.2)
        if why:
            raise RehearsalFailed(f"{name} is not healthy: {why}; {self.said(name)}")

    def sickness(self, name: str) -> str:
        """Make a service's own health check; "" when it is healthy."""
        if (code := self.processes[name].poll()) is not None:
            return f"it ended with {code}"
        check = self.services[name]["healthcheck"]
        kind, *command = check["test"]
        assert kind == "CMD", kind
        program, *arguments = self.mapped(name, command)
        try:
            done = subprocess.run(
                [self.program(name, program), *arguments],
                env=self.environment(name),
                capture_output=True,
                text=True,
                timeout=_seconds(check["timeout"]),
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return str(late)
        return (done.stdout + done.stderr).strip() or "it said nothing" if done.returncode else ""

    def run(self, name: str) -> "subprocess.CompletedProcess[str]":
        """Run a one-shot service of a profile to its end."""
        self.up(name)
        code = self.processes[name].wait(DEADLINE_S)
        return subprocess.CompletedProcess([name], code, self.said(name))

    def said(self, name: str) -> str:
        """Return what a service has printed."""
        return self.log(name).read_text(errors="replace") if self.log(name).exists() else ""

    def log(self, name: str) -> Path:
        """Return the file of a service's output."""
        return self.folder / f"{name}.log"

    def url(self, name: str, port: int) -> str:
        """Return where a port of a service is here."""
        return f"127.0.0.1:{self.ports[name, str(port)]}"

    def program(self, name: str, program: str) -> str:
        """Return the program of this machine that stands for one of the image."""
        own = {
            "twin": str(Path(sys.executable).parent / "twin"),
            "python": sys.executable,
            "nats-server": str(find_nats_server()),
        }
        found = own.get(program) if name not in self.programs else shutil.which(program)
        return found or program

    def entrypoint(self, name: str) -> list[str]:
        """Return the image's own entry point."""
        if name in self.programs:
            return [self.programs[name]]
        found: list[str] = yaml.safe_load(self.image("ENTRYPOINT"))
        return found

    def image(self, instruction: str) -> str:
        """Return what the Dockerfile's last stage says."""
        stage = (self.root / "Dockerfile").read_text().rpartition("\nFROM ")[2]
        [line] = re.findall(rf"^{instruction} (.*)$", stage, re.MULTILINE)
        return str(line)

    def work_folder(self, name: str) -> Path:
        """Return where a service works: on a volume, if one is mounted there."""
        there = dict(self.mounts(name)).get(self.image("WORKDIR"), self.folder / name)
        return self.folder / name if name in self.programs else there

    def environment(self, name: str) -> dict[str, str]:
        """Return what is declared, and nothing of ours but where programs are."""
        declared = self.services[name].get("environment", {})
        mapped = dict(zip(declared, self.mapped(name, declared.values()), strict=True))
        return {"PATH": os.environ["PATH"], **mapped}

    def mapped(self, name: str, words: Any) -> list[str]:
        """Return words as they have to read here: paths, names and ports."""
        return [self._ports(name, self._paths(name, str(word))) for word in words]

    def _paths(self, name: str, word: str) -> str:
        for target, path in sorted(self.mounts(name), key=lambda pair: -len(pair[0])):
            word = re.sub(rf"(^|=){re.escape(target)}(?=/|$)", rf"\g<1>{path}", word)
        return word

    def mounts(self, name: str) -> Iterator[tuple[str, Path]]:
        """Yield what is mounted where, made ready; secrets below a folder that belongs to it."""
        service = self.services[name]
        for volume in service.get("volumes", []):
            source, target = volume.split(":")
            (self.folder / "volumes" / source).mkdir(parents=True, exist_ok=True)
            yield target, self.folder / "volumes" / source
        for kind, default in (("secrets", "/run/secrets"), ("configs", "")):
            for item in service.get(kind, []):
                one = item if isinstance(item, dict) else {"source": item}
                target = one.get("target", f"{default}/{one['source']}")
                path = self.folder / name / "root" / target.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                source = self.root / self.document[kind][one["source"]]["file"]
                if not path.exists():
                    path.symlink_to(self.sources.get(str(source), source))
                yield target, path
        yield "/run/twin", self.folder / name / "root" / "run" / "twin"

    @property
    def sources(self) -> dict[str, Path]:
        """Files that stand for others: configuration in which addresses have to be mapped."""
        mapped: dict[str, Path] = {}
        for one in self.document["configs"].values():
            source = self.root / one["file"]
            text = source.read_text()
            changed = self._ports("", text)
            if changed != text:
                path = self.folder / f"mapped-{source.name}"
                path.write_text(changed)
                mapped[str(source)] = path
        return mapped

    def _ports(self, name: str, word: str) -> str:
        for (service, port), here in self.ports.items():
            word = re.sub(rf"\b{service}:{port}\b", f"127.0.0.1:{here}", word)
            if service == name:
                word = re.sub(rf"(0\.0\.0\.0|127\.0\.0\.1):{port}\b", f"127.0.0.1:{here}", word)
                word = re.sub(rf"^(--\w*port)={port}$", rf"\1={here}", word)
        return word.replace("=0.0.0.0", "=127.0.0.1")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for process in reversed(self.processes.values()):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))
