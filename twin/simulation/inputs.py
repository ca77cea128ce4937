"""What comes from outside into a world: malfunctions, commands to bots, policies."""

from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from twin.simulation.malfunctions import Malfunction
from twin.simulation.policy import Decision

__all__ = ["Command", "Heal", "Input", "Region", "Start", "Target", "Throttle"]


class Region(BaseModel):
    """A ball in the world: metres from the origin, X east, Y north, Z up."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    x_m: float = Field(default=0.0, description="East of the origin.")
    y_m: float = Field(default=0.0, description="North of the origin.")
    z_m: float = Field(default=0.0, description="Above the origin.")
    radius_m: float = Field(gt=0, description="Bots within this distance are hit.")


class Target(BaseModel):
    """Whom a malfunction hits: the bots that fulfil all of it; nothing given, every bot.

    `fraction` is drawn per bot from the seed and the id of the input. `region` holds for where
    bots are when the malfunction starts; who flies in or out later makes no difference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    group: str | None = Field(default=None, description="One group of the fleet.")
    bots: tuple[str, ...] = Field(default=(), description="Bots by id.")
    fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="Share of the bots."
    )
    region: Region | None = Field(default=None, description="Bots within a ball.")


@dataclass(frozen=True, slots=True)
class Start:
    """Let a malfunction begin. `id` names this one in `Heal`, and selects its random draws."""

    id: str
    malfunction: Malfunction
    target: Target = field(default_factory=Target)


@dataclass(frozen=True, slots=True)
class Heal:
    """End the malfunction that was started under this id."""

    id: str


@dataclass(frozen=True, slots=True)
class Command:
    """A message that a bot has received; `key` is that of the command's channel."""

    bot: str
    key: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Throttle:
    """A decision of a group's policy: how its bots send from now on."""

    group: str
    decision: Decision


Input: TypeAlias = Start | Heal | Command | Throttle
