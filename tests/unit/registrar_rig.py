"""What a bot's message looks like to the registrar."""

__all__ = ["PLAIN"]

PLAIN = {
    "ce-specversion": "1.0",
    "ce-id": "bot-1/events.v1.state/7",
    "ce-source": "urn:twin:r1:bot-1",
    "ce-type": "qiki.events.v1.StateChange",
    "ce-time": "2026-01-01T00:00:00.250Z",
    "ce-datacontenttype": "application/json",
    "Nats-Msg-Id": "r1/bot-1/events.v1.state/7",
    "Twin-Intended-Ns": "1767225600000000001",
}
"""The headers of an event as nearly all have them."""
