"""What can break on a bot, by the names that a scenario writes, with typed parameters.

A malfunction is data: the inputs of the hardware that it sets while it lasts. It says nothing
of when it starts or whom it hits; that is the business of a `Start`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, Self, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from twin.errors import UsageError
from twin.spec.findings import did_you_mean
from twin.spec.params.thermal import NodeName
from twin.spec.units import DegC, Fraction, MicrosievertsPerHour, Milliseconds, Percent, Watts

__all__ = [
    "CLOCK_DRIFT",
    "CLOCK_OFFSET",
    "MALFUNCTIONS",
    "AnyMalfunction",
    "Malfunction",
    "malfunction",
]

CLOCK_OFFSET, CLOCK_DRIFT = "clock.offset_s", "clock.drift_ppm"
"""Inputs that belong to the bot's clock, not to a plane of the hardware."""

SensorName = Literal[
    "imu",
    "thermometers",
    "radiation",
    "proximity",
    "lidar",
    "spectrometer",
    "solar",
    "star_tracker",
    "magnetometer",
    "docking_sensor",
    "radar",
]
MOST = 1e6
"""Bounds of what may be added to a reading, heat a node and so on: finite for ever after."""
Number = Annotated[float, Field(ge=-MOST, le=MOST, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False)]
Thruster = Annotated[int, Field(ge=0, le=15)]
NONE: Mapping[str, str] = MappingProxyType({})


