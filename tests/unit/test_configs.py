"""What is generated from a spec says the same as the spec, for every layout and profile."""

import json
from pathlib import Path

import pytest

from twin.configs.asyncapi import asyncapi
from twin.configs.botconfig import bot_config
from twin.configs.channels import platform_channels, rate_hz
from twin.configs.generate import drift, generate, stale
from twin.configs.nats import consumer_json, server_conf, stream_json
from twin.configs.prometheus import prometheus_yml
from twin.configs.roles import Role, roles
from twin.configs.topology import spec_topology, with_custom
from twin.events.channels import AUDIT_SUBJECT, CHANNELS
from twin.events.payloads import CONTRACTS
from twin.events.streams import build_topology
from twin.events.subjects import SubjectSpace
from twin.spec.bot import BotSpec
from twin.spec.builtin import builtin_names
from twin.spec.dump import fingerprint, plain_spec
from twin.spec.load import load_spec
from twin.spec.parse import parse
from twin.spec.yaml import Plain, read_text

NAMES = builtin_names("specs")


@pytest.fixture(scope="module")
def platform() -> BotSpec:
    """The platform's bot."""
    return load_spec("builtin:BotSpec")


@pytest.fixture(scope="module")
def fleet(platform: BotSpec) -> BotSpec:
    """The same bot in the layout fleet."""
    bus = platform.event_bus.model_copy(update={"layout": "fleet"})
    return platform.model_copy(update={"event_bus": bus})


@pytest.fixture(scope="module")
def rover() -> BotSpec:
    """A bot that has none of the platform's channels."""
    return load_spec("builtin:rover")


def by_user(spec: BotSpec) -> dict[str, Role]:
    """Return the roles of a spec."""
    return {role.user: role for role in roles(spec, spec_topology(spec))}


def test_the_bot_config_carries_the_whole_hardware(platform: BotSpec) -> None:
    """Every component with its params, and the hash that BIOS and telemetry report."""
    config = json.loads(bot_config(platform))
    assert list(config) == [
        "schema_version",
        "bot_id",
        "hardware_profile",
        "runtime_profile",
        "hardware_profile_hash",
    ]
    assert config["bot_id"] == "QIKI-DODECA-01"
    assert config["hardware_profile"]["planes"] == plain_spec(platform)["components"]
    assert config["hardware_profile_hash"] == fingerprint(platform)
    channels = config["runtime_profile"]["channels"]
    assert {channel["subject"] for channel in channels} == {
        channel.subject for channel in CHANNELS.values()
    }
    assert {row["name"] for row in channels} - {None} == set(platform.event_bus.names)


def test_rates_of_the_spec_reach_the_bot_config() -> None:
    """A rate for a subject goes before one for its channel, and natural rates fill the rest."""
    text = (Path(__file__).parent.parent / "data" / "platform_botspec.yaml").read_text()
    rates = "event_bus: {rates: {SensorFrame: 4, qiki.radar.v1.frames: 2}, "
    spec = parse(BotSpec, read_text(text.replace("event_bus: {", rates)))
    found = {row.key: rate_hz(spec, row) for row in platform_channels(spec)}
    assert found["radar.v1.frames"] == 2
    assert found["radar.v1.frames.lr"] == 4
    assert found["events.v1.bios_status"] == pytest.approx(0.2)
    assert found["commands.mode"] is None


def test_streams_are_the_platforms(platform: BotSpec) -> None:
    """10 MiB, an hour, two minutes of duplicate window; command subjects are not acknowledged."""
    streams = {one.name: json.loads(stream_json(one)) for one in spec_topology(platform).streams}
    radar = streams["QIKI_RADAR_V1"]
    assert radar["subjects"] == ["qiki.radar.v1.>"]
    assert (radar["max_bytes"], radar["max_age"]) == (10 * 1024 * 1024, 3600 * 10**9)
    assert (radar["duplicate_window"], radar["discard"]) == (120 * 10**9, "old")
    assert [name for name, one in streams.items() if one["no_ack"]] == ["QIKI_COMMANDS_V1"]


