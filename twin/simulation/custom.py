"""Channels that a spec defines itself: payloads by schema, by template, or from sample files."""

import numpy as np

from twin.events.encode.moment import Moment as Instant
from twin.events.encode.roster import Roster
from twin.events.event import Event
from twin.events.views import IntArray
from twin.hardware.assembly import Hardware
from twin.spec.payload.model import CustomChannel
from twin.spec.payload.template import Moment

__all__ = ["CustomEncoder"]


class CustomEncoder:
    """Encodes one custom channel, bot by bot: such channels are few, and the user's own."""

    def __init__(self, channel: CustomChannel, roster: Roster, hw: Hardware, seed: int) -> None:
        self._roster, self._hw = roster, hw
        self._make = channel.maker(seed)
        self._state = {name: hw.read(name) for name in channel.payload.state}
        self._sources = [roster.sources.add(bot, channel.subject_of(bot)) for bot in roster.bots]
        self._heads = [_head(channel, roster, bot) for bot in roster.bots]
        self._last = [0] * len(roster.bots)

    def encode(self, bots: IntArray, sim_ns: int) -> list[Event]:
        """Return one event for each of the bots, in that order."""
        instant = Instant(self._roster.epoch_ns + sim_ns)
        return [self._event(bot, instant, sim_ns) for bot in np.asarray(bots).tolist()]

    def _event(self, bot: int, instant: Instant, sim_ns: int) -> Event:
        self._last[bot] = seq = self._last[bot] + 1
        roster, source = self._roster, self._sources[bot]
        state = {name: values[bot].item() for name, values in self._state.items()}
        payload = self._make(Moment(roster.bots[bot], seq, instant.ns, state))
        event_id = f"{roster.sources[source].name}/{seq}"
        ce = "ce_" if roster.underscore else "ce-"
        lines = f"{ce}id: {event_id}\r\nNats-Msg-Id: {roster.run_id}/{event_id}\r\n{ce}time: "
        headers = self._heads[bot] + lines.encode() + instant.rfc3339 + b"\r\n"
        return Event(source, seq, sim_ns, headers, payload)


def _head(channel: CustomChannel, roster: Roster, bot: str) -> bytes:
    """Return what is the same in the headers of every event of a bot."""
    ce = "ce_" if roster.underscore else "ce-"
    lines = [
        "NATS/1.0",
        f"{ce}specversion: 1.0",
        f"{ce}type: {channel.event_type}",
        f"{ce}source: urn:twin:{roster.run_id}:{bot}",
        f"{ce}datacontenttype: {channel.media_type}",
        f"{ce}twinbot: {bot}",
        *(f"{name}: {value}" for name, value in channel.headers.items()),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()