class Malfunction(BaseModel):
    """What breaks. A subclass is a name, parameters, and the inputs that they go into.

    Keys are inputs as `plane.input`, where `{parameter}` may stand for a parameter. `sets`
    gives constants, `takes` the parameter whose value is taken, `loses` the one whose share
    is taken away from 1. Where every parameter has the value `neutral` nothing would change,
    and a malfunction that cannot be felt is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fault: str
    sets: ClassVar[Mapping[str, float]] = MappingProxyType({})
    takes: ClassVar[Mapping[str, str]] = NONE
    loses: ClassVar[Mapping[str, str]] = NONE
    neutral: ClassVar[float | None] = 0.0

    @model_validator(mode="after")
    def _is_felt(self) -> Self:
        given = {name: getattr(self, name) for name in (*self.takes.values(), *self.loses.values())}
        if given and all(value == self.neutral for value in given.values()):
            raise ValueError(f"{' and '.join(given)} {self.neutral:g} would change nothing")
        return self

    def inputs(self) -> dict[str, float]:
        """Return every input that is set while the malfunction lasts, and its value."""
        given = self.model_dump()
        found = dict(self.sets)
        found |= {key: float(given[name]) for key, name in self.takes.items()}
        found |= {key: 1.0 - given[name] for key, name in self.loses.items()}
        return {key.format_map(given): value for key, value in found.items()}


class PowerShort(Malfunction):
    """A short circuit: a load that nobody can switch off."""

    fault: Literal["power.short"]
    power_w: Watts = Field(60.0, le=MOST, description="What the short draws.")
    takes = MappingProxyType({"power.short_w": "power_w"})


class PowerCellFailure(Malfunction):
    """Battery cells fail and take their charge with them."""

    fault: Literal["power.cell_failure"]
    fraction: Fraction = Field(0.5, description="Share of the cells that fail.")
    loses = MappingProxyType({"power.cell_fraction": "fraction"})


class PowerBrownOut(Malfunction):
    """The battery cannot give its power any more."""

    fault: Literal["power.brown_out"]
    fraction: Fraction = Field(0.8, description="Share of the discharge power that is lost.")
    loses = MappingProxyType({"power.discharge_fraction": "fraction"})


class PowerChargerFailure(Malfunction):
    """The battery is not charged any more."""

    fault: Literal["power.charger_failure"]
    sets = MappingProxyType({"power.charger_ok": 0.0})


class PowerSupercapFailure(Malfunction):
    """The supercapacitor is off the bus."""

    fault: Literal["power.supercap_failure"]
    sets = MappingProxyType({"power.supercap_ok": 0.0})


class PowerDockFailure(Malfunction):
    """The dock bridge passes no power."""

    fault: Literal["power.dock_failure"]
    sets = MappingProxyType({"power.dock_ok": 0.0})


class PowerEclipse(Malfunction):
    """The bot flies through shadow."""

    fault: Literal["power.eclipse"]
    sunlight: Fraction = Field(0.0, description="Share of the sunlight that is left.")
    takes = MappingProxyType({"power.sunlight": "sunlight"})
    neutral = 1.0


class ThermalCoolingLoss(Malfunction):
    """Active cooling of all nodes fails."""

    fault: Literal["thermal.cooling_loss"]
    fraction: Fraction = Field(1.0, description="Share of the cooling that is lost.")
    loses = MappingProxyType({"thermal.cooling_fraction": "fraction"})


class ThermalNodeCoolingLoss(Malfunction):
    """Active cooling of one node fails."""

    fault: Literal["thermal.node_cooling_loss"]
    node: NodeName = Field("core", description="Which node.")
    fraction: Fraction = Field(1.0, description="Share of the cooling that is lost.")
    loses = MappingProxyType({"thermal.{node}_cooling_fraction": "fraction"})


class ThermalHeater(Malfunction):
    """A heater that does not switch off, or a leak of heat (negative)."""

    fault: Literal["thermal.heater"]
    node: NodeName = Field("core", description="Where the heat goes.")
    power_w: Number = Field(50.0, description="Heat in watts.")
    takes = MappingProxyType({"thermal.{node}_heater_w": "power_w"})


class ThermalAmbient(Malfunction):
    """The surroundings have another temperature."""

    fault: Literal["thermal.ambient"]
    ambient_degc: DegC = Field(le=MOST, description="Temperature of the surroundings.")
    takes = MappingProxyType({"thermal.ambient_degc": "ambient_degc"})
    neutral = None


class RadioBlackout(Malfunction):
    """No link at all: events wait in the outbox."""

    fault: Literal["radio.blackout"]
    sets = MappingProxyType({"comms.blackout": 1.0})


class RadioLoss(Malfunction):
    """Packets are lost and sent again: less bandwidth for what waits."""

    fault: Literal["radio.loss"]
    loss_pct: Percent = Field(30.0, description="Packets lost.")
    takes = MappingProxyType({"comms.extra_loss_pct": "loss_pct"})


class RadioLatency(Malfunction):
    """The link is slow."""

    fault: Literal["radio.latency"]
    latency_ms: Milliseconds = Field(500.0, le=MOST, description="Added latency.")
    takes = MappingProxyType({"comms.extra_latency_ms": "latency_ms"})


class RadioBandwidth(Malfunction):
    """The link is narrow."""

    fault: Literal["radio.bandwidth"]
    fraction: Fraction = Field(0.9, description="Share of the bandwidth that is lost.")
    loses = MappingProxyType({"comms.rate_fraction": "fraction"})


class RadioAntenna(Malfunction):
    """The antenna is damaged; without any of it there is no link."""

    fault: Literal["radio.antenna"]
    fraction: Fraction = Field(1.0, description="Share of the antenna that is lost.")
    loses = MappingProxyType({"comms.antenna_fraction": "fraction"})


class _SensorFault(Malfunction):
    sensor: SensorName = Field(description="Which sensor.")


class SensorFailure(_SensorFault):
    """The sensor gives no value, and says that it failed."""

    fault: Literal["sensor.failure"]
    sets = MappingProxyType({"{sensor}.failed": 1.0})


class SensorOff(_SensorFault):
    """The sensor is switched off."""

    fault: Literal["sensor.off"]
    sets = MappingProxyType({"{sensor}.enabled": 0.0})


class SensorStuck(_SensorFault):
    """The sensor repeats its last value."""

    fault: Literal["sensor.stuck"]
    sets = MappingProxyType({"{sensor}.stuck": 1.0})


class SensorDropout(_SensorFault):
    """Samples are missing at random."""

    fault: Literal["sensor.dropout"]
    probability: Fraction = Field(0.3, description="Probability of losing a sample.")
    takes = MappingProxyType({"{sensor}.dropout": "probability"})


class SensorBias(_SensorFault):
    """The sensor is off by a constant."""

    fault: Literal["sensor.bias"]
    bias: Number = Field(description="In the unit of the reading.")
    takes = MappingProxyType({"{sensor}.bias": "bias"})


class SensorDrift(_SensorFault):
    """The sensor is off by more and more."""

    fault: Literal["sensor.drift"]
    per_s: Number = Field(description="In the unit of the reading, per second.")
    takes = MappingProxyType({"{sensor}.drift_per_s": "per_s"})


class SensorNoise(_SensorFault):
    """The sensor is noisier."""

    fault: Literal["sensor.noise"]
    sd: NotNegative = Field(description="Standard deviation, in the unit of the reading.")
    takes = MappingProxyType({"{sensor}.noise": "sd"})


class ThrusterStuckOpen(Malfunction):
    """A thruster burns and does not stop."""

    fault: Literal["thruster.stuck_open"]
    thruster: Thruster = Field(description="Which thruster, counted from 0.")

    def inputs(self) -> dict[str, float]:
        """Return the mask with its bit."""
        return {"propulsion.stuck_open": float(1 << self.thruster)}


class ThrusterStuckClosed(Malfunction):
    """A thruster does not open."""

    fault: Literal["thruster.stuck_closed"]
    thruster: Thruster = Field(description="Which thruster, counted from 0.")

    def inputs(self) -> dict[str, float]:
        """Return the mask with its bit."""
        return {"propulsion.stuck_closed": float(1 << self.thruster)}


class MotionDriveFailure(Malfunction):
    """The electric drive is dead."""

    fault: Literal["motion.drive_failure"]
    sets = MappingProxyType({"motion.drive_failed": 1.0})


class MotionHoldFailure(Malfunction):
    """The attitude hold is dead."""

    fault: Literal["motion.hold_failure"]
    sets = MappingProxyType({"motion.hold_failed": 1.0})


class DockingLatchFailure(Malfunction):
    """No latch holds: a docked bot comes off."""

    fault: Literal["docking.latch_failure"]
    sets = MappingProxyType({"docking.latch_ok": 0.0})


class NavigationJamming(Malfunction):
    """The speed that navigation integrates is taken away."""

    fault: Literal["navigation.jamming"]
    sets = MappingProxyType({"navigation.jammed": 1.0})


class RadiationStorm(Malfunction):
    """The background radiation rises."""

    fault: Literal["radiation.storm"]
    rate_usvh: MicrosievertsPerHour = Field(5.0, le=MOST, description="Dose rate.")
    takes = MappingProxyType({"radiation.background_usvh": "rate_usvh"})
    neutral = None


class ShieldsDamage(Malfunction):
    """The shields are worn down."""

    fault: Literal["shields.damage"]
    pct_per_s: NotNegative = Field(5.0, description="Strength lost per second.")
    takes = MappingProxyType({"shields.damage_pct_per_s": "pct_per_s"})


class ComputerRunaway(Malfunction):
    """A task runs wild."""

    fault: Literal["computer.runaway"]
    cpu_pct: Percent = Field(60.0, description="Processor that it takes.")
    ram_pct: Percent = Field(30.0, description="Memory that it takes.")
    takes = MappingProxyType(
        {"compute.extra_cpu_pct": "cpu_pct", "compute.extra_ram_pct": "ram_pct"}
    )


class BotReboot(Malfunction):
    """The bot boots again, once."""

    fault: Literal["bot.reboot"]
    sets = MappingProxyType({"modes.reboot": 1.0})


class ClockSkew(Malfunction):
    """The bot's clock is wrong by a constant."""

    fault: Literal["clock.skew"]
    offset_s: Annotated[float, Field(ge=-86_400, le=86_400)] = Field(
        2.0, description="How far the clock is ahead."
    )
    takes = MappingProxyType({CLOCK_OFFSET: "offset_s"})


