"""Sample files of payloads, read once and put into the spec, so that a run folder has them."""

import base64
from pathlib import Path

from twin.errors import InputError, Problem
from twin.spec.bot import BotSpec
from twin.spec.payload.model import CustomChannel, Payload
from twin.spec.yaml import Document, KeyPath

__all__ = ["inline_samples"]

MAX_TOTAL = 512 * 1024


def inline_samples(spec: BotSpec, document: Document, folder: Path) -> BotSpec:
    """Return the spec with the bytes of its sample files in place of their names.

    Files must lie in `folder` or below; all together may have 512 KiB. Raises InputError.
    """
    problems: list[Problem] = []
    channels: list[str | CustomChannel] = []
    total = 0
    for index, channel in enumerate(spec.event_bus.channels):
        if isinstance(channel, str) or not channel.payload.samples:
            channels.append(channel)
            continue
        inline = []
        for number, name in enumerate(channel.payload.samples):
            path: KeyPath = ("event_bus", "channels", index, "payload", "samples", number)
            data = _read(folder, name, document, path, problems)
            total += len(data)
            inline.append(base64.b64encode(data).decode())
        channels.append(channel.model_copy(update={"payload": Payload(inline=tuple(inline))}))
    if total > MAX_TOTAL:
        message = f"the samples have {total} bytes together, more than {MAX_TOTAL}"
        problems.append(document.problem(("event_bus", "channels"), message))
    if problems:
        raise InputError(problems)
    bus = spec.event_bus.model_copy(update={"channels": tuple(channels)})
    return spec.model_copy(update={"event_bus": bus})


def _read(
    folder: Path, name: str, document: Document, path: KeyPath, problems: list[Problem]
) -> bytes:
    try:
        file = (folder / name).resolve()
        if not file.is_relative_to(folder.resolve()):
            problems.append(document.problem(path, f"{name!r} lies outside the spec's folder"))
            return b""
        with file.open("rb") as stream:
            return stream.read(MAX_TOTAL + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        problems.append(document.problem(path, f"{name!r} cannot be read: {reason}"))
        return b""
