"""The library of components: 29 kinds, their wiring, and the params that give them physics."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, cast

from pydantic import Field, create_model

from twin.spec.component import Component, ComponentKind, Part
from twin.spec.params import (
    CommsParams,
    ComputeParams,
    DockBridgeParams,
    DockingParams,
    DockingSensorParams,
    ImuParams,
    LidarParams,
    MagnetometerParams,
    ModesParams,
    MotionParams,
    NavigationParams,
    NblParams,
    PduParams,
    PowerParams,
    PropulsionParams,
    ProximityParams,
    RadarParams,
    RadiationParams,
    ShieldsParams,
    SolarParams,
    SpectrometerParams,
    StarTrackerParams,
    SupervisorParams,
    ThermalParams,
    ThermometersParams,
    TrackerParams,
    TransponderParams,
)
from twin.spec.units import Params

__all__ = ["KINDS", "REQUIRED", "Components", "HullParams", "LibraryComponents"]


class HullParams(Params):
    """The body of the bot: how it moves, and how heat flows in it."""

    motion: MotionParams = Field(default=MotionParams(), description="Mass, inertia and patrol.")
    thermal: ThermalParams = Field(default=ThermalParams(), description="The six thermal nodes.")


_SENSOR = ("sensor_element",)
_BUDGET = ("power_budget",)


def _table(*rows: ComponentKind) -> Mapping[str, ComponentKind]:
    return MappingProxyType({row.name: row for row in rows})


KINDS: Mapping[str, ComponentKind] = _table(
    ComponentKind(
        "hull",
        "structure",
        "Structure that carries everything: mass, patrol and the flow of heat.",
        provides=("collision_mesh", "hardpoints"),
        params=HullParams,
        required=True,
    ),
    ComponentKind(
        "power",
        "dc_bus",
        "Battery, supercapacitor and the direct-current bus.",
        provides=("dc_out", "energy_status"),
        consumes=_BUDGET,
        implicit=_BUDGET,
        params=PowerParams,
        required=True,
    ),
    ComponentKind(
        "mainboard",
        "mainboard",
        "Structure of the electronics: slots, boot and self-test.",
        provides=("bus_control", "power_distribution", "slot_map"),
        params=ModesParams,
    ),
    ComponentKind(
        "mcqpu",
        "mcqpu",
        "Main computer: load and memory follow what the bot does.",
        provides=("decision_core", "sensor_processing", "reactive_control"),
        consumes=_BUDGET,
        params=ComputeParams,
    ),
    ComponentKind(
        "power_supervisor",
        "power_supervisor",
        "Sheds loads by state of charge and temperature.",
        provides=("power_supervision",),
        consumes=_BUDGET,
        params=SupervisorParams,
    ),
    ComponentKind(
        "pdu",
        "power_distribution_unit",
        "Distributes power and keeps the bus within its current.",
        provides=("power_distribution",),
        consumes=_BUDGET,
        params=PduParams,
    ),
    ComponentKind(
        "dock_power_bridge",
        "dock_power_bridge",
        "Takes power from a station while docked.",
        provides=("dock_power_bridge",),
        consumes=_BUDGET,
        params=DockBridgeParams,
    ),
    ComponentKind(
        "nbl_power_budgeter",
        "nbl_power_budgeter",
        "Grants the NBL payload its power where charge and heat allow.",
        provides=("nbl_power_budget",),
        consumes=_BUDGET,
        params=NblParams,
    ),
    ComponentKind(
        "rlsm",
        "rlsm_perception",
        "Fuses detections into tracks and raises the guard.",
        provides=("perception_fusion",),
        params=TrackerParams,
    ),
    ComponentKind(
        "propulsion",
        "propulsors",
        "Sixteen reaction-control thrusters and their propellant.",
        provides=("motion_command", "thruster_allocation"),
        consumes=("thruster_schedule",),
        params=PropulsionParams,
        required=True,
    ),
    ComponentKind(
        "docking",
        "docking_system",
        "Two ports that capture, lock and bridge power and data.",
        provides=("docking_ports", "bridge_profiles"),
        params=DockingParams,
        required=True,
    ),
    ComponentKind(
        "antenna_xpdr",
        "datalink",
        "Antenna and transponder: who the bot says it is.",
        provides=("antenna_status", "xpdr_status"),
        params=TransponderParams,
        required=True,
    ),
    ComponentKind(
        "sensors",
        "sensing_suite",
        "The suite that joins the sensor elements into frames.",
        provides=("sensor_frame", "los_masks"),
        required=True,
    ),
    ComponentKind(
        "sensor_imu",
        "imu",
        "Three gyroscopes and three accelerometers.",
        provides=_SENSOR,
        params=ImuParams,
    ),
    ComponentKind(
        "sensor_thermal",
        "thermal_sensors",
        "Thermometers of the six thermal nodes.",
        provides=_SENSOR,
        params=ThermometersParams,
    ),
    ComponentKind(
        "sensor_radiation",
        "radiation_sensors",
        "Dose rate and dose.",
        provides=_SENSOR,
        params=RadiationParams,
    ),
    ComponentKind(
        "sensor_docking",
        "docking_sensors",
        "Range and closing speed at a port.",
        provides=_SENSOR,
        params=DockingSensorParams,
    ),
    ComponentKind(
        "sensor_proximity",
        "proximity_sensors",
        "Nearest object around the hull.",
        provides=_SENSOR,
        params=ProximityParams,
        enabled=False,
    ),
    ComponentKind(
        "sensor_solar",
        "solar_sensor",
        "Sunlight on the bot.",
        provides=_SENSOR,
        params=SolarParams,
        enabled=False,
    ),
    ComponentKind(
        "sensor_star_tracker",
        "star_tracker",
        "Attitude from the stars.",
        provides=_SENSOR,
        params=StarTrackerParams,
        enabled=False,
    ),
    ComponentKind(
        "radar_360",
        "radar",
        "All-round radar with a short-range and a long-range band.",
        provides=_SENSOR,
        params=RadarParams,
    ),
    ComponentKind(
        "lidar",
        "lidar",
        "Ranging ahead, up to 100 m.",
        provides=_SENSOR,
        params=LidarParams,
    ),
    ComponentKind(
        "spectrometer",
        "spectrometer",
        "Composition of what is near.",
        provides=_SENSOR,
        params=SpectrometerParams,
    ),
    ComponentKind(
        "magnetometer",
        "magnetometer",
        "Magnetic field in three axes.",
        provides=_SENSOR,
        params=MagnetometerParams,
        enabled=False,
    ),
    ComponentKind(
        "comms",
        "datalink",
        "Up- and downlink, and the outbox that stores while there is none.",
        provides=("uplink", "downlink"),
        params=CommsParams,
        required=True,
    ),
    ComponentKind(
        "shields",
        "defensive",
        "Shields.",
        provides=("shield_status",),
        required=True,
        params=ShieldsParams,
    ),
    ComponentKind(
        "navigation",
        "nav_stack",
        "Pose by integration, and how uncertain it is.",
        provides=("nav_state",),
        params=NavigationParams,
        required=True,
    ),
    ComponentKind(
        "sensor_mounts",
        "platform_fixtures",
        "Structure: where sensors sit and look.",
        provides=("mount_points", "orientation_frames"),
        required=True,
    ),
    ComponentKind(
        "protocols",
        "executor",
        "Receives commands, carries them out and answers.",
        implicit=("thruster_schedule",),
        required=True,
    ),
)
"""All kinds by component name, in the platform's order."""

REQUIRED = tuple(kind.name for kind in KINDS.values() if kind.required)
"""What a bot of the profile qiki cannot leave out."""


class Components(Part):
    """The components of one bot by name; those it lacks are absent."""

    def __getitem__(self, name: str) -> Component:
        component = self.get(name)
        if component is None:
            raise KeyError(name)
        return component

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def get(self, name: str) -> Component | None:
        """Return a component, None where the bot has none of that name."""
        return cast("Component | None", getattr(self, name)) if name in KINDS else None

    def items(self) -> Iterator[tuple[str, Component]]:
        """Yield name and component, in the order of the library."""
        for name in KINDS:
            component = self.get(name)
            if component is not None:
                yield name, component


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _library() -> type[Components]:
    fields: dict[str, Any] = {  # create_model's own type for (annotation, default)
        name: (kind.model(), Field(default=None, json_schema_extra=_without_default))
        for name, kind in KINDS.items()
    }
    doc = "The components of the bot; the profile qiki requires some of them."
    return create_model("Components", __base__=Components, __doc__=doc, **fields)


LibraryComponents = _library()
"""`Components` with one field for each kind."""
