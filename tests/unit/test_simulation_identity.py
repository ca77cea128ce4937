"""What bots say of themselves: the hardware that they are made of."""

import pytest
from simulated import Run

from twin.simulation.fleet import FleetGroup
from twin.spec.dump import fingerprint
from twin.spec.load import load_spec


@pytest.mark.parametrize("key", ["telemetry", "events.v1.bios_status"])
def test_bots_name_the_fingerprint_of_their_hardware(key: str) -> None:
    """Telemetry and self test carry `sha256:...` of the spec, another for other hardware."""
    specs = {"a": load_spec("builtin:BotSpec"), "b": load_spec("builtin:hauler")}
    run = Run([FleetGroup(name, spec, 1) for name, spec in specs.items()]).until(4)
    told = {
        name: {payload["hardware_profile_hash"] for payload in run.payloads(f"{name}-0001", key)}
        for name in specs
    }
    assert told == {name: {fingerprint(spec)} for name, spec in specs.items()}
    assert told["a"] != told["b"]
