"""Identity and headers: from payloads to events, with the sequence of every source."""

from collections.abc import Iterable, Sequence
from itertools import repeat

from twin.events.channels import Channel
from twin.events.encode.moment import Moment
from twin.events.encode.roster import Roster
from twin.events.event import Digits, Event, many

__all__ = ["Envelope"]


class Envelope:
    """Stamps the payloads of one channel.

    Every bot of the roster becomes a source; its sequence is dense from 1. The header block
    is made from two constant pieces per bot, its sequence number and the time.
    """

    def __init__(self, channel: Channel, roster: Roster) -> None:
        self.channel = channel
        self._epoch_ns = roster.epoch_ns
        subjects = [roster.space.subject(bot, channel.subject) for bot in roster.bots]
        self._sources = [
            roster.sources.add(bot, subject)
            for bot, subject in zip(roster.bots, subjects, strict=True)
        ]
        ids = [f"{roster.sources[source].name}/" for source in self._sources]
        self._before = [
            _block(channel, roster, bot, name).encode("ascii")
            for bot, name in zip(roster.bots, ids, strict=True)
        ]
        self._between = [f"\r\nNats-Msg-Id: {roster.run_id}/{name}".encode() for name in ids]
        self._time = b"\r\nce%ctime: " % (b"_" if roster.underscore else b"-")
        self._last = [0] * len(roster.bots)
        self._digits = Digits()

    def moment(self, sim_ns: int) -> Moment:
        """Return the moment of a simulated time."""
        return Moment(self._epoch_ns + sim_ns)

    def stamp(self, bots: Sequence[int], payloads: Iterable[bytes], moment: Moment) -> list[Event]:
        """Return one event per payload, in order; `bots` may name a bot several times."""
        last, known = self._last, self._digits
        sequences = []
        for bot in bots:
            last[bot] = sequence = last[bot] + 1
            sequences.append(sequence)
        digits = [known[sequence] for sequence in sequences]
        source, before, between = self._sources, self._before, self._between
        end = self._time + moment.rfc3339 + b"\r\n"
        headers = [
            b"".join((before[bot], number, between[bot], number, end))
            for bot, number in zip(bots, digits, strict=True)
        ]
        sim_ns = moment.ns - self._epoch_ns
        sources = [source[bot] for bot in bots]
        times = repeat(sim_ns, len(sources))
        return many(zip(sources, sequences, times, headers, payloads, strict=True))


def _block(channel: Channel, roster: Roster, bot: str, name: str) -> str:
    ce = "ce_" if roster.underscore else "ce-"
    lines = [
        "NATS/1.0",
        f"{ce}specversion: 1.0",
        f"{ce}type: {channel.event_type}",
        f"{ce}source: urn:twin:{roster.run_id}:{bot}",
        f"{ce}datacontenttype: application/json",
        f"{ce}twinbot: {bot}",
    ]
    if channel.range_band:
        lines.append(f"x-range-band: {channel.range_band}")
    lines.append(f"{ce}id: {name}")
    return "\r\n".join(lines)
