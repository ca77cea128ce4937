"""Signed statements: checkpoints of the chain, and tombstones of segments that were dropped.

A statement is the JSON text that was signed, kept to the byte. docs/registrar.md has the
fields; tools that know JSON and Ed25519 can check them.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal, NamedTuple, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from twin.registrar.chain import Tip
from twin.registrar.keys import SigningKey, genuine

__all__ = [
    "FIRST",
    "Checkpoint",
    "Signed",
    "Tombstone",
    "read_checkpoint",
    "read_tombstone",
    "sign",
]

FIRST: Final = "0" * 64
"""What the first checkpoint names as its predecessor."""


class _Statement(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    store: str
    key: str
    signed_ns: int
    batch: int = Field(ge=0, lt=1 << 63)
    rows: int = Field(ge=0, lt=1 << 63)
    notes: int = Field(ge=0, lt=1 << 63)
    hash: str

    @property
    def tip(self) -> Tip:
        """Where the chain ended that it speaks of."""
        return Tip(self.batch, self.rows, self.notes, self.hash)


class Checkpoint(_Statement):
    """Up to `batch`, with `rows` events and `notes` notes, the chain has the hash `hash`.

    `number` is dense from 1 in a store; `previous` is the SHA-256 of the statement before.
    """

    kind: Literal["checkpoint"] = "checkpoint"
    number: int = Field(ge=1)
    segment: int = Field(ge=1)
    previous: str


class Tombstone(_Statement):
    """Segments 1 to `segments` were dropped; the chain goes on after `batch`.

    `checkpoint` and `previous` are the number and the digest of the last checkpoint in them,
    `coverage` is what they said of their streams: stream, epoch, first and last sequence, cause.
    """

    kind: Literal["tombstone"] = "tombstone"
    number: int = Field(ge=1)
    segments: int = Field(ge=1)
    checkpoint: int = Field(ge=0)
    previous: str
    reason: Literal["age", "size"]
    first_ns: int
    last_ns: int
    coverage: list[tuple[str, int, int, int, str]]


Statement = TypeVar("Statement", Checkpoint, Tombstone)


class Signed(NamedTuple):
    """A statement and the signature over it; `digest` is what the next one names."""

    statement: str
    signature: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the statement, in hex."""
        return sha256(self.statement.encode()).hexdigest()

    def line(self) -> bytes:
        """Return it as a line of JSON, the form in which it is published and exported."""
        fields = {"statement": self.statement, "signature": self.signature.hex()}
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def parse(cls, line: bytes | str) -> "Signed":
        """Read such a line; ValueError when it is none."""
        return _LINE.validate_json(line).signed()


@dataclass(frozen=True, slots=True)
class _Line:
    statement: str
    signature: str

    def signed(self) -> Signed:
        return Signed(self.statement, bytes.fromhex(self.signature))


_LINE: Final = TypeAdapter(_Line)


def sign(key: SigningKey, statement: Checkpoint | Tombstone) -> Signed:
    """Return a statement signed."""
    text = orjson.dumps(statement.model_dump()).decode()
    return Signed(text, key.sign(text))


def read_checkpoint(signed: Signed) -> Checkpoint:
    """Return a checkpoint whose own key signed it; ValueError otherwise.

    Whether that key is the right one is for the caller to decide.
    """
    return _genuine(_read(Checkpoint, signed), signed)


def read_tombstone(signed: Signed) -> Tombstone:
    """Return a tombstone whose own key signed it; ValueError otherwise."""
    return _genuine(_read(Tombstone, signed), signed)


def _read(model: type[Statement], signed: Signed) -> Statement:
    try:
        return model.model_validate_json(signed.statement)
    except ValidationError as error:
        raise ValueError(f"is no {model.__name__.lower()}") from error


def _genuine(statement: Statement, signed: Signed) -> Statement:
    if not genuine(statement.key, signed.statement, signed.signature):
        raise ValueError(f"{statement.kind} {statement.number} was not signed by its key")
    return statement
