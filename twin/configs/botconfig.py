"""bot_config.json: the runtime format in which the platform's services read a bot."""

import json

from twin.configs.channels import platform_channels, rate_hz
from twin.spec.bot import BotSpec
from twin.spec.dump import fingerprint, plain_spec
from twin.spec.yaml import Plain

__all__ = ["bot_config"]


def bot_config(spec: BotSpec) -> str:
    """Return the config as JSON; the hash is the one that BIOS and telemetry report."""
    config: dict[str, Plain] = {
        "schema_version": 1,
        "bot_id": spec.metadata.id,
        "hardware_profile": {"planes": plain_spec(spec)["components"]},
        "runtime_profile": {
            "profile": spec.profile,
            "layout": spec.event_bus.layout,
            "channels": [*_platform(spec), *_own(spec)],
        },
        "hardware_profile_hash": fingerprint(spec),
    }
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def _platform(spec: BotSpec) -> list[Plain]:
    return [
        {
            "name": channel.spec_channel,
            "subject": channel.subject,
            "type": channel.event_type,
            "stream": channel.stream,
            "direction": "in" if channel.inbound else "out",
            "rate_hz": rate_hz(spec, channel),
        }
        for channel in platform_channels(spec)
    ]


def _own(spec: BotSpec) -> list[Plain]:
    return [
        {
            "name": channel.name,
            "subject": channel.subject,
            "type": channel.event_type,
            "stream": channel.stream,
            "direction": "out",
            "rate_hz": channel.rate_hz,
        }
        for channel in spec.event_bus.custom
    ]
