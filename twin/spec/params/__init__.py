"""Params of the components: frozen models with the platform's physics as defaults."""

from twin.spec.params.comms import CommsParams, LinkParams, TransponderParams
from twin.spec.params.compute import ComputeParams
from twin.spec.params.docking import DockingParams
from twin.spec.params.imu import ImuParams
from twin.spec.params.modes import ModesParams
from twin.spec.params.motion import MotionParams, PropulsionParams, ThrusterClusterParams
from twin.spec.params.navigation import NavigationParams
from twin.spec.params.outbox import OutboxParams
from twin.spec.params.power import (
    DockBridgeParams,
    NblParams,
    PduParams,
    PowerParams,
    SupervisorParams,
)
from twin.spec.params.radar import ContactsParams, GuardRuleParams, RadarParams, TrackerParams
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
from twin.spec.params.thermal import CouplingParams, NodeParams, ThermalParams

__all__ = [
    "CommsParams",
    "ComputeParams",
    "ContactsParams",
    "CouplingParams",
    "DockBridgeParams",
    "DockingParams",
    "DockingSensorParams",
    "GuardRuleParams",
    "ImuParams",
    "LidarParams",
    "LinkParams",
    "MagnetometerParams",
    "ModesParams",
    "MotionParams",
    "NavigationParams",
    "NblParams",
    "NodeParams",
    "OutboxParams",
    "PduParams",
    "PowerParams",
    "PropulsionParams",
    "ProximityParams",
    "RadarParams",
    "RadiationParams",
    "ShieldsParams",
    "SolarParams",
    "SpectrometerParams",
    "StarTrackerParams",
    "SupervisorParams",
    "ThermalParams",
    "ThermometersParams",
    "ThrusterClusterParams",
    "TrackerParams",
    "TransponderParams",
]
