"""Tracks: one event for each track of a bot."""

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

import numpy as np

from twin.events.channels import CHANNELS
from twin.events.encode.contacts import Contacts, geometry, range_band, transponder
from twin.events.encode.envelope import Envelope
from twin.events.encode.form import Form
from twin.events.encode.identity import uuid_prefix, uuid_text
from twin.events.encode.leaves import Document, Missing, Now, Number, OneOf, Text
from twin.events.encode.roster import Roster
from twin.events.event import Event
from twin.events.views import IntArray, TracksView

__all__ = ["TracksEncoder", "track_ids"]


def track_ids(roster: Roster) -> list[bytes]:
    """Return for each bot the beginning of its track ids."""
    return [uuid_prefix(bot, "track") for bot in roster.bots]


class TracksEncoder:
    """Encodes `radar.v1.tracks`. With `covariance` the view must have both covariances."""

    def __init__(self, roster: Roster, *, covariance: bool = False) -> None:
        self._envelope = Envelope(CHANNELS["radar.v1.tracks"], roster)
        self._prefixes = track_ids(roster)
        self._form = Form(
            {
                "schema_version": 1,
                "timestamp": Now(),
                "ts_event": Now(),
                "ts_ingest": Now(),
                "track_id": Text(lambda contacts, _rows: attrgetter("ids")(contacts)),
                "object_type": OneOf("seen.object_type", range(6)),
                "iff": OneOf("seen.iff", range(4)),
                "status": OneOf("seen.status", range(5)),
                **transponder(),
                "range_band": range_band(),
                "miss_count": Text(_miss_counts),
                **geometry(),
                "quality": Number("seen.quality", 3, 0, 1),
                "position": _vector("position"),
                "velocity": _vector("velocity"),
                "position_covariance": _triangle("position", covariance),
                "velocity_covariance": _triangle("velocity", covariance),
                "age_s": Number("seen.age_s", 3, low=0),
            }
        )

    def encode(
        self, indices: Sequence[int] | IntArray, view: TracksView, sim_ns: int
    ) -> list[Event]:
        """Return the events of all tracks of the bots, bot after bot, in the order of the rows."""
        bots = np.asarray(indices, dtype=np.intp)
        contacts = Contacts.of(view, bots)
        owners = np.repeat(bots, contacts.counts).tolist()
        moment = self._envelope.moment(sim_ns)
        ids = [
            b'"%b"' % uuid_text(self._prefixes[bot], serial)
            for bot, serial in zip(owners, contacts.seen.serial.tolist(), strict=True)
        ]
        tracks = replace(contacts, ids=ids)
        payloads = self._form.render(tracks, np.arange(len(owners)), moment)
        return self._envelope.stamp(owners, payloads, moment)


def _miss_counts(contacts: object, _rows: IntArray) -> list[bytes]:
    return [b"%d" % count for count in attrgetter("seen.miss_count")(contacts).tolist()]


def _vector(name: str) -> Document:
    return {
        axis: Number(f"seen.{name}", 3, item=place, missing=Missing.NULL_OBJECT)
        for place, axis in enumerate("xyz")
    }


def _triangle(name: str, wanted: bool) -> Document:
    if not wanted:
        return None
    return [Number(f"seen.{name}_covariance", 6, item=place) for place in range(6)]
