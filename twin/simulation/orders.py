"""What a bot does when it is told to: commands on the bus become actions of its planes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from pydantic import ValidationError

from twin.events.facts import CommandAnswer
from twin.events.payloads.commands import (
    ControlCommand,
    ModeCommand,
    ProtocolCommand,
    ThrusterCommand,
)
from twin.hardware.assembly import Hardware
from twin.hardware.plane import Ints
from twin.hardware.propulsion import RcsMode
from twin.simulation.controls import CONTROLS, PROTOCOLS, Parameters
from twin.simulation.inputs import Command
from twin.spec.findings import did_you_mean

__all__ = ["COMMAND_MODELS", "Message", "Orders"]

Message: TypeAlias = ControlCommand | ModeCommand | ProtocolCommand | ThrusterCommand
COMMAND_MODELS: Mapping[str, type[Message]] = MappingProxyType(
    {
        "commands.control": ControlCommand,
        "commands.mode": ModeCommand,
        "commands.protocol": ProtocolCommand,
        "commands.thruster": ThrusterCommand,
    }
)


class _Refused(Exception):
    """A command that cannot be carried out: a word for it, and why."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail)
        self.error, self.detail = error, detail


class Orders:
    """Carries out commands on the bots of a squad, and says what became of them."""

    def __init__(self, hw: Hardware) -> None:
        self._hw = hw

    def obey(self, bot: int, command: Command) -> CommandAnswer:
        """Carry out one command at once; a command that makes no sense changes nothing."""
        name, request_id = command.key.removeprefix("commands."), ""
        try:
            message = _read(command)
            metadata = message.metadata
            name, request_id = _name(message, name), metadata.correlation_id or metadata.message_id
            self._act(message, np.array([bot]))
        except _Refused as refusal:
            return CommandAnswer(
                bot, request_id, name, False, "rejected", refusal.error, refusal.detail
            )
        return CommandAnswer(bot, request_id, name, True, "executed")

    def _act(self, message: Message, bots: Ints) -> None:
        match message:
            case ControlCommand():
                model = CONTROLS.get(message.command_name)
                if model is None:
                    hint = did_you_mean(message.command_name, list(CONTROLS))
                    raise _Refused("unknown_command", f"{message.command_name!r} is none{hint}")
                _parameters(model, message.parameters).act(self._hw, bots)
            case ProtocolCommand():
                procedure = PROTOCOLS.get((message.protocol, message.action))
                if procedure is None:
                    hint = did_you_mean(message.protocol, sorted({name for name, _ in PROTOCOLS}))
                    raise _Refused("unknown_protocol", f"{message.protocol!r} is none{hint}")
                _parameters(procedure, message.parameters).act(self._hw, bots)
            case ModeCommand():
                self._hw.modes.request(bots, message.mode)
            case ThrusterCommand():
                self._fire(message, bots)

    def _fire(self, message: ThrusterCommand, bots: Ints) -> None:
        thrusters = self._hw.propulsion
        if not message.burns:
            thrusters.stop(bots)
            return
        openings = np.zeros(thrusters.thrusters.count)
        for burn in message.burns:
            if burn.thruster >= openings.size:
                raise _Refused("bad_parameters", f"there is no thruster {burn.thruster}")
            openings[burn.thruster] = burn.duty_pct / 100
        thrusters.mode[bots] = RcsMode.MANUAL_OVERRIDE
        thrusters.fire(bots, openings, message.duration_s)


def _read(command: Command) -> Message:
    model = COMMAND_MODELS.get(command.key)
    if model is None:
        raise _Refused("unknown_channel", f"no command comes on {command.key!r}")
    try:
        return model.model_validate_json(command.payload)
    except ValidationError as error:
        raise _Refused("bad_message", _brief(error)) from None


def _parameters(model: type[Parameters], given: Mapping[str, object]) -> Parameters:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _Refused("bad_parameters", _brief(error)) from None


def _name(message: Message, channel: str) -> str:
    match message:
        case ControlCommand():
            return message.command_name
        case ProtocolCommand():
            return f"{message.protocol}.{message.action}"
        case _:
            return channel


def _brief(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
