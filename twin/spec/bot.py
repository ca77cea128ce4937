"""BotSpec: the single source of truth for a bot's components, physics and channels."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from twin.spec.channels import CHANNELS, RATED
from twin.spec.component import Component, Part
from twin.spec.components import KINDS, REQUIRED, Components, LibraryComponents
from twin.spec.findings import Findings, did_you_mean
from twin.spec.payload.model import CustomChannel, Rate, overlap
from twin.spec.units import Params

__all__ = ["BotSpec", "EventBus", "Metadata"]

if TYPE_CHECKING:
    AllComponents = Components
else:
    AllComponents = LibraryComponents

P = TypeVar("P", bound=Params)

BotId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Metadata(Part):
    """Who the bot is."""

    id: BotId = Field(description="Identity of the bot; a fleet numbers its bots after it.")
    description: str = Field(default="", description="What the bot is for.")


class EventBus(Part):
    """What the bot says and hears."""

    channels: tuple[str | CustomChannel, ...] = Field(
        min_length=1,
        description="Channels of the bot: names of the nine, and in the profile custom its own.",
    )
    layout: Literal["platform", "fleet"] = Field(
        default="platform",
        description="platform: one bot's subjects; fleet: the bot is in the subject.",
    )
    rates: dict[str, Rate] = Field(
        default_factory=dict, description="Samples per second of a channel or platform subject."
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all channels."""
        return tuple(name if isinstance(name, str) else name.name for name in self.channels)

    @property
    def custom(self) -> tuple[CustomChannel, ...]:
        """The channels that the spec itself defines."""
        return tuple(one for one in self.channels if isinstance(one, CustomChannel))

    @model_validator(mode="after")
    def _known_names(self) -> "EventBus":
        findings = Findings()
        for index, channel in enumerate(self.channels):
            name = self.names[index]
            if isinstance(channel, str) and name not in CHANNELS:
                hint = did_you_mean(name, list(CHANNELS))
                findings.add(("channels", index), f"unknown channel {name!r}{hint}")
            elif name in self.names[:index] or (channel is not name and name in CHANNELS):
                findings.add(("channels", index), f"the channel {name!r} is listed twice")
        for name in self.rates:
            if name not in RATED:
                hint = did_you_mean(name, list(RATED))
                findings.add(("rates", name), f"{name!r} has no rate to set{hint}", key=True)
        _check_overlaps(self, findings)
        findings.raise_any("EventBus")
        return self


def _check_overlaps(bus: EventBus, findings: Findings) -> None:
    seen: list[CustomChannel] = []
    for index, channel in enumerate(bus.channels):
        if isinstance(channel, str):
            continue
        for other in seen:
            if overlap(channel.pattern, other.pattern):
                message = f"the subject {channel.subject!r} overlaps that of {other.name!r}"
                findings.add(("channels", index, "subject"), message)
        seen.append(channel)


def _schema_of_profiles(schema: dict[str, Any]) -> None:
    """Tell editors what the profile qiki requires."""
    custom = {"properties": {"profile": {"const": "custom"}}, "required": ["profile"]}
    channels = {"allOf": [{"contains": {"const": name}} for name in CHANNELS]}
    qiki = {
        "components": {"required": list(REQUIRED)},
        "event_bus": {"properties": {"channels": channels}},
    }
    schema["if"] = custom
    schema["else"] = {"properties": qiki}


class BotSpec(Part):
    """One bot: `version: 1`, `kind: BotSpec`.

    The profile `qiki` requires the platform's components and all nine channels; `custom`
    requires none.
    """

    model_config = ConfigDict(json_schema_extra=_schema_of_profiles)

    version: Literal[1]
    kind: Literal["BotSpec"]
    metadata: Metadata
    profile: Literal["qiki", "custom"] = Field(default="qiki", description="What is required.")
    components: AllComponents
    event_bus: EventBus

    def params(self, block: type[P]) -> P:
        """Return the params of that class, wherever the spec has them; else their defaults."""
        for _, component in self.components.items():
            for found in _blocks(component.params):
                if isinstance(found, block):
                    return found
        return block()

    def is_enabled(self, name: str) -> bool:
        """Say whether the bot has this component, switched on."""
        component = self.components.get(name)
        return component is not None and component.enabled

    @model_validator(mode="after")
    def _fits_together(self) -> "BotSpec":
        findings = Findings()
        if self.profile == "qiki":
            _check_required(self, findings)
        _check_wiring(self.components, findings)
        findings.raise_any("BotSpec")
        return self


def _blocks(params: Params) -> Iterator[Params]:
    yield params
    for name in type(params).model_fields:
        inner = getattr(params, name)
        if isinstance(inner, Params):
            yield inner


def _check_required(spec: BotSpec, findings: Findings) -> None:
    for name in REQUIRED:
        if name not in spec.components:
            findings.add(("components",), f"the profile qiki requires the component {name!r}")
    for index, own in enumerate(spec.event_bus.channels):
        if not isinstance(own, str):
            message = f"the channel {own.name!r} needs `profile: custom`"
            findings.add(("event_bus", "channels", index), message)
    for channel in CHANNELS:
        if channel not in spec.event_bus.channels:
            message = f"the profile qiki requires the channel {channel!r}"
            findings.add(("event_bus", "channels"), message)


def _check_wiring(components: Components, findings: Findings) -> None:
    provided = {port for _, port, component in _ports(components) if component.enabled}
    for name, component in components.items():
        for index, port in enumerate(component.consumes):
            if port not in provided:
                hint = _whence(port, components) or did_you_mean(port, sorted(provided))
                path = ("components", name, "consumes", index)
                findings.add(path, f"nothing provides {port!r}{hint}")


def _ports(components: Components) -> Iterator[tuple[str, str, Component]]:
    for name, component in components.items():
        for port in (*component.provides, *KINDS[name].implicit):
            yield name, port, component


def _whence(port: str, components: Components) -> str:
    for name, offered, _ in _ports(components):
        if offered == port:
            return f": the component {name!r} would, but it is disabled"
    return ""
