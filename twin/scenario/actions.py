"""What an event of a scenario may do, by the names of faults that a user writes."""

from typing import Annotated, Literal

from pydantic import Field

from twin.scenario.values import Duration, Model

__all__ = ["Action", "BrokerKill", "BrokerPause", "RegistrarKill", "RegistrarPause", "wall_time"]


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


Action = Annotated[
    BrokerKill | BrokerPause | RegistrarKill | RegistrarPause, Field(discriminator="fault")
]


def wall_time(action: Action) -> bool:
    """Tell whether the action lasts in wall time, so that the run must be paced."""
    return action.fault.startswith(("broker.", "registrar."))
