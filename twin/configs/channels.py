"""Which of the platform's channels a spec's bot has."""

from twin.events.channels import CHANNELS, Channel
from twin.spec.bot import BotSpec

__all__ = ["platform_channels", "rate_hz"]


def platform_channels(spec: BotSpec) -> tuple[Channel, ...]:
    """Return them in table order; those outside the nine belong to every QIKI bot."""
    return tuple(channel for channel in CHANNELS.values() if _has(spec, channel))


def _has(spec: BotSpec, channel: Channel) -> bool:
    if channel.spec_channel is None:
        return spec.profile == "qiki"
    return channel.spec_channel in spec.event_bus.channels


def rate_hz(spec: BotSpec, channel: Channel) -> float | None:
    """Return how often the bot samples the channel; None where nothing is periodic."""
    rates = spec.event_bus.rates
    own = rates.get(channel.subject, rates.get(channel.spec_channel or ""))
    if own is not None:
        return own
    return 1e9 / channel.period_ns if channel.period_ns else None