def test_the_platforms_durables_are_there(platform: BotSpec) -> None:
    """Explicit acknowledgement within 45 s, seven deliveries, and no audit of audit records."""
    found = {one.name: json.loads(consumer_json(one)) for one in spec_topology(platform).consumers}
    assert {"radar_frames_pull", "radar_tracks_pull", "events_audit_pull", "registrar"} == set(
        found
    )
    for name in ("radar_frames_pull", "radar_tracks_pull", "events_audit_pull"):
        one = found[name]
        assert (one["ack_policy"], one["ack_wait"]) == ("explicit", 45 * 10**9)
        assert (one["max_deliver"], one["max_ack_pending"]) == (7, 512)
    assert AUDIT_SUBJECT not in found["events_audit_pull"]["filter_subjects"]
    assert "qiki.events.v1.state" in found["events_audit_pull"]["filter_subjects"]


def test_a_custom_bot_has_streams_of_its_own_only(rover: BotSpec) -> None:
    """The rover's subjects are stored, with the bot as wildcard, and QIKI's streams are absent."""
    topology = spec_topology(rover)
    assert {one.name: one.subjects for one in topology.streams} == {
        "ROVER_V1": ("fleet.*.gps", "fleet.*.status"),
        "ROVER_CAMERA_V1": ("fleet.*.camera.front",),
    }
    assert [(one.stream, one.role) for one in topology.consumers] == [
        ("ROVER_V1", "registrar"),
        ("ROVER_CAMERA_V1", "registrar"),
    ]


def test_own_streams_are_limited_like_the_rest_of_a_run(rover: BotSpec) -> None:
    """A run's sizes, durable names and acknowledgement apply to them too."""
    like = build_topology(SubjectSpace(), durable="mine", max_bytes=12345, ack_wait_s=1.0)
    own = with_custom(like, rover)
    assert {one.max_bytes for one in own.streams} == {12345}
    assert {(one.name, one.ack_wait_s) for one in own.consumers} == {("mine", 1.0)}


@pytest.mark.parametrize("name", NAMES)
def test_no_role_can_do_what_belongs_to_another(name: str) -> None:
    """Nobody may publish or hear everything; inboxes are private; nobody deletes but probes."""
    spec = load_spec(f"builtin:{name}")
    found = by_user(spec)
    for role in found.values():
        for subject in (*role.publish, *role.subscribe):
            assert subject.split(".")[0] not in (">", "*"), (role.user, subject)
            assert "DELETE" not in subject or ".DELETE.TWIN_smoke_" in subject, role.user
            assert "PURGE" not in subject
        inboxes = [subject for subject in role.subscribe if subject.startswith("_INBOX")]
        assert inboxes == [f"{role.inbox}.>"]
    writers = [role.user for role in found.values() if AUDIT_SUBJECT in role.publish]
    assert writers == (["registrar"] if "RegistrarEvent" in spec.event_bus.names else [])


def test_in_a_fleet_a_bot_says_only_its_own(fleet: BotSpec) -> None:
    """The bot's subjects carry its id; only the role fleet speaks for all."""
    found = by_user(fleet)
    assert all(s.startswith("qiki.fleet.v1.QIKI-DODECA-01.") for s in found["bot"].publish)
    assert all(s.startswith("qiki.fleet.v1.*.") for s in found["fleet"].publish)
    assert "qiki.fleet.v1.*.commands.control" in found["operator"].publish
    assert "qiki.fleet.v1.*.events.v1.audit" in found["registrar"].publish


def test_the_server_conf_holds_no_secret(platform: BotSpec) -> None:
    """Passwords are references to the environment."""
    text = server_conf("x", roles(platform, spec_topology(platform)))
    passwords = [line.split()[1] for line in text.splitlines() if "password:" in line]
    assert passwords
    assert all(word.startswith("$TWIN_") and word.endswith("_PASSWORD") for word in passwords)


def resolve(document: Plain, reference: str) -> Plain:
    """Follow a local JSON reference."""
    for part in reference.removeprefix("#/").split("/"):
        assert isinstance(document, dict)
        document = document[part]
    return document


