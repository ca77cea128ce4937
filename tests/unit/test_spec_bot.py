"""A BotSpec: what it requires, how it is wired, changed and written out again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.errors import InputError, UsageError
from twin.events.channels import CHANNELS as BUS_CHANNELS
from twin.events.channels import Cadence
from twin.spec.annotate import annotated_spec
from twin.spec.bot import BotSpec
from twin.spec.builtin import builtin_names, builtin_path
from twin.spec.channels import CHANNELS, RATED
from twin.spec.components import KINDS
from twin.spec.dump import dump_spec, fingerprint
from twin.spec.load import load_spec
from twin.spec.overrides import block_names, with_overrides
from twin.spec.params.imu import ImuParams
from twin.spec.params.outbox import OutboxParams
from twin.spec.params.power import PowerParams
from twin.spec.parse import parse
from twin.spec.yaml import read_text

PLATFORM = Path(__file__).parent.parent / "data" / "platform_botspec.yaml"
OFF_BY_DEFAULT = {"sensor_proximity", "sensor_solar", "sensor_star_tracker", "magnetometer"}


@pytest.fixture(scope="module")
def platform() -> BotSpec:
    """The platform's own file, which has no numbers."""
    return load_spec(PLATFORM)


def text_of(*components: str, channels: str = "[NavState]", rest: str = "") -> str:
    """Return a spec of the profile custom."""
    lines = "".join(f"\n  {component}" for component in components)
    return (
        "version: 1\nkind: BotSpec\nmetadata: {id: T}\nprofile: custom\n"
        f"components:{lines or ' {}'}\nevent_bus: {{channels: {channels}{rest}}}\n"
    )


def problems(text: str) -> list[str]:
    """Return what is wrong with a spec."""
    with pytest.raises(InputError) as caught:
        parse(BotSpec, read_text(text, "f"))
    return [str(problem) for problem in caught.value.problems]


def test_the_platforms_file_loads_unchanged(platform: BotSpec) -> None:
    """All 29 components and nine channels are there, with params by default."""
    assert platform.metadata.id == "QIKI-DODECA-01"
    assert [name for name, _ in platform.components.items()] == list(KINDS)
    assert len(KINDS) == 29
    assert platform.event_bus.channels == CHANNELS
    assert platform.profile == "qiki"
    assert {name for name, part in platform.components.items() if not part.enabled} == (
        OFF_BY_DEFAULT
    )


def test_the_shipped_spec_is_the_platforms_file_with_every_number_written(
    platform: BotSpec,
) -> None:
    """`builtin:BotSpec` means the same bot, and hides no default."""
    shipped = load_spec("builtin:BotSpec")
    assert dump_spec(shipped) == dump_spec(platform)
    text = builtin_path("specs", "BotSpec").read_text()
    assert text == annotated_spec(), "run: twin spec defaults > specs/BotSpec.yaml"


def test_the_table_of_components_is_the_platforms(platform: BotSpec) -> None:
    """What the library offers by itself is what the platform's file states."""
    for name, component in platform.components.items():
        assert (component.type, component.provides, component.consumes) == (
            KINDS[name].kind,
            KINDS[name].provides,
            KINDS[name].consumes,
        )


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.required])
def test_required_components_cannot_be_left_out(name: str) -> None:
    """The profile qiki misses each of its components by name."""
    lines = PLATFORM.read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith(f"  {name}:"))
    assert any(f"requires the component '{name}'" in problem for problem in problems(text))


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.required])
def test_other_components_can_be_left_out(name: str) -> None:
    """A QIKI bot may lack what the platform does not require."""
    lines = PLATFORM.read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith(f"  {name}:"))
    spec = parse(BotSpec, read_text(text))
    assert name not in spec.components
    assert not spec.is_enabled(name)
    with pytest.raises(KeyError):
        spec.components[name]


@pytest.mark.parametrize("channel", CHANNELS)
def test_all_nine_channels_are_required(channel: str) -> None:
    """The profile qiki misses each channel by name."""
    text = PLATFORM.read_text().replace(f"{channel}, ", "").replace(f", {channel}]", "]")
    assert problems(text) == [f"f:34:23: the profile qiki requires the channel '{channel}'"]


def test_the_profile_custom_requires_nothing() -> None:
    """A bot of any components, here of none, is a bot."""
    spec = parse(BotSpec, read_text(text_of()))
    assert list(spec.components.items()) == []


