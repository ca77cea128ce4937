"""What an event of a scenario may do, by the names of faults that a user writes."""

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union, cast

from pydantic import Field

from twin.scenario.language.bus_actions import BusFault
from twin.scenario.language.message_actions import MessagesFault
from twin.scenario.language.net_actions import NetworkFault
from twin.scenario.language.process_actions import ProcessFault
from twin.scenario.language.values import Duration
from twin.simulation.inputs import Target
from twin.simulation.malfunctions import MALFUNCTIONS, Malfunction

__all__ = ["Action", "HardwareFault", "lasts_in_wall_time"]


class HardwareFault(Malfunction):
    """A malfunction of the bots' hardware, with whom it hits and how long it lasts."""

    on: Target = Field(default=Target(), description="Whom it hits; all bots if not given.")
    for_: Duration | None = Field(
        default=None, alias="for", description="Simulated time until it heals; else it stays."
    )


def _with_target(malfunction: type[Malfunction]) -> type[HardwareFault]:
    """Return the malfunction with the fields that a scenario adds."""
    members = {"__doc__": malfunction.__doc__, "__module__": __name__}
    made = type(f"{malfunction.__name__}Fault", (malfunction, HardwareFault), members)
    return cast("type[HardwareFault]", made)


if TYPE_CHECKING:
    Action: TypeAlias = ProcessFault | BusFault | NetworkFault | MessagesFault | HardwareFault
else:
    HARDWARE: tuple[Any, ...] = tuple(_with_target(one) for one in MALFUNCTIONS.values())
    Action = Annotated[
        Union[(ProcessFault, BusFault, NetworkFault, MessagesFault, *HARDWARE)],
        Field(discriminator="fault"),
    ]


def lasts_in_wall_time(action: Action) -> bool:
    """Tell whether the action lasts in wall time, so that the run must be paced."""
    return not isinstance(action, HardwareFault)
