"""All hardware of a shard of the fleet, stepped together in one documented order."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from twin.errors import UsageError
from twin.hardware.comms import Comms
from twin.hardware.compute import Compute
from twin.hardware.docking import Docking
from twin.hardware.docking_sensor import DockingSensor
from twin.hardware.guard import Guard
from twin.hardware.imu import Imu
from twin.hardware.modes import Modes
from twin.hardware.motion import Motion
from twin.hardware.navigation import Navigation
from twin.hardware.plane import Edge, Floats, Plane, Range
from twin.hardware.post import device
from twin.hardware.power import Power, PowerPlant
from twin.hardware.propulsion import Propulsion
from twin.hardware.radar import Radar
from twin.hardware.radiation import Radiation
from twin.hardware.rangers import Lidar, Proximity, Spectrometer
from twin.hardware.readiness import Readiness
from twin.hardware.shard import Shard
from twin.hardware.shields import Shields
from twin.hardware.sky import Magnetometer, Solar, StarTracker
from twin.hardware.suite import Suite
from twin.hardware.surroundings import Surroundings
from twin.hardware.thermal import Thermal
from twin.hardware.thermometers import Thermometers
from twin.hardware.tracker import Tracker
from twin.spec.bot import BotSpec
from twin.spec.findings import did_you_mean
from twin.spec.params.comms import CommsParams, TransponderParams
from twin.spec.params.compute import ComputeParams
from twin.spec.params.docking import DockingParams
from twin.spec.params.imu import ImuParams
from twin.spec.params.modes import ModesParams
from twin.spec.params.motion import MotionParams, PropulsionParams
from twin.spec.params.navigation import NavigationParams
from twin.spec.params.power import (
    DockBridgeParams,
    NblParams,
    PduParams,
    PowerParams,
    SupervisorParams,
)
from twin.spec.params.radar import RadarParams, TrackerParams
from twin.spec.params.sensors import (
    DockingSensorParams,
    LidarParams,
    MagnetometerParams,
    ProximityParams,
    RadiationParams,
    SolarParams,
    SpectrometerParams,
    StarTrackerParams,
    ThermometersParams,
)
from twin.spec.params.shields import ShieldsParams
from twin.spec.params.thermal import ThermalParams

__all__ = ["Hardware"]

NANOSECONDS: Final = 1_000_000_000
INSTANT_S: Final = 1e-9
"""What planes take a step of no time for: nothing moves in it, and nothing divides by zero."""


class Hardware:
    """Every plane of `n` bots that share one spec.

    A step runs the planes in the order of `planes`: the state of the machine (modes), what
    moves (docking, propulsion, motion), what works (compute), what supplies it (power), what
    gets warm (thermal), who hears of it (comms), what looks out (readiness, suite,
    surroundings, sensors, radar, tracker, guard), what the bot makes of it (navigation,
    shields). A plane reads what earlier planes made of this tick and what later ones made of
    the tick before.
    """

    def __init__(
        self, spec: BotSpec, bots: Sequence[str], seed: int, *, groups: Sequence[str] = ()
    ) -> None:
        self.shard = Shard(tuple(bots), seed, tuple(groups))
        self.spec = spec
        self.edges: list[Edge] = []
        self.time_ns = 0
        self._switched_on = False
        self._build_body()
        self._build_electrics()
        self._build_sensors()
        self._build_radar()
        self.planes: tuple[Plane, ...] = (
            self.modes,
            self.docking,
            self.propulsion,
            self.motion,
            self.compute,
            self.power,
            self.thermal,
            self.comms,
            self.readiness,
            self.suite,
            self.surroundings,
            self.imu,
            self.thermometers,
            self.radiation,
            self.proximity,
            self.lidar,
            self.spectrometer,
            self.docking_sensor,
            self.solar,
            self.star_tracker,
            self.magnetometer,
            self.radar,
            self.tracker,
            self.guard,
            self.navigation,
            self.shields,
        )
        self._by_name = {plane.name: plane for plane in self.planes}

    def _build_body(self) -> None:
        shard, params = self.shard, self.spec.params
        devices = [device(name) for name, part in self.spec.components.items() if part.enabled]
        self.modes = Modes(shard, params(ModesParams), [one for one in devices if one])
        self.motion = Motion(shard, params(MotionParams))
        self.propulsion = Propulsion(shard, params(PropulsionParams))
        self.docking = Docking(shard, params(DockingParams), self.motion.patrol.home)

    def _build_electrics(self) -> None:
        shard, params = self.shard, self.spec.params
        self.compute = Compute(shard, params(ComputeParams))
        self.power = Power(
            shard,
            PowerPlant(
                params(PowerParams),
                params(SupervisorParams),
                params(PduParams),
                params(DockBridgeParams),
                params(NblParams),
            ),
        )
        self.thermal = Thermal(shard, params(ThermalParams))
        self.comms = Comms(
            shard,
            params(CommsParams),
            params(TransponderParams),
            fitted=self.spec.is_enabled("comms"),
        )
        self.shields = Shields(
            shard, params(ShieldsParams), enabled=self.spec.is_enabled("shields")
        )

    def _build_sensors(self) -> None:
        shard, params, has = self.shard, self.spec.params, self.spec.is_enabled
        self.readiness = Readiness(shard)
        self.suite = Suite(shard)
        suite = self.suite
        self.imu = Imu(shard, suite, params(ImuParams), enabled=has("sensor_imu"))
        self.thermometers = Thermometers(
            shard, suite, params(ThermometersParams), enabled=has("sensor_thermal")
        )
        self.radiation = Radiation(
            shard, suite, params(RadiationParams), enabled=has("sensor_radiation")
        )
        self.proximity = Proximity(
            shard, suite, params(ProximityParams), enabled=has("sensor_proximity")
        )
        self.lidar = Lidar(shard, suite, params(LidarParams), enabled=has("lidar"))
        self.spectrometer = Spectrometer(
            shard, suite, params(SpectrometerParams), enabled=has("spectrometer")
        )
        self.docking_sensor = DockingSensor(
            shard, suite, params(DockingSensorParams), enabled=has("sensor_docking")
        )
        self.solar = Solar(shard, suite, params(SolarParams), enabled=has("sensor_solar"))
        self.star_tracker = StarTracker(
            shard, suite, params(StarTrackerParams), enabled=has("sensor_star_tracker")
        )
        self.magnetometer = Magnetometer(
            shard, suite, params(MagnetometerParams), enabled=has("magnetometer")
        )
        self.navigation = Navigation(shard, suite, params(NavigationParams), params(ImuParams))

    def _build_radar(self) -> None:
        shard, params = self.shard, self.spec.params
        radar, tracker = params(RadarParams), params(TrackerParams)
        self.surroundings = Surroundings(shard, radar, self.motion.patrol.home)
        self.radar = Radar(
            shard, self.suite, radar, self.surroundings, enabled=self.spec.is_enabled("radar_360")
        )
        self.tracker = Tracker(
            shard, tracker, self.surroundings, self.radar, enabled=self.spec.is_enabled("rlsm")
        )
        self.guard = Guard(shard, tracker, self.tracker)

    @property
    def bots(self) -> tuple[str, ...]:
        """Names of the bots, in the order of every array."""
        return self.shard.bots

    @property
    def n(self) -> int:
        """Number of bots."""
        return self.shard.n

    @property
    def time_s(self) -> float:
        """Simulated seconds since the start."""
        return self.time_ns / NANOSECONDS

    def step(self, dt_s: float) -> None:
        """Advance every plane by `dt_s` >= 0 seconds; `edges` grows by what changed."""
        if not self._switched_on:
            self.power.switch_on(self)
            self._switched_on = True
        for plane in self.planes:
            plane.step(self, max(dt_s, INSTANT_S))
        self.time_ns += round(dt_s * NANOSECONDS)

    def drain_edges(self) -> list[Edge]:
        """Return the edges since the last call, in the order in which they happened."""
        edges, self.edges = self.edges, []
        return edges

    def start(self, values: Mapping[str, Floats]) -> None:
        """Set start values by dotted name, such as `power.soc_pct`, before the first step.

        Raises UsageError for a name that no plane takes, or a value outside its range.
        """
        for name, value in values.items():
            self._assign(name, value, self.startable())

    def set_input(self, name: str, value: Floats, where: np.ndarray | slice = slice(None)) -> None:
        """Set a malfunction's input by dotted name for the bots of `where` (mask or indices).

        Raises UsageError as `start` does.
        """
        self._assign(name, value, self.inputs(), where)

    def startable(self) -> dict[str, Range]:
        """Return the dotted names that `start` takes, with their ranges."""
        return {f"{p.name}.{name}": span for p in self.planes for name, span in p.startable.items()}

    def inputs(self) -> dict[str, Range]:
        """Return the dotted names that malfunctions may set, with their ranges."""
        return {f"{p.name}.{name}": span for p in self.planes for name, span in p.inputs.items()}

    def read(self, name: str) -> Floats:
        """Return a plane's array of shape (n,) by dotted name; UsageError if there is none."""
        plane, _, attribute = name.partition(".")
        value = getattr(self._by_name.get(plane), attribute, None) if attribute else None
        if not isinstance(value, np.ndarray) or value.shape != (self.n,):
            raise UsageError(f"no hardware value is called {name!r}{self._hint(name)}")
        return value

    def _hint(self, name: str) -> str:
        known = [f"{p.name}.{key}" for p in self.planes for key in _arrays(p, self.n)]
        return did_you_mean(name, known)

    def _assign(
        self,
        name: str,
        value: Floats,
        known: Mapping[str, Range],
        where: np.ndarray | slice = slice(None),
    ) -> None:
        if name not in known:
            raise UsageError(f"{name!r} cannot be set{did_you_mean(name, list(known))}")
        low, high = known[name]
        values = np.asarray(value)
        if not bool(np.all((values >= low) & (values <= high))):
            raise UsageError(f"{name} must be between {low:g} and {high:g}")
        self.read(name)[where] = values


def _arrays(plane: Plane, n: int) -> list[str]:
    return [key for key in dir(plane) if not key.startswith("_") and _is_array(plane, key, n)]


def _is_array(plane: Plane, key: str, n: int) -> bool:
    value = getattr(plane, key)
    return isinstance(value, np.ndarray) and value.shape == (n,)
