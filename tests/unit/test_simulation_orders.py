"""Commands: a bot that is told to do something does it, and answers."""

from typing import Any

import orjson
import pytest
from simulated import Run

from twin.events.payloads import validate_payload
from twin.simulation.fleet import Constant, FleetGroup
from twin.simulation.inputs import Command, Start
from twin.simulation.malfunctions import malfunction
from twin.spec.bot import BotSpec
from twin.spec.load import load_spec

CONTROL, BOT = "commands.control", "h-0001"


@pytest.fixture(scope="module")
def spec() -> BotSpec:
    """Return the platform's bot."""
    return load_spec("builtin:BotSpec")


def message(**content: Any) -> bytes:
    """Return a command with metadata."""
    metadata = {
        "message_id": "m-1",
        "correlation_id": "c-1",
        "timestamp": "2026-01-01T00:00:00Z",
        "message_type": "command",
        "source": "operator",
        "destination": BOT,
    }
    return orjson.dumps({**content, "metadata": metadata})


def control(name: str, **parameters: Any) -> Command:
    """Return a control command."""
    return Command(BOT, CONTROL, message(command_name=name, parameters=parameters))


def started(spec: BotSpec, **start: float) -> Run:
    """Return two bots that have booted."""
    values = {name.replace("__", "."): Constant(value) for name, value in start.items()}
    return Run([FleetGroup("h", spec, 2, values)]).until(2.5)


def answers(run: Run) -> list[dict[str, Any]]:
    """Return the answers so far, each held against its contract."""
    for event in run.answers:
        validate_payload("responses.control", event.payload)
    return [orjson.loads(event.payload) for event in run.answers]


def test_a_burn_moves_the_bot_and_is_answered(spec: BotSpec) -> None:
    """A command to fire the thrusters costs propellant on that bot only, and gets its answer."""
    run = started(spec)
    hw = run.world.squads[0].hw
    run.world.apply(control("sim.rcs.fire", axis="up", pct=50, duration_s=2))
    run.until(6)
    used = 12 - hw.propulsion.propellant_kg
    assert used[0] > 0.1
    assert used[1] == 0
    assert hw.motion.position_m[0, 2] != pytest.approx(hw.motion.position_m[1, 2])
    [answer] = answers(run)
    assert answer["success"]
    assert answer["request_id"] == "c-1"
    assert answer["payload"] == {"command_name": "sim.rcs.fire", "status": "executed"}
    assert run.sources[run.answers[0].source] == (BOT, "qiki.responses.control")


def test_every_command_name_of_the_platform_is_understood(spec: BotSpec) -> None:
    """No name in use is answered as unknown."""
    run = started(spec)
    parameters = {
        "sim.rcs.fire": {"axis": "forward"},
        "sim.xpdr.mode": {"mode": "SILENT"},
        "power.nbl.set_max": {"max_power_w": 30},
    }
    names = ("sim.pause", "sim.start", "sim.dock.engage", "sim.dock.release", "sim.rcs.fire")
    names += ("sim.rcs.stop", "power.dock.on", "power.dock.off", "power.nbl.on")
    names += ("power.nbl.off", "power.nbl.set_max", "sim.xpdr.mode")
    for name in names:
        run.world.apply(control(name, **parameters.get(name, {})))
    run.until(4)
    assert [answer["success"] for answer in answers(run)] == [True] * len(names)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"{", "bad_message"),
        (message(command_name="sim.jump", parameters={}), "unknown_command"),
        (message(command_name="sim.rcs.fire", parameters={"axis": "left"}), "bad_parameters"),
        (message(command_name="sim.rcs.fire", parameters={"axis": "up", "x": 1}), "bad_parameters"),
    ],
)
def test_nonsense_is_refused_with_a_reason(spec: BotSpec, payload: bytes, error: str) -> None:
    """A command that cannot be understood changes nothing and is answered with an error."""
    run = started(spec)
    run.world.apply(Command(BOT, CONTROL, payload))
    run.until(4)
    [answer] = answers(run)
    assert (answer["success"], answer["error"]) == (False, error)
    assert answer["error_detail"]
    assert run.world.squads[0].hw.propulsion.propellant_kg.tolist() == [12, 12]


def test_modes_thrusters_and_procedures_come_on_their_own_channels(spec: BotSpec) -> None:
    """ModeCmd, ThrusterCmd and ProtocolCmd act like the control commands."""
    run = started(spec)
    hw, apply = run.world.squads[0].hw, run.world.apply
    burns = [{"thruster": 2, "duty_pct": 50}]
    apply(Command(BOT, "commands.thruster", message(schema_version=1, burns=burns, duration_s=1)))
    dock = {"protocol": "dock", "action": "start", "parameters": {"port": "B"}}
    apply(Command(BOT, "commands.protocol", message(schema_version=1, **dock)))
    apply(Command(BOT, "commands.mode", message(schema_version=1, mode="SAFE_MODE")))
    run.until(5)
    assert hw.propulsion.propellant_kg[0] < 12
    assert hw.docking.state.tolist() == [1, 0]
    assert [s.after for s in run.states("mode") if s.bot == BOT][-1] == "SAFE_MODE"
    assert [answer["payload"]["command_name"] for answer in answers(run)] == [
        "thruster",
        "dock.start",
        "mode",
    ]


def test_a_bot_that_cannot_hear_does_not_answer(spec: BotSpec) -> None:
    """Without radio a bot neither obeys nor answers."""
    run = started(spec)
    run.world.apply(Start("x", malfunction("radio.blackout")))
    run.until(3.5)
    run.world.apply(control("sim.rcs.fire", axis="up"))
    run.until(5)
    assert (answers(run), run.world.squads[0].hw.propulsion.propellant_kg[0]) == ([], 12)


def test_a_bot_that_is_shut_down_falls_silent_until_it_is_woken(spec: BotSpec) -> None:
    """After sim.stop that bot has no periodic events, but it still hears sim.start."""
    run = started(spec)
    run.world.apply(control("sim.stop"))
    run.until(8)
    last = {bot: run.payloads(bot, "telemetry")[-1]["ts_unix_ms"] for bot in (BOT, "h-0002")}
    assert last["h-0002"] - last[BOT] >= 3000
    assert [s.after for s in run.states("mode") if s.bot == BOT][-1] == "SHUTDOWN"
    run.world.apply(control("sim.start"))
    run.until(12)
    assert run.payloads(BOT, "telemetry")[-1]["ts_unix_ms"] > last["h-0002"]
