"""Which periodic channels a bot has, and how often it samples them."""

import hashlib
import math

import numpy as np

from twin.events.channels import CHANNELS, Cadence, Channel
from twin.hardware.plane import Ints
from twin.simulation.sampling import COHORTS, SECOND_NS
from twin.spec.bot import BotSpec
from twin.spec.payload.model import CustomChannel

__all__ = ["cohorts", "custom_period_ns", "periods", "ticks_per_second"]

MAKERS = {
    "radar.v1.frames": "radar_360",
    "radar.v1.frames.lr": "radar_360",
    "radar.v1.tracks.sr": "radar_360",
    "radar.v1.tracks": "rlsm",
    "telemetry": "mainboard",
    "events.v1.sensor.thermal": "sensor_thermal",
    "events.v1.power.bus": "power",
    "events.v1.power.pdu": "pdu",
    "events.v1.bios_status": "mainboard",
    "events.v1.sensor.imu": "sensor_imu",
    "events.v1.nav": "navigation",
    "events.v1.energy": "power",
    "events.v1.shield": "shields",
}
"""The component that makes each periodic channel; a bot without it does not have the channel."""

SILENT_WHEN_OFF = ("radar_360", "rlsm")
"""Components that say nothing while switched off; the others say that they are."""


def periods(spec: BotSpec) -> dict[str, int]:
    """Return the platform's periodic channels of a bot by key, with periods in ns, in table order.

    A rate of the spec for a platform subject goes before one for the BotSpec channel. A bot of
    the profile custom has only those that belong to a channel it names.
    """
    rates = spec.event_bus.rates
    return {
        key: _period_ns(rates.get(channel.subject, rates.get(channel.spec_channel or "")), channel)
        for key, channel in CHANNELS.items()
        if channel.cadence in {Cadence.PERIODIC, Cadence.PER_ITEM} and _has(spec, channel)
    }


def _period_ns(rate_hz: float | None, channel: Channel) -> int:
    return channel.period_ns if rate_hz is None else round(SECOND_NS / rate_hz)


def _has(spec: BotSpec, channel: Channel) -> bool:
    if channel.spec_channel not in (*spec.event_bus.names, None):
        return False
    if channel.spec_channel is None and spec.profile == "custom":
        return False
    maker = spec.components.get(MAKERS[channel.key])
    if channel.stream == CHANNELS["radar.v1.frames"].stream and not spec.is_enabled("radar_360"):
        return False
    return maker is not None and (maker.enabled or MAKERS[channel.key] not in SILENT_WHEN_OFF)


def custom_period_ns(channel: CustomChannel) -> int:
    """Return the period of a channel that the spec defines."""
    return round(SECOND_NS / channel.rate_hz)


def ticks_per_second(spec: BotSpec) -> int:
    """Return how often the physics of a bot must be stepped to have news for every sample."""
    own = (custom_period_ns(channel) for channel in spec.event_bus.custom)
    shortest = min((*periods(spec).values(), *own), default=SECOND_NS)
    return max(1, math.ceil(SECOND_NS / shortest))


def cohorts(bots: tuple[str, ...]) -> Ints:
    """Return the cohort of each bot: a hash of its id, whatever fleet or shard it is in."""
    digests = (hashlib.blake2b(bot.encode(), digest_size=8).digest() for bot in bots)
    return np.array([int.from_bytes(digest, "big") % COHORTS for digest in digests])
