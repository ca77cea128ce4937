"""Which encoder reads which view, how often: the periodic channels of a squad."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from twin.events.encode.radar import RADAR_KEYS, RadarEncoder
from twin.events.encode.readings import (
    bus_encoder,
    energy_encoder,
    imu_encoder,
    nav_encoder,
    pdu_encoder,
    shield_encoder,
    thermal_encoder,
)
from twin.events.encode.roster import Roster
from twin.events.encode.status import BiosEncoder
from twin.events.encode.telemetry import telemetry_encoder
from twin.events.encode.tracks import TracksEncoder
from twin.events.event import Event
from twin.events.ratings import Device, Firmware, NodeRating, PowerRating
from twin.events.views import BiosView, IntArray
from twin.hardware.assembly import Hardware
from twin.hardware.health import Status
from twin.hardware.plane import Bools
from twin.simulation.contact_views import ScanReader, TracksReader
from twin.simulation.custom import CustomEncoder
from twin.simulation.outbox import Priority
from twin.simulation.rates import custom_period_ns, periods
from twin.simulation.views import PostMessages, Views
from twin.spec.bot import BotSpec
from twin.spec.dump import fingerprint
from twin.spec.params.power import PduParams, PowerParams, SupervisorParams
from twin.spec.params.thermal import NODES, ThermalParams

__all__ = ["Emitter", "Encode", "emitters"]

BULK = (*RADAR_KEYS, "radar.v1.tracks", "telemetry")
"""What an outbox gives up first: large, and soon out of date."""

Encode = Callable[[IntArray, int], list[Event]]
View = TypeVar("View")


@dataclass(frozen=True, slots=True)
class Emitter:
    """One process of emission: channels that are sampled together.

    `encode` returns the events of some bots at a time; `speaking` which bots have something
    to say at all, None for every bot that runs.
    """

    keys: tuple[str, ...]
    period_ns: int
    encode: Encode
    speaking: Callable[[], Bools] | None = None

    @property
    def priority(self) -> Priority:
        """Return what becomes of its events in a full outbox."""
        return Priority.BULK if self.keys[0] in BULK else Priority.STATUS


def emitters(spec: BotSpec, roster: Roster, hw: Hardware, views: Views, seed: int) -> list[Emitter]:
    """Return the emitters of the channels that the spec has: the platform's, then its own."""
    wanted = periods(spec)
    encoders = _encoders(spec, roster, hw, views, wanted)
    singles = [
        Emitter((key,), period_ns, encoders[key])
        for key, period_ns in wanted.items()
        if key not in RADAR_KEYS
    ]
    own = [
        Emitter(
            (channel.name,),
            custom_period_ns(channel),
            CustomEncoder(channel, roster, hw, seed).encode,
        )
        for channel in spec.event_bus.custom
    ]
    return [*_radar(roster, hw, wanted), *singles, *own]


def _radar(roster: Roster, hw: Hardware, wanted: dict[str, int]) -> list[Emitter]:
    """Sample the subjects of the radar together where their periods are the same."""
    mine = {key: period_ns for key, period_ns in wanted.items() if key in RADAR_KEYS}
    if not mine:
        return []
    encoder, reader = RadarEncoder(roster), ScanReader(hw)

    def encode_for(keys: Sequence[str]) -> Encode:
        return lambda bots, sim_ns: encoder.encode(bots, reader.view(bots), sim_ns, keys)

    def works() -> Bools:
        return hw.radar.status <= Status.DEGRADED

    groups = {p: tuple(k for k in mine if mine[k] == p) for p in dict.fromkeys(mine.values())}
    return [Emitter(keys, period_ns, encode_for(keys), works) for period_ns, keys in groups.items()]


def _encoders(
    spec: BotSpec, roster: Roster, hw: Hardware, views: Views, wanted: dict[str, int]
) -> dict[str, Encode]:
    makers: dict[str, Callable[[], Encode]] = {
        "radar.v1.tracks": lambda: _tracks(roster, hw),
        "telemetry": lambda: _telemetry(spec, roster, views),
        "events.v1.sensor.thermal": lambda: _reading(thermal_encoder(roster).encode, views.thermal),
        "events.v1.power.bus": lambda: _reading(bus_encoder(roster).encode, views.power),
        "events.v1.power.pdu": lambda: _reading(pdu_encoder(roster).encode, views.power),
        "events.v1.bios_status": lambda: _bios(spec, roster, hw),
        "events.v1.sensor.imu": lambda: _reading(imu_encoder(roster).encode, views.imu),
        "events.v1.nav": lambda: _reading(nav_encoder(roster).encode, views.nav),
        "events.v1.energy": lambda: _reading(energy_encoder(roster).encode, views.power),
        "events.v1.shield": lambda: _reading(shield_encoder(roster).encode, views.shield),
    }
    return {key: makers[key]() for key in wanted if key in makers}


def _reading(encode: Callable[[IntArray, View, int], list[Event]], view: View) -> Encode:
    return lambda bots, sim_ns: encode(bots, view, sim_ns)


def _tracks(roster: Roster, hw: Hardware) -> Encode:
    encoder, reader = TracksEncoder(roster), TracksReader(hw)
    return lambda bots, sim_ns: encoder.encode(bots, reader.view(bots), sim_ns)


def _bios(spec: BotSpec, roster: Roster, hw: Hardware) -> Encode:
    devices = tuple(Device(device.id, device.name) for device in hw.modes.devices)
    encoder = BiosEncoder(roster, Firmware(devices, hardware_profile_hash=fingerprint(spec)))
    return _reading(encoder.encode, BiosView(hw.modes.post_status, PostMessages(hw)))


def _telemetry(spec: BotSpec, roster: Roster, views: Views) -> Encode:
    power, supervisor = spec.params(PowerParams), spec.params(SupervisorParams)
    rating = PowerRating(
        battery_capacity_wh=power.battery_capacity_wh,
        bus_v_min=power.bus_v_min,
        max_bus_a=spec.params(PduParams).bus_a_max,
        soc_shed_low_pct=supervisor.soc_shed_low_pct,
        soc_shed_high_pct=supervisor.soc_shed_high_pct,
        supercap_capacity_wh=power.supercap_capacity_wh,
        source_names=tuple(views.power.sources_w),
        load_names=tuple(views.power.loads_w),
    )
    nodes = _nodes(spec.params(ThermalParams))
    encoder = telemetry_encoder(roster, rating, nodes, hardware_profile_hash=fingerprint(spec))
    return _reading(encoder.encode, views.telemetry)


def _nodes(params: ThermalParams) -> list[NodeRating]:
    nodes = [(name, getattr(params, name)) for name in NODES]
    return [
        NodeRating(name, node.trip_degc - params.warn_margin_k, node.trip_degc, node.hysteresis_k)
        for name, node in nodes
    ]