def references(node: Plain) -> list[str]:
    """Return every `$ref` in a document."""
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for item in node for found in references(item)] if isinstance(node, list) else []


@pytest.mark.parametrize("name", NAMES)
def test_every_reference_of_the_asyncapi_document_leads_somewhere(name: str) -> None:
    """Channels, operations and schemas hang together, and nothing is left of JSON Schema's own."""
    document = json.loads(asyncapi(load_spec(f"builtin:{name}")))
    assert references(document)
    for reference in references(document):
        assert isinstance(resolve(document, reference), dict), reference
    assert "$defs" not in json.dumps(document)
    assert "prefixItems" not in json.dumps(document)


def test_the_asyncapi_document_has_every_channel(platform: BotSpec) -> None:
    """All channels with the contract of their payload; what the bot hears is received."""
    document = json.loads(asyncapi(platform))
    addresses = {node["address"] for node in document["channels"].values()}
    assert addresses == {channel.subject for channel in CHANNELS.values()}
    assert {model.__name__ for model in CONTRACTS.values()} <= set(
        document["components"]["schemas"]
    )
    actions = {
        node["channel"]["$ref"].removeprefix("#/channels/"): node["action"]
        for node in document["operations"].values()
    }
    assert actions["commands_control"] == "receive"
    assert actions["radar_v1_frames"] == "send"
    assert "events_v1_audit" not in actions
    reply = document["operations"]["receive_commands_control"]["reply"]["channel"]["$ref"]
    assert reply == "#/channels/responses_control"


def test_the_asyncapi_document_of_a_fleet_has_the_bot_as_parameter(fleet: BotSpec) -> None:
    """Addresses name the parameter that they carry."""
    for node in json.loads(asyncapi(fleet))["channels"].values():
        assert "{bot}" in node["address"]
        assert list(node["parameters"]) == ["bot"]


def test_own_payloads_have_their_schema(rover: BotSpec) -> None:
    """A JSON Schema stands as it is, a template gives its shape, opaque bytes have none."""
    channels = json.loads(asyncapi(rover))["channels"]
    messages = {name: node["messages"]["event"] for name, node in channels.items()}
    assert messages["gps"]["payload"]["properties"]["satellites"]["maximum"] == 16
    assert messages["status"]["payload"]["properties"]["text"] == {"type": "string"}
    assert messages["status"]["payload"]["properties"]["rover"] == {}
    assert "payload" not in messages["camera"]
    assert messages["camera"]["contentType"] == "image/x-portable-graymap"
    assert messages["gps"]["headers"]["properties"]["x-datum"] == {"const": "WGS84"}


def test_prometheus_scrapes_registrar_and_lag_monitor(platform: BotSpec) -> None:
    """The scrape config is YAML with a target per service."""
    value = read_text(prometheus_yml(platform)).value
    assert isinstance(value, dict)
    jobs = value["scrape_configs"]
    assert isinstance(jobs, list)
    assert [job["job_name"] for job in jobs] == ["twin-registrar", "twin-lag"]  # type: ignore[call-overload,index]


@pytest.mark.parametrize("name", NAMES)
def test_generation_is_repeatable_and_drift_is_seen(name: str, tmp_path: Path) -> None:
    """Same spec, same bytes; an edited, a missing and a left-over file are differences."""
    files = generate(load_spec(f"builtin:{name}"))
    assert files == generate(load_spec(f"builtin:{name}"))
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assert list(drift(tmp_path, files)) == []
    conf = tmp_path / "nats-server.conf"
    conf.write_text(conf.read_text().replace("max_payload: 1048576", "max_payload: 99"))
    (tmp_path / "prometheus.yml").unlink()
    (tmp_path / "streams" / "OLD.json").write_text("{}\n")
    (tmp_path / "notes.txt").write_text("mine")
    lines = list(drift(tmp_path, files))
    assert "-max_payload: 99" in lines
    assert "+max_payload: 1048576" in lines
    assert "+  - job_name: twin-lag" in lines or "+- job_name: twin-lag" in lines
    assert "-{}" in lines
    assert stale(tmp_path, files) == ["streams/OLD.json"]
