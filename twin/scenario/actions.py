"""What an event of a scenario may do, by the names of faults that a user writes."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, Union, cast

from pydantic import Field

from twin.scenario.bus_actions import BusFault
from twin.scenario.net_actions import NetworkFault
from twin.scenario.values import Duration, Model
from twin.simulation.inputs import Target
from twin.simulation.malfunctions import MALFUNCTIONS, Malfunction

__all__ = [
    "Action",
    "BrokerKill",
    "BrokerPause",
    "HardwareFault",
    "RegistrarKill",
    "RegistrarPause",
    "ServiceKill",
    "ServicePause",
    "ServiceRestart",
    "lasts_in_wall_time",
]


class BrokerKill(Model):
    """SIGKILL the run's own nats-server; start it again on the same port and store."""

    fault: Literal["broker.kill"]
    restart_after: Duration | None = Field(
        None, description="Wall time until the restart; without it the broker stays dead."
    )


class BrokerPause(Model):
    """SIGSTOP the run's own nats-server, SIGCONT it later."""

    fault: Literal["broker.pause"]
    for_: Duration = Field(alias="for", description="Wall time of the pause.")


class RegistrarKill(Model):
    """SIGKILL the registrar; start it again on the same store."""

    fault: Literal["registrar.kill"]
    restart_after: Duration | None = Field(
        None, description="Wall time until the restart; without it the registrar stays dead."
    )


class RegistrarPause(Model):
    """SIGSTOP the registrar, SIGCONT it later: a consumer that stalls."""

    fault: Literal["registrar.pause"]
    for_: Duration = Field(alias="for", description="Wall time of the pause.")


class ServiceKill(Model):
    """SIGKILL a service of the scenario; start it again as it was."""

    fault: Literal["service.kill"]
    service: str = Field(description="Its name under `services`.")
    restart_after: Duration | None = Field(
        None, description="Wall time until the restart; without it the service stays dead."
    )


class ServicePause(Model):
    """SIGSTOP a service of the scenario, SIGCONT it later."""

    fault: Literal["service.pause"]
    service: str = Field(description="Its name under `services`.")
    for_: Duration = Field(alias="for", description="Wall time of the pause.")


class ServiceRestart(Model):
    """Ask a service of the scenario to end, as at the end of a run, and start it again."""

    fault: Literal["service.restart"]
    service: str = Field(description="Its name under `services`.")
    after: Duration = Field(0, description="Wall time between end and start.")


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


ProcessFault: TypeAlias = (
    BrokerKill
    | BrokerPause
    | RegistrarKill
    | RegistrarPause
    | ServiceKill
    | ServicePause
    | ServiceRestart
)

if TYPE_CHECKING:
    Action: TypeAlias = ProcessFault | BusFault | NetworkFault | HardwareFault
else:
    HARDWARE: tuple[Any, ...] = tuple(_with_target(one) for one in MALFUNCTIONS.values())
    Action = Annotated[
        Union[(ProcessFault, BusFault, NetworkFault, *HARDWARE)], Field(discriminator="fault")
    ]


def lasts_in_wall_time(action: Action) -> bool:
    """Tell whether the action lasts in wall time, so that the run must be paced."""
    return not isinstance(action, HardwareFault)
