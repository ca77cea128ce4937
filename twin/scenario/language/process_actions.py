"""Faults of the processes of a run: broker, registrar, and the scenario's own services."""

from typing import Literal, TypeAlias

from pydantic import Field

from twin.scenario.language.values import Duration, Model, Span

__all__ = [
    "BrokerDiskFull",
    "BrokerKill",
    "BrokerLameDuck",
    "BrokerPause",
    "BrokerRestart",
    "ProcessFault",
    "RegistrarKill",
    "RegistrarPause",
    "RegistrarSlow",
    "ServiceFault",
    "ServiceKill",
    "ServicePause",
    "ServiceRestart",
    "ServiceSlow",
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
    for_: Span = Field(alias="for", description="Wall time of the pause.")


class BrokerRestart(Model):
    """Ask the run's own nats-server to end, and start it again on the same port and store."""

    fault: Literal["broker.restart"]
    after: Duration = Field(0, description="Wall time between end and start.")


class BrokerLameDuck(Model):
    """The run's own nats-server sends its clients away one by one and ends, as for an upgrade."""

    fault: Literal["broker.lame_duck"]
    restart_after: Duration | None = Field(
        None, description="Wall time from its end to the restart; without it it stays away."
    )


class BrokerDiskFull(Model):
    """The disk of the run's own nats-server is full; then there is room, and it starts again."""

    fault: Literal["broker.disk_full"]
    for_: Span = Field(alias="for", description="Wall time without room.")


class RegistrarKill(Model):
    """SIGKILL the registrar; start it again on the same store."""

    fault: Literal["registrar.kill"]
    restart_after: Duration | None = Field(
        None, description="Wall time until the restart; without it the registrar stays dead."
    )


class RegistrarPause(Model):
    """SIGSTOP the registrar, SIGCONT it later: a consumer that stalls."""

    fault: Literal["registrar.pause"]
    for_: Span = Field(alias="for", description="Wall time of the pause.")


class SlowProcess(Model):
    """A process that runs a part of the time only: stopped and let go ten times a second."""

    fault: str
    share: float = Field(gt=0, le=0.99, description="The part of the time in which it runs.")
    for_: Duration = Field(
        alias="for", ge=200_000_000, description="Wall time until it runs all the time again."
    )


class RegistrarSlow(SlowProcess):
    """The registrar runs a part of the time only: a consumer that is slow."""

    fault: Literal["registrar.slow"]


class ServiceFault(Model):
    """Something that is done to a service of the scenario."""

    fault: str
    service: str = Field(description="Its name under `services`.")


class ServiceKill(ServiceFault):
    """SIGKILL a service of the scenario; start it again as it was."""

    fault: Literal["service.kill"]
    restart_after: Duration | None = Field(
        None, description="Wall time until the restart; without it the service stays dead."
    )


class ServicePause(ServiceFault):
    """SIGSTOP a service of the scenario, SIGCONT it later."""

    fault: Literal["service.pause"]
    for_: Span = Field(alias="for", description="Wall time of the pause.")


class ServiceRestart(ServiceFault):
    """Ask a service of the scenario to end, as at the end of a run, and start it again."""

    fault: Literal["service.restart"]
    after: Duration = Field(0, description="Wall time between end and start.")


class ServiceSlow(ServiceFault, SlowProcess):
    """A service of the scenario runs a part of the time only."""

    fault: Literal["service.slow"]


ProcessFault: TypeAlias = (
    BrokerKill
    | BrokerPause
    | BrokerRestart
    | BrokerLameDuck
    | BrokerDiskFull
    | RegistrarKill
    | RegistrarPause
    | RegistrarSlow
    | ServiceKill
    | ServicePause
    | ServiceRestart
    | ServiceSlow
)
