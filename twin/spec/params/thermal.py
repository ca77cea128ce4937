"""Params of the thermal network: nodes, couplings between them, and the surroundings."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from twin.spec.units import DegC, JoulesPerKelvin, Kelvins, Params, WattsPerKelvin

__all__ = ["NODES", "CouplingParams", "NodeName", "NodeParams", "ThermalParams"]

NODES = ("core", "pdu", "supercap", "battery", "dock_bridge", "hull")
"""The nodes in the order of every array."""

NodeName = Literal["core", "pdu", "supercap", "battery", "dock_bridge", "hull"]
HeatCapacity = Annotated[JoulesPerKelvin, Field(gt=0)]


class NodeParams(Params):
    """One node; it warns below its trip temperature and clears `hysteresis_k` below it."""

    heat_capacity_jk: HeatCapacity = Field(default=1000.0, description="Heat capacity.")
    cooling_wk: WattsPerKelvin = Field(default=1.0, description="Active cooling to ambient.")
    start_degc: DegC = Field(default=20.0, description="Temperature at the start.")
    trip_degc: DegC = Field(default=90.0, description="Trips at or above.")
    hysteresis_k: Kelvins = Field(default=5.0, description="Clears this far below the trip.")


class CouplingParams(Params):
    """Heat conduction between two nodes."""

    a: NodeName = Field(description="One node.")
    b: NodeName = Field(description="The other.")
    conductance_wk: WattsPerKelvin = Field(description="Heat flow per kelvin of difference.")

    @model_validator(mode="after")
    def _two_nodes(self) -> Self:
        if self.a == self.b:
            raise ValueError("a node cannot be coupled to itself")
        return self


def _node(
    capacity: float, cooling: float, start: float, trip: float, hysteresis: float
) -> NodeParams:
    return NodeParams(
        heat_capacity_jk=capacity,
        cooling_wk=cooling,
        start_degc=start,
        trip_degc=trip,
        hysteresis_k=hysteresis,
    )


def _coupling(a: NodeName, b: NodeName, conductance: float) -> CouplingParams:
    return CouplingParams(a=a, b=b, conductance_wk=conductance)


class ThermalParams(Params):
    """Component `sensor_thermal`: the six-node network and where heat comes from."""

    core: NodeParams = Field(default=_node(800.0, 1.2, 25.0, 90.0, 5.0), description="Computer.")
    pdu: NodeParams = Field(default=_node(650.0, 0.9, 25.0, 95.0, 5.0), description="PDU.")
    supercap: NodeParams = Field(
        default=_node(400.0, 0.7, 20.0, 85.0, 5.0), description="Supercapacitor."
    )
    battery: NodeParams = Field(default=_node(1200.0, 0.3, 20.0, 70.0, 3.0), description="Battery.")
    dock_bridge: NodeParams = Field(
        default=_node(500.0, 0.9, -60.0, 120.0, 5.0), description="Dock power bridge."
    )
    hull: NodeParams = Field(default=_node(3000.0, 1.5, -50.0, 140.0, 10.0), description="Hull.")
    couplings: tuple[CouplingParams, ...] = Field(
        default=(
            _coupling("core", "pdu", 0.4),
            _coupling("pdu", "supercap", 0.3),
            _coupling("pdu", "battery", 0.15),
            _coupling("dock_bridge", "hull", 0.4),
            _coupling("core", "hull", 0.2),
        ),
        description="Conduction between nodes.",
    )
    ambient_degc: DegC = Field(default=-60.0, description="Surroundings.")
    exchange_wk: WattsPerKelvin = Field(
        default=0.2, gt=0, description="Passive exchange of each node with the surroundings."
    )
    warn_margin_k: Kelvins = Field(default=10.0, description="Warns this far below the trip.")
    core_per_mcqpu: float = Field(default=0.8, ge=0, description="Heat per watt of computer.")
    core_per_nbl: float = Field(default=0.7, ge=0, description="Heat per watt of NBL.")
    pdu_per_out: float = Field(default=0.02, ge=0, description="Heat per watt distributed.")
    pdu_per_a2: float = Field(
        default=0.4, ge=0, description="Heat in watts per ampere squared of bus current."
    )
    supercap_per_flow: float = Field(
        default=0.03, ge=0, description="Heat per watt of charging or discharging."
    )
    dock_per_a2: float = Field(
        default=0.25, ge=0, description="Heat in watts per ampere squared of dock current."
    )
    battery_per_net: float = Field(
        default=0.01, ge=0, description="Heat per watt of difference between input and output."
    )
    hull_per_rcs: float = Field(default=0.35, ge=0, description="Heat per watt of thrusters.")
