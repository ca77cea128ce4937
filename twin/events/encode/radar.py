"""Radar frames: one scan on three subjects, every detection written once."""

from collections.abc import Collection, Sequence
from itertools import compress
from typing import Final

import numpy as np

from twin.events.channels import CHANNELS
from twin.events.encode.contacts import LR, SR, Contacts, geometry, range_band, transponder
from twin.events.encode.envelope import Envelope
from twin.events.encode.form import Form
from twin.events.encode.identity import uuid_prefix, uuid_text
from twin.events.encode.moment import Moment
from twin.events.encode.roster import Roster
from twin.events.event import Event
from twin.events.views import IntArray, RadarView

__all__ = ["RADAR_KEYS", "RadarEncoder"]

UNION: Final = "radar.v1.frames"
BANDS: Final = {UNION: None, "radar.v1.frames.lr": LR, "radar.v1.tracks.sr": SR}
RADAR_KEYS: Final = tuple(BANDS)
"""The channels of a scan, in the order in which its events are returned."""


class RadarEncoder:
    """Encodes scans: the union of all detections, the LR ones, and the SR ones.

    The three frames of one scan have the same frame_id, which says that they are one scan.
    """

    def __init__(self, roster: Roster) -> None:
        self._envelopes = {key: Envelope(CHANNELS[key], roster) for key in RADAR_KEYS}
        self._form = Form({**transponder(), "range_band": range_band(), **geometry()})
        self._frame = [uuid_prefix(bot, "frame") for bot in roster.bots]
        self._sensor = [uuid_text(uuid_prefix(bot, "radar"), 0) for bot in roster.bots]

    def encode(
        self,
        indices: Sequence[int] | IntArray,
        view: RadarView,
        sim_ns: int,
        keys: Collection[str] = RADAR_KEYS,
    ) -> list[Event]:
        """Return a frame per bot on each of the channels `keys`, channel after channel."""
        bots = np.asarray(indices, dtype=np.intp)
        contacts = Contacts.of(view, bots)
        moment = self._envelopes[UNION].moment(sim_ns)
        detections = self._form.render(contacts, np.arange(len(contacts.rows)), moment)
        heads = self._heads(bots.tolist(), moment)
        events: list[Event] = []
        for key in RADAR_KEYS:
            if key in keys:
                chosen, counts = _of_band(detections, contacts, BANDS[key])
                payloads = _frames(heads, chosen, counts)
                events += self._envelopes[key].stamp(bots.tolist(), payloads, moment)
        return events

    def _heads(self, bots: Sequence[int], moment: Moment) -> list[bytes]:
        when = moment.rfc3339
        times = b'"timestamp":"%b","ts_event":"%b","ts_ingest":"%b"' % (when, when, when)
        scan = moment.ns // 1000 & (1 << 48) - 1
        return [
            b'{"schema_version":1,"frame_id":"%b%012x","sensor_id":"%b",%b,"detections":['
            % (self._frame[bot], scan, self._sensor[bot], times)
            for bot in bots
        ]


def _of_band(
    detections: list[bytes], contacts: Contacts[RadarView], band: int | None
) -> tuple[list[bytes], list[int]]:
    if band is None:
        return detections, contacts.counts.tolist()
    wanted = contacts.seen.range_band == band
    before = np.concatenate(([0], np.cumsum(wanted)))
    ends = np.cumsum(contacts.counts)
    counts = before[ends] - before[ends - contacts.counts]
    return list(compress(detections, wanted.tolist())), counts.tolist()


def _frames(heads: list[bytes], detections: list[bytes], counts: list[int]) -> list[bytes]:
    frames, start = [], 0
    for head, count in zip(heads, counts, strict=True):
        end = start + count
        frames.append(b"%b%b]}" % (head, b",".join(detections[start:end])))
        start = end
    return frames
