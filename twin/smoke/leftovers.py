"""Streams that earlier checks have left behind because they were killed."""

import re
from collections.abc import Iterable
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict

from twin.configs.roles import PROBES
from twin.errors import TwinError
from twin.jetstream.api import STREAM_NOT_FOUND, ApiRefused, StreamConfig, call, stream_names
from twin.jetstream.connection import Connection, NotPermitted
from twin.jetstream.reconcile import MARK, remove_streams
from twin.smoke.check import Broken
from twin.smoke.site import PROBE_BYTES, Site

__all__ = ["leftovers"]

OURS: Final = re.compile(rf"TWIN_smoke_([0-9a-f]{{8}})_({'|'.join(PROBES)})")
SHOWN: Final = 4


class _Info(BaseModel):
    """When a stream was made, and when the server looked."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    config: StreamConfig
    created: AwareDatetime
    ts: AwareDatetime


async def leftovers(site: Site) -> str:
    """What checks that were killed have left is found and deleted, if it is theirs for certain."""
    connection = site.connection
    names = [name for name in await stream_names(connection) if OURS.fullmatch(name)]
    if not names:
        return "none"
    try:
        found = [name for name in names if await _is_left(connection, name, site.stale_s)]
    except NotPermitted:
        return f"this user may not look at {_listed(names)}, which may be some"
    if not found:
        return f"none; others check at this moment ({_listed(names)})"
    try:
        await remove_streams(connection, found)
    except TwinError as error:
        raise Broken(
            f"left behind by checks that were killed, and not to be deleted by this user: "
            f"{_listed(found)} ({error})",
            f"nats stream rm {found[0]}, and so on",
        ) from error
    return f"deleted what checks that were killed had left: {_listed(found)}"


async def _is_left(connection: Connection, name: str, stale_s: float) -> bool:
    """Tell whether a stream has our mark, is just as the checks make one, and is old enough."""
    try:
        info = _Info.model_validate_json(await call(connection, f"STREAM.INFO.{name}"))
    except ApiRefused as refused:
        if refused.err_code == STREAM_NOT_FOUND:
            return False
        raise
    config, match = info.config, OURS.fullmatch(name)
    return (
        match is not None
        and MARK in config.metadata
        and config.subjects == (f"twin.smoke-{match[1]}.{match[2]}",)
        and config.max_bytes == PROBE_BYTES
        and (info.ts - info.created).total_seconds() >= stale_s
    )


def _listed(names: Iterable[str]) -> str:
    some = sorted(names)
    more = f" and {len(some) - SHOWN} more" if len(some) > SHOWN else ""
    return ", ".join(some[:SHOWN]) + more