class ClockDrift(Malfunction):
    """The bot's clock runs too fast or too slow; healing sets it right."""

    fault: Literal["clock.drift"]
    ppm: Annotated[float, Field(ge=-500_000, le=500_000)] = Field(
        100.0, description="Microseconds gained per second."
    )
    takes = MappingProxyType({CLOCK_DRIFT: "ppm"})


AnyMalfunction: TypeAlias = Annotated[
    PowerShort
    | PowerCellFailure
    | PowerBrownOut
    | PowerChargerFailure
    | PowerSupercapFailure
    | PowerDockFailure
    | PowerEclipse
    | ThermalCoolingLoss
    | ThermalNodeCoolingLoss
    | ThermalHeater
    | ThermalAmbient
    | RadioBlackout
    | RadioLoss
    | RadioLatency
    | RadioBandwidth
    | RadioAntenna
    | SensorFailure
    | SensorOff
    | SensorStuck
    | SensorDropout
    | SensorBias
    | SensorDrift
    | SensorNoise
    | ThrusterStuckOpen
    | ThrusterStuckClosed
    | MotionDriveFailure
    | MotionHoldFailure
    | DockingLatchFailure
    | NavigationJamming
    | RadiationStorm
    | ShieldsDamage
    | ComputerRunaway
    | BotReboot
    | ClockSkew
    | ClockDrift,
    Field(discriminator="fault"),
]
"""Any of them, told apart by `fault`: what a scenario's model takes."""


def _name(model: type[Malfunction]) -> str:
    [name] = get_args(model.model_fields["fault"].annotation)
    return str(name)


MALFUNCTIONS: Mapping[str, type[Malfunction]] = MappingProxyType(
    {_name(model): model for model in get_args(get_args(AnyMalfunction)[0])}
)
"""Every malfunction by name."""


def malfunction(fault: str, **parameters: object) -> Malfunction:
    """Return the malfunction of that name; UsageError for an unknown one, with a hint.

    Wrong parameters raise pydantic.ValidationError.
    """
    model = MALFUNCTIONS.get(fault)
    if model is None:
        raise UsageError(
            f"no malfunction is called {fault!r}{did_you_mean(fault, list(MALFUNCTIONS))}"
        )
    return model.model_validate({"fault": fault, **parameters})
