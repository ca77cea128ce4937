"""The encoder of a channel with one event per bot: a form and an envelope."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from twin.events.channels import CHANNELS
from twin.events.encode.envelope import Envelope
from twin.events.encode.form import Form
from twin.events.encode.leaves import Document, Text
from twin.events.encode.roster import Roster
from twin.events.event import Event
from twin.events.views import IntArray

__all__ = ["Encoder", "per_bot"]

View = TypeVar("View")


class Encoder(Generic[View]):
    """Encodes the samples of one channel."""

    def __init__(self, key: str, roster: Roster, document: Document) -> None:
        self.channel = CHANNELS[key]
        self._envelope = Envelope(self.channel, roster)
        self._form = Form(document)

    def encode(self, indices: Sequence[int] | IntArray, view: View, sim_ns: int) -> list[Event]:
        """Return one event for each of the bots `indices`, in that order.

        `sim_ns` is the intended publish time; payload and headers carry epoch + sim time.
        A ValueError names a value of the view that the contract does not allow.
        """
        rows = np.asarray(indices, dtype=np.intp)
        moment = self._envelope.moment(sim_ns)
        return self._envelope.stamp(rows.tolist(), self._form.render(view, rows, moment), moment)


def per_bot(pieces: Sequence[bytes]) -> Text:
    """Return a text that is constant for each bot."""
    return Text(lambda _view, rows: [pieces[row] for row in rows.tolist()])
