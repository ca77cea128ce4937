"""Faults of messages: what a sloppy or broken publisher would put into a stream."""

from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from twin.registrar.intake import MAX_PAYLOAD
from twin.scenario.language.bus_actions import StreamFault
from twin.scenario.language.values import Delay

__all__ = [
    "MessageDuplicate",
    "MessageFault",
    "MessageOversize",
    "MessagePoison",
    "MessageReplay",
    "MessageSkew",
    "MessagesFault",
    "PoisonKind",
]

PoisonKind = Literal["invalid_json", "invalid_headers", "wrong_schema", "binary", "deep_nesting"]


class MessageFault(StreamFault):
    """Messages that the harness puts into a stream, beside those of the bots."""

    count: int = Field(default=1, ge=1, le=1000, description="How many messages.")


class MessagePoison(MessageFault):
    """Messages that nobody can read: each has to be quarantined, or told, and to block nothing."""

    fault: Literal["message.poison"]
    kind: PoisonKind = Field(description="What is wrong with them.")


class MessageDuplicate(MessageFault):
    """The newest events of the bots once more: each must be recorded once."""

    fault: Literal["message.duplicate"]
    msg_id: bool = Field(
        default=False,
        description="With their Nats-Msg-Id, so that the broker drops them; else they are stored.",
    )


class MessageReplay(MessageFault):
    """The oldest events of the run once more, with message ids of their own."""

    fault: Literal["message.replay"]


class MessageOversize(MessageFault):
    """Messages of `size` bytes: too large for the registrar, or above 1 MiB for the broker too."""

    fault: Literal["message.oversize"]
    size: int = Field(default=768 * 1024, gt=MAX_PAYLOAD, le=16 * 1024 * 1024, description="Bytes.")
    count: int = Field(default=1, ge=1, le=50, description="How many messages.")


class MessageSkew(MessageFault):
    """Messages of a publisher whose clock is wrong: ahead, or behind."""

    fault: Literal["message.skew"]
    ahead: Delay = Field(0, description="How far its `ce-time` is in the future.")
    behind: Delay = Field(0, description="How far its `ce-time` is in the past.")

    @model_validator(mode="after")
    def one_way(self) -> "MessageSkew":
        """Refuse a clock that is right, and one that is wrong both ways."""
        if bool(self.ahead) == bool(self.behind):
            raise ValueError("give either `ahead` or `behind`")
        return self

    @property
    def offset_ns(self) -> int:
        """How much is added to the time."""
        return self.ahead - self.behind


MessagesFault: TypeAlias = (
    MessagePoison | MessageDuplicate | MessageReplay | MessageOversize | MessageSkew
)