FAULTS: dict[str, tuple[Callable[[], str], str]] = {
    "component": (lambda: text_of("powre: {type: dc_bus}"), "f:6:3: unknown key 'powre'; did you"),
    "type": (lambda: text_of("power: {type: dcbus}"), "f:6:17: 'dcbus' is not known here; did you"),
    "empty": (lambda: text_of("power:"), "f:6:9: expected a mapping (key: value), found nothing"),
    "key": (lambda: text_of("lidar: {type: lidar, enable: true}"), "f:6:24: unknown key 'enable'"),
    "param": (
        lambda: text_of("power: {type: dc_bus, params: {battery_soc: 1}}"),
        "f:6:34: unknown key 'battery_soc'; did you mean 'battery_soc_pct'?",
    ),
    "range": (
        lambda: text_of("power: {type: dc_bus, params: {battery_soc_pct: 101}}"),
        "f:6:51: 101 must be at most 100 %",
    ),
    "wiring": (
        lambda: text_of("power: {type: dc_bus}", "pdu:", channels="[NavState]").replace(
            "pdu:", "pdu: {type: power_distribution_unit, consumes: [power_bugdet]}"
        ),
        "f:7:51: nothing provides 'power_bugdet'; did you mean 'power_budget'?",
    ),
    "disabled": (
        lambda: text_of(
            "power: {type: dc_bus, enabled: false}", "mcqpu: {type: mcqpu, consumes: [dc_out]}"
        ),
        "f:7:35: nothing provides 'dc_out': the component 'power' would, but it is disabled",
    ),
    "channel": (lambda: text_of(channels="[NavStat]"), "f:6:24: unknown channel 'NavStat'; did"),
    "twice": (
        lambda: text_of(channels="[NavState, NavState]"),
        "f:6:34: the channel 'NavState' is listed twice",
    ),
    "rate": (
        lambda: text_of(rest=", rates: {qiki.telemtry: 2}"),
        "f:6:43: 'qiki.telemtry' has no rate to set; did you mean 'qiki.telemetry'?",
    ),
    "no rate": (
        lambda: text_of(rest=", rates: {ModeCmd: 2}"),
        "f:6:43: 'ModeCmd' has no rate to set",
    ),
    "zero": (lambda: text_of(rest=", rates: {NavState: 0}"), "f:6:53: 0 must be more than 0 Hz"),
    "id": (lambda: text_of().replace("id: T", "id: a.b"), "f:3:16: 'a.b' does not match the patt"),
    "version": (lambda: text_of().replace("version: 1", "version: 2"), "f:1:10: expected 1, found"),
    "kind": (lambda: text_of().replace("BotSpec", "BotSpek"), "f:2:7: 'BotSpek' is not known here"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_at_its_place(fault: str) -> None:
    """One mistake gives one problem, at the key or value that is wrong."""
    text, expected = FAULTS[fault]
    found = problems(text())
    assert len(found) == 1, found
    assert found[0].startswith(expected)


def test_implicit_ports_need_their_component() -> None:
    """`power_budget` comes with power, `thruster_schedule` with protocols, else with nobody."""
    thrusters = "propulsion: {type: propulsors, consumes: [thruster_schedule]}"
    assert "nothing provides 'thruster_schedule'" in problems(text_of(thrusters))[0]
    parse(BotSpec, read_text(text_of(thrusters, "protocols: {type: executor}")))


def test_a_component_can_be_switched_off(platform: BotSpec) -> None:
    """An absent component is as little enabled as one that is switched off."""
    assert platform.is_enabled("lidar")
    assert not platform.is_enabled("magnetometer")
    assert not with_overrides(platform, {"lidar.enabled": False}).is_enabled("lidar")
    assert not parse(BotSpec, read_text(text_of())).is_enabled("lidar")


def test_params_are_found_by_their_class(platform: BotSpec) -> None:
    """Typed params are at hand wherever the spec carries them, nested ones too."""
    assert platform.params(PowerParams).battery_capacity_wh == 500.0
    assert platform.params(OutboxParams) == OutboxParams()
    changed = with_overrides(platform, {"outbox.capacity_bytes": 4096})
    assert changed.params(OutboxParams).capacity_bytes == 4096


def test_overrides_name_component_or_block(platform: BotSpec) -> None:
    """The same value is reached by `sensor_imu.` and by `imu.`, list entries by their index."""
    by_block = with_overrides(platform, {"imu.gyro_bias_tau_s": 7, "power.battery_soc_pct": 12.5})
    by_name = with_overrides(
        platform, {"sensor_imu.gyro_bias_tau_s": 7, "power.battery_soc_pct": 12.5}
    )
    assert by_block == by_name != platform
    assert by_block.params(ImuParams).gyro_bias_tau_s == 7.0
    assert with_overrides(platform, {"propulsion.clusters.1.thrust_n": 9}) != platform


BAD_OVERRIDES = {
    "powr.battery_soc_pct": (1.0, "unknown component or block 'powr'; did you mean 'power'?"),
    "power.battery_soc": (1.0, "unknown key 'battery_soc'; did you mean 'battery_soc_pct'?"),
    "power.battery_soc_pct": (200, "200 must be at most 100 %"),
    "power": (1, "'power' names no value: write power.NAME"),
    "thermal.cor.trip_degc": (1, "there is no 'cor' here; did you mean 'core'?"),
    "propulsion.clusters.2.thrust_n": (1, "2 leads nowhere"),
    "power.battery_soc_pct.x": (1, "nothing inside"),
    "imu.enabled": ("no", "expected true or false, found 'no'; did you mean false?"),
}


@pytest.mark.parametrize("key", BAD_OVERRIDES)
def test_a_bad_override_names_itself(platform: BotSpec, key: str) -> None:
    """The message begins with the override's key, and helps as a file's would."""
    value, expected = BAD_OVERRIDES[key]
    with pytest.raises(InputError) as caught:
        with_overrides(platform, {key: value, "motion.cruise_mps": 1.0})
    [problem] = caught.value.problems
    assert str(problem).startswith(f"{key}: ")
    assert expected in problem.message


def test_bad_overrides_are_found_where_they_are_written(platform: BotSpec) -> None:
    """Given their document, problems point into it: at the key, or at the value."""
    document = read_text("set:\n  powr.x: 1\n", "s.yaml")
    with pytest.raises(InputError, match=r"s\.yaml:2:3: unknown component"):
        with_overrides(platform, {"powr.x": 1}, document, ("set",))
    document = read_text("set:\n  power.battery_soc_pct: 200\n", "s.yaml")
    with pytest.raises(InputError, match=r"s\.yaml:2:26: 200 must be"):
        with_overrides(platform, {"power.battery_soc_pct": 200}, document, ("set",))


def test_every_block_of_params_has_a_name() -> None:
    """Each component with physics can be overridden by a short name and by its own."""
    names = block_names()
    assert set(KINDS) <= set(names)
    assert {"motion", "thermal", "compute", "outbox", "radar", "modes"} <= set(names)


def test_a_spec_written_out_loads_as_the_same_spec(platform: BotSpec) -> None:
    """The resolved copy of a run folder is the spec, all defaults included."""
    changed = with_overrides(platform, {"power.battery_capacity_wh": 1e-7, "lidar.enabled": False})
    again = parse(BotSpec, read_text(dump_spec(changed)))
    assert dump_spec(again) == dump_spec(changed)
    assert again.params(PowerParams) == changed.params(PowerParams)
    assert not again.is_enabled("lidar")


RATES = st.dictionaries(st.sampled_from(RATED), st.floats(1e-6, 1000), max_size=3)


@settings(max_examples=25, deadline=None)
@given(rates=RATES, soc=st.floats(0, 100), text=st.text(max_size=20))
def test_any_spec_survives_being_written(rates: dict[str, float], soc: float, text: str) -> None:
    """Rates, params and descriptions of any value come back bit for bit."""
    lines = read_text(PLATFORM.read_text()).value
    assert isinstance(lines, dict)
    lines["metadata"] = {"id": "T", "description": text}
    lines["event_bus"] = {"channels": list(CHANNELS), "rates": dict(rates)}
    spec = BotSpec.model_validate(lines)
    changed = with_overrides(spec, {"power.battery_soc_pct": soc})
    assert dump_spec(parse(BotSpec, read_text(dump_spec(changed)))) == dump_spec(changed)
    assert changed.event_bus.rates == rates


def test_the_fingerprint_is_of_the_hardware(platform: BotSpec) -> None:
    """Other numbers give another fingerprint; another name or rate does not."""
    text = PLATFORM.read_text().replace("QIKI-DODECA-01", "OTHER")
    assert fingerprint(parse(BotSpec, read_text(text))) == fingerprint(platform)
    assert fingerprint(load_spec("builtin:BotSpec")) == fingerprint(platform)
    changed = with_overrides(platform, {"power.battery_soc_pct": 79})
    assert fingerprint(changed) != fingerprint(platform)
    assert fingerprint(platform).startswith("sha256:")


def test_a_spec_cannot_be_changed(platform: BotSpec) -> None:
    """Specs are values."""
    with pytest.raises(ValueError, match="frozen"):
        platform.profile = "custom"  # type: ignore[misc]


def test_rates_are_for_what_the_bus_samples() -> None:
    """The names that take a rate are the periodic channels of the bus, and no others."""
    periodic = [
        channel
        for channel in BUS_CHANNELS.values()
        if channel.cadence in (Cadence.PERIODIC, Cadence.PER_ITEM)
    ]
    subjects = {channel.subject for channel in periodic}
    names = {channel.spec_channel for channel in periodic if channel.spec_channel}
    assert set(RATED) == subjects | names
    assert {channel.spec_channel for channel in BUS_CHANNELS.values()} - {None} == set(CHANNELS)


def test_builtins_are_listed_and_found() -> None:
    """A built-in has a file; a misspelt one is a usage error with help."""
    assert "BotSpec" in builtin_names("specs")
    assert builtin_path("specs", "BotSpec").is_file()
    with pytest.raises(UsageError, match="there is no spec builtin:Botspec; did you mean 'BotSp"):
        load_spec("builtin:Botspec")


@pytest.mark.parametrize("name", ["../../pyproject", "/etc/passwd", "", "a\0b"])
def test_a_builtin_cannot_lead_elsewhere(name: str) -> None:
    """`builtin:` reaches only what is shipped."""
    with pytest.raises(UsageError):
        builtin_path("specs", name)
