"""Carries out faults of messages; each message must have become what the fault says."""

import random
from collections.abc import Iterator
from dataclasses import replace

from twin.chaos.faultlog import FaultEntry
from twin.chaos.messages import MSG_ID, Injector, Recipe, broken, changed, shift, skewed
from twin.errors import InfrastructureError
from twin.jetstream.message import Message
from twin.scenario.language.message_actions import (
    MessageDuplicate,
    MessageFault,
    MessageOversize,
    MessagePoison,
    MessageReplay,
    MessageSkew,
)

__all__ = ["inject"]


async def inject(action: MessageFault, injector: Injector, entry: FaultEntry, seed: int) -> None:
    """Publish the messages one after the other; InfrastructureError for the first that failed."""
    again = isinstance(action, MessageDuplicate | MessageReplay)
    oldest = isinstance(action, MessageReplay)
    models = await injector.stored(action.stream, action.count if again else 1, oldest=oldest)
    chance = random.Random(f"{seed}/{entry.id}")  # noqa: S311 - chance of a test, no secret
    done: list[str] = []
    shift_s = 0.0
    for number, model in _numbered(models, action.count):
        blank = injector.blank(entry.id, number, model)
        recipe = _recipe(action, blank, injector.largest, chance)
        injection = await injector.put(action.stream, model.subject, recipe)
        if not injection.as_meant:
            why = f": {injection.error}" if injection.error else ""
            raise InfrastructureError(f"message {number} was {injection.outcome}{why}")
        if not done:
            entry.fired()
        done.append(injection.outcome)
        shift_s = shift(model.headers, recipe.headers)
    skew = f", their clock {shift_s:+g} s" if isinstance(action, MessageSkew) else ""
    entry.detail = f"{len(done)} messages {done[0]}{skew}"
    entry.healed()


def _numbered(models: list[Message], count: int) -> Iterator[tuple[int, Message]]:
    return ((number, models[(number - 1) % len(models)]) for number in range(1, count + 1))


def _recipe(action: MessageFault, model: Recipe, largest: int, chance: random.Random) -> Recipe:
    """Return what a fault makes of a message that the stream holds; `model` bears its new id."""
    named = changed(model.headers, {"ce-id": model.id, "ce-source": model.source, MSG_ID: None})
    match action:
        case MessageDuplicate(msg_id=True):
            return replace(model, kind="duplicate", expected="dropped")
        case MessageDuplicate():
            return replace(model, kind="duplicate", headers=changed(model.headers, {MSG_ID: None}))
        case MessageReplay():
            fresh = changed(model.headers, {MSG_ID: f"{model.source}/{model.id}"})
            return replace(model, kind="replay", headers=fresh)
        case MessagePoison():
            headers, payload, expected = broken(action.kind, named, model.payload, chance)
            poison = replace(model, kind=action.kind, expected=expected)
            return replace(poison, headers=headers, payload=payload)
        case MessageOversize():
            payload = b'{"filler": "' + b"x" * (action.size - 14) + b'"}'
            fits = len(named) + len(payload) <= largest
            large = replace(model, kind="oversize", headers=named, payload=payload)
            return replace(large, expected="quarantined" if fits else "refused")
        case MessageSkew():
            headers = changed(named, {"ce-time": skewed(named, action.offset_ns)})
            return replace(model, kind="skew", expected="recorded", headers=headers)
    raise InfrastructureError(f"{action.fault} is no fault of messages")
