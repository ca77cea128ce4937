"""What detections and tracks have in common: rows grouped by bot, and the transponder's part."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Final, Generic, TypeVar

import numpy as np
import orjson

from twin.events.encode.leaves import Document, Number, OneOf, Text, flag
from twin.events.views import BoolArray, IntArray, RadarView, TracksView

__all__ = ["LR", "SR", "Contacts", "geometry", "range_band", "transponder"]

LR: Final = 1
SR: Final = 2

Seen = TypeVar("Seen", RadarView, TracksView)


@dataclass(frozen=True, slots=True)
class Contacts(Generic[Seen]):
    """The rows of some bots, one bot after the other; in the LR band without identity.

    `rows[j]` is what row j was in the full view, `counts[i]` how many rows the i-th bot has.
    `ids` are track ids as JSON, if the contacts are tracks.
    """

    seen: Seen
    rows: IntArray
    counts: IntArray
    named: BoolArray
    ids: Sequence[bytes] = ()

    @classmethod
    def of(cls, view: Seen, bots: IntArray) -> "Contacts[Seen]":
        """Pick the rows of the bots."""
        rows, counts = _rows_of(view.offsets, bots)
        picked = {
            field.name: getattr(view, field.name)[rows]
            for field in fields(view)
            if field.name != "offsets" and isinstance(getattr(view, field.name), np.ndarray)
        }
        heard = picked["range_band"] != LR
        picked["transponder_on"] &= heard
        picked["transponder_mode"] = np.where(heard, picked["transponder_mode"], 0)
        picked["transponder"] = np.where(heard, picked["transponder"], -1)
        seen = replace(view, **picked)
        return cls(seen, rows, counts, seen.transponder >= 0)


def _rows_of(offsets: IntArray, bots: IntArray) -> tuple[IntArray, IntArray]:
    first = offsets[bots]
    counts = offsets[bots + 1] - first
    ends = np.cumsum(counts)
    starts = np.repeat(first - ends + counts, counts)
    return starts + np.arange(len(starts)), counts


def _names(contacts: object, _rows: IntArray) -> list[bytes]:
    seen: RadarView | TracksView = attrgetter("seen")(contacts)
    names = [*(orjson.dumps(name) for name in seen.transponder_ids), b"null"]
    return [names[which] for which in seen.transponder.tolist()]


def transponder() -> dict[str, Document]:
    """Return the four keys about the transponder; the id is a text, the rest is discrete."""
    return {
        "transponder_on": flag("seen.transponder_on"),
        "transponder_mode": OneOf("seen.transponder_mode", range(4)),
        "transponder_id": Text(_names),
        "id_present": flag("named"),
    }


def range_band() -> OneOf:
    """Return the leaf of the range band: 0 unspecified, 1 LR, 2 SR."""
    return OneOf("seen.range_band", range(3))


def geometry() -> dict[str, Document]:
    """Return the six numbers that place a contact and say how strong its echo is."""
    return {
        "range_m": Number("seen.range_m", 2, low=0),
        "bearing_deg": Number("seen.bearing_deg", 3, 0, 360, wrap=True),
        "elev_deg": Number("seen.elev_deg", 3, -90, 90),
        "vr_mps": Number("seen.vr_mps", 3),
        "snr_db": Number("seen.snr_db", 2, low=0),
        "rcs_dbsm": Number("seen.rcs_dbsm", 2),
    }
