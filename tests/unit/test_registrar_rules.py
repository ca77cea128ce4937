"""Rules from events to codes."""

import time
import tracemalloc
from pathlib import Path

import pytest

from twin.errors import InputError
from twin.events.channels import AUDIT_SUBJECT, CHANNELS, Channel
from twin.events.payloads import CONTRACTS
from twin.events.vocabulary import StateKind
from twin.registrar.codes import CODES, Severity
from twin.registrar.rules import Classifier, Json, Rules

STATE = "qiki.events.v1.state"
STATE_TYPE = "qiki.events.v1.StateChange"


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """The rules that we ship."""
    return Classifier(Rules.load())


def code(classifier: Classifier, payload: dict[str, object], subject: str = STATE) -> int:
    """Return the code of a state event."""
    return classifier.classify(STATE_TYPE, subject, payload).code  # type: ignore[arg-type]


def promised(key: str) -> dict[str, Json]:
    """Return a payload with the fields that a channel's contract demands, none of a value."""
    fields = CONTRACTS[key].model_fields.items()
    return {field.alias or name: None for name, field in fields if field.is_required()}


def test_types_that_nobody_knows_take_little_memory() -> None:
    """Whoever gives each event a type of its own cannot fill the registrar's memory."""
    classifier = Classifier(Rules.load())
    tracemalloc.start()
    for number in range(500):
        classifier.classify(f"org.example.T{number}", STATE, {"kind": "boot_ok"})
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 500 * 4096


def test_what_was_judged_is_remembered_once_for_equal_rules() -> None:
    """However many types and subjects come: they share what is remembered of equal rules."""
    classifier = Classifier(Rules.load())
    names = [(f"lab.v1.T{n}", f"fleet.bot-{n}.gps") for n in range(200)]
    assert len({classifier.plans[name] for name in names}) == 1
    bots = [(STATE_TYPE, f"qiki.fleet.v1.bot-{n}.events.v1.state") for n in range(200)]
    assert len({classifier.plans[name] for name in [*bots, (STATE_TYPE, STATE)]}) == 1
    assert classifier.plans[names[0]] is not classifier.plans[bots[0]]


def test_every_channel_of_the_platform_has_a_code(classifier: Classifier) -> None:
    """No event that a bot publishes is of unknown type."""
    unknown = [
        row.key
        for row in CHANNELS.values()
        if row.subject not in (AUDIT_SUBJECT, STATE)
        and row.key != "events.v1.sensor.thermal.trip"
        and classifier.classify(row.event_type, row.subject, promised(row.key)).code in (299, 923)
    ]
    assert unknown == []


GIVEN = [row for row in CHANNELS.values() if not row.assumed and row.subject != AUDIT_SUBJECT]


@pytest.mark.parametrize("channel", GIVEN, ids=lambda row: row.key)
def test_a_broken_contract_is_told(classifier: Classifier, channel: Channel) -> None:
    """A field less, another schema version, no object at all: 923, in both layouts."""
    good = promised(channel.key)
    subjects = (channel.subject, channel.subject.replace("qiki.", "qiki.fleet.v1.bot-1.", 1))

    def codes(payload: Json) -> set[int]:
        kind = channel.event_type
        return {classifier.classify(kind, subject, payload).code for subject in subjects}

    assert 923 not in codes(good)
    for broken in ({}, [], "text", None, {**good, "schema_version": 2}):
        assert codes(broken) == {923}, broken
    assert codes({name: None for name in good if name != "schema_version"}) == {923}
    assert not classifier.classify(channel.event_type, channel.subject, {}).publish


def test_a_users_rule_may_expect_something_else(tmp_path: Path) -> None:
    """`lacks` is for everybody's own events, and ours give way to a user's rules."""
    file = tmp_path / "rules.yaml"
    file.write_text(
        "version: 1\nrules:\n"
        "  - {subject: fleet.*.gps, lacks: [fix, lat], where: {old: true}, code: 502}\n"
        "  - {subject: fleet.*.gps, lacks: [fix], code: 923}\n"
        "  - {type: qiki.radar.v1.Track, code: 211}\n"
    )
    classifier = Classifier(Rules.load(file))
    payloads: list[Json] = [{"fix": 1}, {}, [], {"old": True, "fix": 1}]
    found = [classifier.classify("x", "fleet.b1.gps", payload).code for payload in payloads]
    assert found == [299, 923, 923, 502]
    assert classifier.classify("qiki.radar.v1.Track", "qiki.radar.v1.tracks", {}).code == 211


