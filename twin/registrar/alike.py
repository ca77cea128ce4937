"""Messages that look alike become rows together, column by column.

Nearly everything that comes is of few shapes; for a thousand such messages this does in a few
steps what the long way of intake does in many for each. It takes nothing that the long way would
refuse, and records the same of it.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import repeat
from typing import Final, NamedTuple

import orjson

from twin.jetstream.message import Message
from twin.registrar.content import content_of, correlation_of, unusual
from twin.registrar.envelope import MAX_HEADERS, bot_of, trace_id
from twin.registrar.record import Row
from twin.registrar.rules import Classifier, Plan, Verdict
from twin.registrar.shapes import MAX_TEXT, Shape
from twin.registrar.times import EventTimes

__all__ = ["Alike", "Rows"]

_new = tuple.__new__
"""Makes a named tuple in one step, where its constructor takes three."""

ABSENT: Final = repeat("")

MOST_BYTES: Final = 4 * 1024 * 1024
"""Bytes of payloads that are read at once: what JSON says may take thirty times its size."""


class Rows(NamedTuple):
    """Rows, and of each whether it is to be fanned out as an audit record."""

    rows: list[Row]
    publish: Sequence[bool]


class Alike:
    """Reads messages of one shape; remembers times and plans only."""

    def __init__(self, classifier: Classifier, max_payload: int) -> None:
        self._plans = classifier.plans
        self._max_payload = max_payload
        self._times = EventTimes()

    def read(
        self, shape: Shape, messages: Sequence[Message], subjects: Sequence[str], received_ns: int
    ) -> Rows | None:
        """Return the rows of some messages in their order; None if not all are for it.

        The shape is one that promises JSON; `subjects` are the logical ones.
        """
        columns = zip(*messages, strict=True)
        _, _, headers, payloads, streams, deliveries, sequences, _, stream_ns, _ = columns
        if max(map(len, headers)) > MAX_HEADERS or max(map(len, payloads)) > self._max_payload:
            return None
        if sum(map(len, payloads)) > MOST_BYTES:
            return None
        try:
            values = shape.columns(headers)
            if values is None:
                return None
            texts = list(map(bytes.decode, payloads))
            verdicts, correlations = self._judge(values.types, subjects, payloads)
            times = self._times.read(values.times) if values.times else stream_ns
            intended = orjson.loads(f"[{','.join(values.intended)}]")
        except ValueError:
            return None
        codes, severities, publish = zip(*verdicts, strict=True)
        rows = zip(
            values.ids,
            values.sources,
            values.types,
            subjects,
            streams,
            sequences,
            deliveries,
            times,
            intended or repeat(0),
            stream_ns,
            repeat(received_ns),
            map(bot_of, values.sources, subjects),
            codes,
            severities,
            [text[:MAX_TEXT] for text in values.correlations] or correlations,
            map(trace_id, values.traces) if values.traces else ABSENT,
            map(bytes.decode, headers),
            texts,
        )
        return Rows(list(map(_new, repeat(Row), rows)), publish)

    def _judge(
        self, types: Sequence[str], subjects: Sequence[str], payloads: Sequence[bytes]
    ) -> tuple[Sequence[Verdict], Iterable[str]]:
        """Return the verdict on each, and the correlations; ValueError if one is no JSON.

        The payloads are UTF-8.
        """
        plans = list(map(self._plans.__getitem__, zip(types, subjects, strict=True)))
        whole = unusual(payloads)
        if not whole:
            glances = [plan.glance for plan in plans]
            with suppress(ValueError, TypeError):
                pairs = zip(glances, payloads, strict=True)
                return [glance.word(payload) for glance, payload in pairs], ABSENT
        judged = [
            _judged(plan, payload, whole=at in whole)
            for at, (plan, payload) in enumerate(zip(plans, payloads, strict=True))
        ]
        verdicts, correlations = zip(*judged, strict=True)
        return verdicts, correlations


def _judged(plan: Plan, payload: bytes, *, whole: bool) -> tuple[Verdict, str]:
    """Return the verdict and the correlation; at a glance, or else of the `whole` content."""
    if not whole:
        with suppress(ValueError, TypeError):
            return plan.glance.word(payload), ""
    content = content_of(payload)
    return plan.judge(content), correlation_of(content)
