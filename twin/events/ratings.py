"""What does not change during a run and is written into payload templates once."""

from dataclasses import dataclass

__all__ = ["Device", "Firmware", "NodeRating", "PowerRating"]


@dataclass(frozen=True, slots=True)
class PowerRating:
    """Nameplate of the power plane; the keys of `sources_w` and `loads_w` in payload order."""

    battery_capacity_wh: float = 500.0
    bus_v_min: float = 22.0
    max_bus_a: float = 5.0
    soc_shed_low_pct: float = 20.0
    soc_shed_high_pct: float = 30.0
    supercap_capacity_wh: float = 5.0
    source_names: tuple[str, ...] = ("base", "dock")
    load_names: tuple[str, ...] = ("base", "motion", "mcqpu", "radar", "transponder", "rcs", "nbl")


@dataclass(frozen=True, slots=True)
class NodeRating:
    """One thermal node: id and limits in degC and K."""

    id: str
    warn_c: float
    trip_c: float
    hys_c: float


@dataclass(frozen=True, slots=True)
class Device:
    """One device that the power-on self test asks."""

    device_id: str
    device_name: str


@dataclass(frozen=True, slots=True)
class Firmware:
    """Versions and devices of a bot; `hardware_profile_hash` is `sha256:...` or None."""

    devices: tuple[Device, ...]
    bios_version: str = "twin-1"
    firmware_version: str = "twin-1"
    hardware_profile_hash: str | None = None
