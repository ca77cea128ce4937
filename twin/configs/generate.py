"""All files that are made from a spec, and how those on disk differ from them."""

from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path

from twin.configs.asyncapi import asyncapi
from twin.configs.botconfig import bot_config
from twin.configs.nats import server_conf, topology_files
from twin.configs.prometheus import prometheus_yml
from twin.configs.roles import roles
from twin.configs.topology import spec_topology
from twin.spec.bot import BotSpec

__all__ = ["drift", "generate", "stale"]


def generate(spec: BotSpec) -> dict[str, str]:
    """Return the text of every file by its relative name; the same spec gives the same bytes."""
    topology = spec_topology(spec)
    return {
        "bot_config.json": bot_config(spec),
        **topology_files(topology),
        "nats-server.conf": server_conf(spec.metadata.id, roles(spec, topology)),
        "asyncapi.json": asyncapi(spec),
        "prometheus.yml": prometheus_yml(spec),
    }


def stale(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Return what an earlier spec left in our folders (`streams`, `consumers`)."""
    found = [path for sub in ("streams", "consumers") for path in (folder / sub).glob("*.json")]
    names = {path.relative_to(folder).as_posix() for path in found}
    return sorted(names - files.keys())


def drift(folder: Path, files: Mapping[str, str]) -> Iterator[str]:
    """Yield a unified diff, line by line, from what is in `folder` to what should be.

    Missing files count as empty, stale ones should be; others in `folder` are not ours.
    """
    gone = dict.fromkeys(stale(folder, files), "")
    for name, text in (dict(files) | gone).items():
        path = folder / name
        actual = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        yield from unified_diff(
            actual.splitlines(), text.splitlines(), f"{path}", f"{name} from the spec", lineterm=""
        )
