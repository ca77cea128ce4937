"""What JetStream says of the account that we are in: its limits, and what is used of them."""

from pydantic import BaseModel, ConfigDict

from twin.jetstream.api import call
from twin.jetstream.connection import Connection

__all__ = ["Account", "Limits", "Tier", "account_of"]

UNLIMITED = -1


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Limits(_Read):
    """Limits of a tier; -1 is none, and so is 0 of everything but storage."""

    max_storage: int = UNLIMITED
    max_streams: int = UNLIMITED
    max_consumers: int = UNLIMITED
    max_ack_pending: int = UNLIMITED
    storage_max_stream_bytes: int = UNLIMITED


class Tier(_Read):
    """What is used, and what is allowed, of streams with the same number of replicas."""

    storage: int = 0
    reserved_storage: int = 0
    streams: int = 0
    consumers: int = 0
    limits: Limits = Limits()

    @property
    def taken(self) -> int:
        """Bytes of storage that no new stream can have: stored, or promised to streams."""
        return max(self.storage, self.reserved_storage)


class Account(Tier):
    """The answer to INFO. An account with tiers has its limits there, and zeros of its own."""

    tiers: dict[str, Tier] = {}

    @property
    def tier(self) -> Tier:
        """What counts for streams with one replica."""
        return self.tiers.get("R1", self) if self.tiers else self


async def account_of(connection: Connection) -> Tier:
    """Ask JetStream what counts for our streams of one replica; raises TwinError."""
    return Account.model_validate_json(await call(connection, "INFO")).tier