def test_an_unknown_type_is_said_to_be_unknown(classifier: Classifier) -> None:
    """What no rule matches is 299, and is not fanned out."""
    verdict = classifier.classify("org.example.Thing", "fleet.b1.gps", {"x": 1})
    assert verdict == (299, CODES[299].severity, False)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"kind": "boot_start"}, 100),
        ({"kind": "boot_ok"}, 101),
        ({"kind": "boot_failed"}, 102),
        ({"kind": "sensor_io_ok"}, 201),
        ({"kind": "sensor_io_failed"}, 202),
        ({"kind": "power_low", "to": "entered"}, 602),
        ({"kind": "power_low", "to": "cleared"}, 604),
        ({"kind": "power_critical", "to": "entered"}, 603),
        ({"kind": "power_critical", "to": "cleared"}, 605),
        ({"kind": "load_shed", "to": "shed"}, 610),
        ({"kind": "load_restored", "to": "on"}, 611),
        ({"kind": "mode", "from": "BOOTING", "to": "IDLE"}, 120),
        ({"kind": "dock", "to": "hard_lock"}, 320),
        ({"kind": "comms", "from": "online", "to": "blocked"}, 420),
        ({"kind": "comms", "from": "blocked", "to": "online"}, 421),
        ({"kind": "pdu_overcurrent", "to": "raised"}, 620),
        ({"kind": "pdu_fault", "to": "raised"}, 621),
        ({"kind": "pdu_overcurrent", "to": "cleared"}, 622),
        ({"kind": "radiation", "to": "warn"}, 712),
        ({"kind": "radiation", "to": "normal"}, 713),
        ({"kind": "shield", "to": "low"}, 812),
        ({"kind": "shield", "to": "nominal"}, 813),
        ({"kind": "event_shed", "to": "shed"}, 430),
        ({"kind": "something new"}, 299),
    ],
)
def test_edges_get_their_codes(
    classifier: Classifier, payload: dict[str, object], expected: int
) -> None:
    """Each kind of state event has its code, entering and clearing are told apart."""
    assert code(classifier, payload) == expected


def test_every_known_kind_of_edge_has_a_code(classifier: Classifier) -> None:
    """No kind of state event that bots report is of unknown type."""
    assert [kind for kind in StateKind if code(classifier, {"kind": str(kind)}) == 299] == []


def test_layout_does_not_change_the_code(classifier: Classifier) -> None:
    """An event has the same code on its platform subject and on its fleet subject."""
    fleet = "qiki.fleet.v1.bot-7.events.v1.state"
    assert code(classifier, {"kind": "boot_ok"}, fleet) == 101


def test_safe_mode_is_a_warning_and_is_fanned_out(classifier: Classifier) -> None:
    """A rule may raise the severity of its code; from WARN on, events are published."""
    verdict = classifier.classify(STATE_TYPE, STATE, {"kind": "mode", "to": "SAFE_MODE"})
    assert verdict == (120, Severity.WARN, True)


def test_readings_are_not_fanned_out(classifier: Classifier) -> None:
    """Nothing that every bot emits all the time is published as an audit record."""
    for row in CHANNELS.values():
        verdict = classifier.classify(row.event_type, row.subject, {"all_systems_go": True})
        if CODES[verdict.code].bulk:
            assert not verdict.publish, row.key


def test_a_users_rules_come_first(tmp_path: Path) -> None:
    """A rule file of the user's is tried before ours, and changes the hash of the rules."""
    file = tmp_path / "rules.yaml"
    file.write_text(
        "version: 1\nrules:\n"
        "  - {type: org.example.*, where: {level.now: {above: 5, max: 9}}, code: 900}\n"
        "  - {subject: fleet.*.gps, where: {fix: [none, '2d']}, code: 502, publish: false}\n"
    )
    rules = Rules.load(file)
    classifier = Classifier(rules)
    assert classifier.classify("org.example.A", "x", {"level": {"now": 9}}).code == 900
    for outside in ({"level": {"now": 5}}, {"level": {"now": 9.5}}, {"level": 7}, {}, [7], None):
        assert classifier.classify("org.example.A", "x", outside).code == 299  # type: ignore[arg-type]
    assert classifier.classify("t", "fleet.b.gps", {"fix": "2d"}) == (502, Severity.ERROR, False)
    assert classifier.classify("t", "fleet.b.c.gps", {"fix": "2d"}).code == 299
    assert rules.hash != Rules.load().hash


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{code: 123}", "123 is no known event code"),
        ("{code: 920}", "reserved for the registrar"),
        ("{code: 602, sevrity: WARN}", "severity"),
        ("{code: 602, where: {soc: {}}}", "min, max, above, below"),
        ("{code: 602, subject: a..b}", "'a..b' is no subject"),
        ("{code: 602, subject: fleet.b*.gps}", "* and > stand alone"),
        ("{code: 602, subject: 'fleet.>.gps'}", "> is the last token"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place(tmp_path: Path, line: str, message: str) -> None:
    """A mistake in a rule file is reported with file and line."""
    file = tmp_path / "rules.yaml"
    file.write_text(f"version: 1\nrules:\n  - {line}\n")
    with pytest.raises(InputError) as caught:
        Rules.load(file)
    assert f"{file}:3:" in str(caught.value)
    assert message in str(caught.value)


def test_classifying_keeps_up_with_the_bus(classifier: Classifier) -> None:
    """More than 100,000 events a second are classified, also over many subjects."""
    events = [
        (row.event_type, f"qiki.fleet.v1.bot-{bot}.{row.key}")
        for bot in range(200)
        for row in CHANNELS.values()
    ]
    payload = {"kind": "mode", "to": "IDLE", "source": "thermal", "overcurrent": 0}
    best = 0.0
    for _ in range(3):
        started = time.process_time()
        for event_type, subject in events:
            classifier.classify(event_type, subject, payload)  # type: ignore[arg-type]
        best = max(best, len(events) / (time.process_time() - started))
    assert best > 100_000
