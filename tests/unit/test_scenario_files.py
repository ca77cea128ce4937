"""Scenario files: notations, parameters, and the errors that a user reads."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.errors import InputError, UsageError
from twin.scenario.language.load import dump_scenario, load_scenario
from twin.scenario.language.parameters import parse_vars
from twin.scenario.language.values import format_duration, parse_duration, parse_multiplier

MINIMAL = """\
schema_version: 1
name: tiny
parameters: {bots: 3, low: 20}
fleet:
  scouts: {count: "${bots}", start: {power.soc_pct: {uniform: ["${low}", 40]}}}
phases:
  - {name: all, duration: 2s}
"""


def write(folder: Path, text: str) -> str:
    """Write a scenario into a project of its own; return its path."""
    path = folder / "scenarios" / "tiny.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return str(path)


def problems(folder: Path, text: str) -> list[str]:
    """Return what is wrong with a scenario, as line:column: message."""
    file = write(folder, text)
    with pytest.raises(InputError) as caught:
        load_scenario(file)
    return [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems]


@given(st.integers(min_value=1, max_value=7 * 24 * 3600 * 1_000_000_000))
def test_duration_notation_reads_back(ns: int) -> None:
    """What format_duration writes, parse_duration reads as the same time."""
    assert parse_duration(format_duration(ns)) == ns


def test_resolved_copy_means_the_same_scenario(tmp_path: Path) -> None:
    """The copy in a run folder loads as the scenario that was run, parameters put in."""
    loaded = load_scenario("builtin:broker-restart", {"bots": 7})
    copy = tmp_path / "scenario.yaml"
    copy.write_text(dump_scenario(loaded.scenario))
    assert load_scenario(str(copy)).scenario == loaded.scenario


@pytest.mark.parametrize("text", ["", "10", "5 s", "s", "-1s", "1x", "1e3s", 3, None, "8000h"])
def test_duration_refuses_other_notations(text: object) -> None:
    """A duration needs a number and a unit, and ends at seven days."""
    with pytest.raises(ValueError, match=r"duration|seven days"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["x", "0x", "-2x", "nan", "inf", True, [], "5y"])
def test_multiplier_refuses_what_is_no_rate(text: object) -> None:
    """A rate is a positive, finite multiple."""
    with pytest.raises(ValueError, match="multiplier"):
        parse_multiplier(text)


def test_parameter_keeps_its_type_and_gives_way_to_a_variable(tmp_path: Path) -> None:
    """`${bots}` becomes the number that is declared, or the one on the command line."""
    file = write(tmp_path, MINIMAL)
    assert load_scenario(file).groups[0].count == 3
    loaded = load_scenario(file, parse_vars(["bots=5"]))
    assert loaded.groups[0].count == 5
    assert loaded.scenario.parameters["bots"] == 5


def test_undeclared_names_are_refused_with_a_hint(tmp_path: Path) -> None:
    """A placeholder or variable that no parameter declares is an error that names the near one."""
    text = MINIMAL.replace("${low}", "${lwo}")
    assert problems(tmp_path, text) == [
        "5:64: parameter ${lwo} is not declared, did you mean ${low}?"
    ]
    with pytest.raises(UsageError, match="declares no such parameter"):
        load_scenario(write(tmp_path, MINIMAL), {"bot": 1})


def test_all_errors_come_at_once_with_positions(tmp_path: Path) -> None:
    """Several mistakes give several messages, each with line, column and what is allowed."""
    text = MINIMAL.replace("name: tiny", "nmae: tiny").replace("2s", "2 sec") + "thresholds:\n"
    text += "  publish_latncy: [p(99)<250ms]\n  publish_latency: [p(99)<<250ms]\n"
    found = problems(tmp_path, text)
    assert [line.split(":")[0] for line in found] == ["1", "2", "7", "9", "10"]
    assert any("did you mean 'name'" in line for line in found), found
    assert any("did you mean 'publish_latency'" in line for line in found), found


def test_event_after_the_end_is_refused(tmp_path: Path) -> None:
    """A fault that could never fire is found before anything runs."""
    text = MINIMAL + "events:\n  - {at: 2s, do: {fault: broker.kill, restart_after: 1s}}\n"
    assert "not before the end" in problems(tmp_path, text)[0]


def test_unknown_fault_and_param_are_refused(tmp_path: Path) -> None:
    """Faults and spec overrides are checked by name, with positions."""
    text = MINIMAL + "events:\n  - {at: 1s, do: {fault: broker.kil}}\n"
    assert "broker.kil" in problems(tmp_path, text)[0]
    text = MINIMAL.replace("count:", "set: {power.battery_capacity_hw: 1.0}, count:")
    assert "battery_capacity_wh" in problems(tmp_path, text)[0]


def test_spec_outside_the_project_is_refused(tmp_path: Path) -> None:
    """A scenario cannot reach files beyond its project."""
    text = MINIMAL.replace("count:", "spec: ../../../../etc/passwd, count:")
    assert "outside the project" in problems(tmp_path, text)[0]


def test_guarantees_hold_unless_a_scenario_says_null(tmp_path: Path) -> None:
    """Not to judge a class of defects must be said; leaving it out keeps it at zero."""
    loaded = load_scenario(write(tmp_path, MINIMAL + "guarantees: {lost: null}\n"))
    assert loaded.scenario.guarantees.lost is None
    assert loaded.scenario.guarantees.duplicates == 0


def test_what_no_part_sees_alone_is_found_before_a_run(tmp_path: Path) -> None:
    """Unknown metrics, groups, bots, phases and units that do not fit come with positions."""
    text = MINIMAL.replace("name: all, duration: 2s", "name: all, duration: 4s")
    text += (
        "events:\n"
        '  - {when: "fleet.scots.power.soc_pct.p10 < 3", do: {fault: registrar.kill}}\n'
        "  - {at: 1s, do: {fault: power.eclipse, on: {group: scots}}}\n"
        "  - {at: 1s, do: {fault: radio.blackout, on: {bots: [scouts-0009]}}}\n"
        "thresholds:\n"
        "  publish_latency{phase:al}: [p(99)<2s]\n"
        "  consumer_backlog: [max<5s]\n"
    )
    assert problems(tmp_path, text) == [
        (
            "9:12: there is no 'fleet.scots.power.soc_pct.p10' to watch; "
            "did you mean 'fleet.scouts.power.soc_pct.p10'?"
        ),
        "10:53: there is no group 'scots'; did you mean 'scouts'?",
        "11:53: there is no bot 'scouts-0009'",
        "13:3: there is no phase 'al'; did you mean 'all'?",
        "14:22: 'max<5s': max of consumer_backlog is a count, which 's' does not measure",
    ]


def test_hardware_faults_begin_and_end_with_a_tick(tmp_path: Path) -> None:
    """A fault between two ticks could never fire, so it is refused."""
    for when in (
        "at: 1100ms, do: {fault: power.eclipse}",
        "at: 1s, do: {fault: power.eclipse, for: 300ms}",
    ):
        text = MINIMAL + f"events:\n  - {{{when}}}\n"
        assert "whole simulated seconds" in problems(tmp_path, text)[0]


def test_threshold_without_an_expression_is_refused(tmp_path: Path) -> None:
    """A threshold that asks for nothing would always hold."""
    assert problems(tmp_path, MINIMAL + "thresholds: {publish_latency: []}\n")


def test_streams_and_consumers_that_are_not_there_are_found(tmp_path: Path) -> None:
    """A consumer's stream, a fault's stream and an expectation's consumer are named, at once."""
    file = tmp_path / "scenarios" / "lag.yaml"
    file.parent.mkdir()
    file.write_text(
        "schema_version: 1\nname: lag\nfleet: {scouts: {count: 2, spec: builtin:scout}}\n"
        "consumers:\n  worker: {stream: NOPE}\nphases: [{name: run, duration: 6s}]\n"
        "events:\n  - {at: 2s, do: {fault: stream.purge, stream: QIKI_EVENT_V1}}\n"
        "expect:\n  - lag: {consumer: ghost, status: STALLED}\n"
    )
    with pytest.raises(InputError) as caught:
        load_scenario(str(file))
    found = [(one.line, one.column, one.message) for one in caught.value.problems]
    assert [(line, column) for line, column, _ in found] == [(5, 20), (8, 48), (10, 21)]
    assert "did you mean 'QIKI_EVENTS_V1'?" in found[1][2]


def test_load_shapes_that_cannot_be_are_refused_where_they_stand(tmp_path: Path) -> None:
    """Unknown units, impossible rates, ramps too long, two shapes, bursts without a pause."""
    for load, words in {
        "{rate: 5y}": "5x, or events per second",
        "{rate: 9000k/s}": "0.01x to 1000x is possible",
        "{stages: [{duration: 5s, target: 2x}]}": "the stages last 5s, the phase only 2s",
        "{stages: [{duration: 500ms, target: 2x}]}": "whole simulated seconds",
        "{stages: [{duration: 1s, target: 2x}], burst: {rate: 2x, every: 2s, for: 1s}}": "either",
        "{burst: {rate: 2x, every: 2s, for: 2s}}": "shorter than `every`",
    }.items():
        text = MINIMAL.replace("duration: 2s", f"duration: 2s, load: {load}")
        [found] = problems(tmp_path, text)
        assert found.startswith("7:")
        assert words in found


def test_conditions_can_watch_the_broker_and_its_consumers(tmp_path: Path) -> None:
    """Publisher, broker, consumers and streams are known by name; others are refused."""
    good = "[{when: consumer.registrar.backlog > 0, hold: 1s, repeat: 3, do: {fault: broker.kill}}]"
    for one in ("stream.QIKI_EVENTS_V1.fill", "publish.waiting", "consumer.registrar.status.warn"):
        text = good.replace("consumer.registrar.backlog", one)
        assert load_scenario(write(tmp_path, f"{MINIMAL}events: {text}\n"))
    for one, words in {
        "consumer.registrat.backlog": "did you mean 'consumer.registrar.backlog'",
        "stream.QIKI_EVENTS_V1.full": "did you mean 'stream.QIKI_EVENTS_V1.fill'",
    }.items():
        text = good.replace("consumer.registrar.backlog", one)
        [found] = problems(tmp_path, f"{MINIMAL}events: {text}\n")
        assert words in found
    for text, words in {
        "[{at: 1s, hold: 1s, do: {fault: broker.kill}}]": "belong to `when`",
        "[{when: broker.up < 1, repeat: true, do: {fault: power.eclipse}}]": "no `for`",
    }.items():
        [found] = problems(tmp_path, f"{MINIMAL}events: {text}\n")
        assert words in found


def test_pieces_are_put_under_a_scenario_and_keep_their_places(tmp_path: Path) -> None:
    """Mappings merge, the scenario wins, lists join; errors point into the piece's own file."""
    write(tmp_path, MINIMAL)
    piece = tmp_path / "pieces" / "shared.yaml"
    piece.parent.mkdir()
    piece.write_text(
        "fleet: {scouts: {count: 9, spec: builtin:scout}}\n"
        "guarantees: {gaps: 0}\n"
        "phases: [{name: boot, duration: '${low}s'}]\n"
    )
    text = f"include: [../pieces/shared.yaml]\n{MINIMAL}guarantees: {{reordered: null}}\n"
    scenario = load_scenario(write(tmp_path, text)).scenario
    assert (scenario.fleet["scouts"].count, scenario.fleet["scouts"].spec) == (3, "builtin:scout")
    assert [phase.name for phase in scenario.phases] == ["boot", "all"]
    assert scenario.phases[0].duration == 20 * 10**9
    assert (scenario.guarantees.gaps, scenario.guarantees.reordered) == (0, None)
    assert "include" not in dump_scenario(scenario)
    piece.write_text("fleet: {scouts: {cuont: 9}}\n")
    [found] = problems(tmp_path, text)
    assert "pieces/shared.yaml:1:18: " in found
    for name, words in {
        "../../etc/passwd": "outside the project folder",
        "../pieces/none.yaml": "there is no file",
    }.items():
        [found] = problems(tmp_path, text.replace("../pieces/shared.yaml", name))
        assert words in found


def test_a_guarantee_on_a_consumer_that_is_not_there_is_found(tmp_path: Path) -> None:
    """By name, with a hint."""
    text = f"{MINIMAL}guarantees: {{consumers: {{registar: {{exhausted: 0}}}}}}\n"
    [found] = problems(tmp_path, text)
    assert "did you mean 'registrar'" in found


def test_one_round_tells_every_mistake(tmp_path: Path) -> None:
    """A wrong type, a fault too late, a dangling name and a bad regex come in one go."""
    text = MINIMAL + (
        "events:\n"
        "  - {at: 5s, do: {fault: registrar.kill}}\n"
        "  - {at: 1s, do: {fault: power.eclipse, on: scouts}}\n"
        "  - {at: 1s, do: {fault: consumer.stall, consumer: nobody, for: 1s}}\n"
        "  - {at: 1s, do: {fault: radio.blackout, on: {group: scots}}}\n"
        "thresholds:\n"
        "  consumer_backlog{consumer:registrer}: [max<1k]\n"
        "services:\n"
        "  mine: {command: [x], ready: {log: '('}}\n"
        "observers:\n"
        "  lines: {jsonl: x, service: mien, subjects: [qiki.telemetri]}\n"
    )
    assert problems(tmp_path, text) == [
        "9:10: registrar.kill at 5s is not before the end at 2s",
        (
            "10:45: expected a mapping (key: value), found 'scouts'; "
            "its keys are group, bots, fraction, region"
        ),
        "11:52: there is no consumer 'nobody'",
        "12:54: there is no group 'scots'; did you mean 'scouts'?",
        "14:3: there is no consumer 'registrer'; did you mean 'registrar'?",
        "16:37: '(' is no regular expression: missing ), unterminated subpattern at position 0",
        "18:30: there is no service 'mien'; did you mean 'mine'?",
        "18:47: nobody publishes on 'qiki.telemetri'; did you mean 'qiki.telemetry'?",
    ]


def test_a_file_that_is_too_broken_gives_no_echoes(tmp_path: Path) -> None:
    """What is left out because it is wrong is not told again as missing."""
    text = MINIMAL.replace("duration: 2s", "duration: 2 sec").replace("count:", "cuont:")
    found = problems(tmp_path, text)
    assert [line.split(":")[0] for line in found] == ["5", "5", "7"], found


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        ("thresholds: {'publish_latency{subject:qiki.telemetri}': [max<1s]}", "no subject"),
        ("thresholds: {'end_to_end_latency{observer:nobody}': [max<1s]}", "no observer 'nobody'"),
        ("thresholds: {'consumer_backlog{stream:QIKI_EVENT_V1}': [max<1k]}", "'QIKI_EVENTS_V1'?"),
        ("thresholds: {publish_latency: [recovery<1s]}", "no event breaks anything"),
        ("expect: [{audit: {code: 777, max: 0}}]", "there is no code 777"),
        ("expect: [{on: qiki.events.v1.stat, count: 0}]", "did you mean 'qiki.events.v1.state'?"),
        ("consumers: {w: {stream: QIKI_EVENTS_V1, subjects: [qiki.typo]}}", "nobody publishes"),
        ("events: [{when: 'broker.up < 1', hold: 9s, do: {fault: registrar.kill}}]", "can hold"),
    ],
)
def test_what_could_only_hold_by_accident_is_refused(
    piece: str, message: str, tmp_path: Path
) -> None:
    """Thresholds, observers and expectations on what is not there would prove nothing."""
    assert message in problems(tmp_path, f"{MINIMAL}{piece}\n")[0]


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        ("thresholds: {events: [count>=0]}", "8:23: count>=0 of events always holds"),
        ("thresholds: {events: [count>-1]}", "always holds"),
        ("thresholds: {events: ['count!=-1']}", "always holds"),
        ("thresholds: {publish_unknown: [rate<=1]}", "always holds"),
        ("thresholds: {publish_unknown: [rate<=100%]}", "always holds"),
        ("thresholds: {publish_unknown: [rate<1.5]}", "always holds"),
        ("thresholds: {publish_latency: [p(95)>=0ms]}", "always holds"),
        ("thresholds: {consumer_backlog: [min>=0]}", "always holds"),
        ("thresholds: {publish_refused: [rate>1]}", "can never hold"),
        ("thresholds: {publish_latency: [max<0]}", "can never hold"),
        ("steady_state: [publish.refused >= 0]", "8:16: publish.refused >= 0 always holds"),
        ("steady_state: [broker.up <= 1]", "always holds"),
        ("events: [{when: broker.up > 1, do: {fault: registrar.kill}}]", "can never hold"),
        ("steady_state: [fleet.scouts.power.soc_pct.p10 >= 0]", "8:16: fleet.scouts.power"),
        ("steady_state: [fleet.scouts.power.soc_pct.max <= 100]", "always holds"),
        ("steady_state: [fleet.scouts.thermal.core_degc.min > -274]", "always holds"),
        ("steady_state: [fleet.scouts.modes.active <= 3]", "always holds"),
        ("steady_state: [fleet.scouts.modes.active > 3]", "can never hold"),
        ("expect: [{audit: {code: 101, min: 0}}]", "at least 0 always holds"),
        ("expect: [{audit: {code: 101, per_bot: {min: 0}}}]", "at least 0 always holds"),
        ("expect: [{on: qiki.events.v1.state, min: 0}]", "at least 0 always holds"),
    ],
)
def test_what_is_settled_before_the_run_is_refused(
    piece: str, message: str, tmp_path: Path
) -> None:
    """A term that holds whatever happens, or never can, is an error at its place."""
    [found] = problems(tmp_path, f"{MINIMAL}{piece}\n")
    assert message in found


@pytest.mark.parametrize(
    "piece",
    [
        "thresholds: {events: [count>0, count<=1M], publish_unknown: [rate<100%, rate>=0.5]}",
        "thresholds: {consumer_backlog: [max<=0, min==0], events: [rate<=1]}",
        "steady_state: [publish.refused < 1, broker.up >= 1, fleet.scouts.power.soc_pct.p10 > 0]",
        "steady_state: [fleet.scouts.thermal.core_degc.min >= 0, fleet.scouts.modes.error < 1]",
        "expect: [{audit: {code: 101, min: 0, max: 5}}, {audit: {code: 101, count: 0}}]",
    ],
)
def test_what_may_turn_out_either_way_is_taken(piece: str, tmp_path: Path) -> None:
    """Limits that a run can meet or miss are no error, also at the edge of what is possible."""
    assert load_scenario(write(tmp_path, f"{MINIMAL}{piece}\n")).scenario.name == "tiny"


@pytest.mark.parametrize(
    "url",
    ["http://", "http:///health", "http://localhost:99999/", "http://[::1/", "http://host:0/",
     "http://a b/", "http://host:port/", "http://h/\\u00e4"],
)  # fmt: skip
def test_an_address_that_nobody_could_ask_is_refused(url: str, tmp_path: Path) -> None:
    """A service could never be ready, nor an observer read, at what is no URL."""
    ready = f'services: {{mine: {{command: [x], ready: {{http: "{url}"}}}}}}\n'
    observer = f'observers: {{mine: {{http: "{url}"}}}}\n'
    found = problems(tmp_path, MINIMAL + ready + observer)
    assert [message.partition(" is ")[2] for message in found] == [
        "no address: write http://HOST:PORT/PATH"
    ] * 2


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/health", "https://host/a?b=c", "http://[::1]:80"]
)
def test_addresses_are_taken(url: str, tmp_path: Path) -> None:
    """With or without port and path, by name or number."""
    ready = f'services: {{mine: {{command: [x], ready: {{http: "{url}"}}}}}}\n'
    assert load_scenario(write(tmp_path, MINIMAL + ready)).scenario.services["mine"].ready


def test_a_threshold_needs_a_measured_phase_and_a_burst_its_time(tmp_path: Path) -> None:
    """What would cover no sample, or never come, is found before a run."""
    text = MINIMAL.replace("duration: 2s", "duration: 2s, measure: false")
    assert "no phase has" in problems(tmp_path, text + "thresholds: {events: [count>1]}\n")[0]
    late = "duration: 2s, load: {burst: {rate: 2x, every: 4s, for: 1s}}"
    assert (
        "the first burst comes after 4s"
        in problems(tmp_path, MINIMAL.replace("duration: 2s", late))[0]
    )


def test_a_bad_variable_is_told_as_the_command_lines(tmp_path: Path) -> None:
    """Whoever gave a value by `--var` is not sent to the file for it alone."""
    file = write(tmp_path, MINIMAL)
    with pytest.raises(InputError, match=r"5:19: -3 must be at least 1 \(by --var bots=-3\)"):
        load_scenario(file, parse_vars(["bots=-3"]))


def test_subjects_of_other_services_may_be_expected(tmp_path: Path) -> None:
    """With services of the user's own, subjects may be theirs."""
    text = MINIMAL + "services: {mine: {command: [x]}}\nexpect: [{on: qiki.mine.done, count: 0}]\n"
    assert load_scenario(write(tmp_path, text)).scenario.expect


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("net.latency, client: bot, latency: 9ms, for: 1s", "10:47: there is no client 'bot'; did"),
        ("net.latency, latency: 9ms, jitter: 10ms, for: 1s", ": a jitter of 10ms is more"),
        ("net.latency, latency: 0, for: 1s", "0 must be more than 0"),
        ("net.bandwidth, rate: 0, for: 1s", "0 must be more than 0"),
        ("net.bandwidth, rate: 1000001, for: 1s", "must be at most 1e+06"),
        ("consumer.slow, consumer: worker, rate: 10001, for: 1s", "must be at most 10000"),
        ("net.slicer, average_size: 4, size_variation: 4, for: 1s", "is not less than the average"),
        ("net.reset_peer, timeout: 2s, for: 1s", "are not reset within 1s"),
        ("net.down, toxicity: 0.5, for: 1s", "toxicity"),
        ("net.timeout, toxicity: 1.5, for: 1s", "must be at most 1"),
        ("net.latency, latency: 1us, for: 1s", "1us would have no effect: write 1ms or more"),
        ("net.latency, latency: 1ms, jitter: 10us, for: 1s", "10us would have no effect"),
        ("net.slow_close, delay: 999us, for: 1s", "999us would have no effect"),
        ("net.slicer, average_size: 1000000, for: 1s", "no more than 65536 come at once"),
        ("net.down, for: 1ms", "1ms would have no effect: write 10ms or more"),
        ("broker.pause, for: 0s", "0h would have no effect: write 10ms or more"),
        ("registrar.slow, share: 0.999, for: 1s", "must be at most 0.99"),
        ("message.skew, stream: QIKI_RADAR_V1, ahead: 1us", "1us would have no effect"),
        ("message.oversize, stream: QIKI_RADAR_V1, size: 1024", "must be more than 524288"),
        ("consumer.slow, consumer: worker, rate: 30, for: 1s", "30 a second is not slower than"),
        ("stream.evict, stream: QIKI_RADAR_V1, max_msgs: 9, for: 9us", "9us would have no effect"),
    ],
)
def test_impossible_faults_are_found(tmp_path: Path, fault: str, told: str) -> None:
    """Clients that are not there, and values that make no sense or no difference, are named."""
    consumers = "consumers: {worker: {stream: QIKI_EVENTS_V1, rate: 30}}\n"
    text = f"{MINIMAL}{consumers}events:\n  - {{at: 1s, do: {{fault: {fault}}}}}\n"
    [found] = problems(tmp_path, text)
    assert told in found


def test_the_shortest_faults_that_show_are_taken(tmp_path: Path) -> None:
    """At the limits of what can be seen a fault is no error."""
    faults = ["net.latency, latency: 1ms, for: 10ms", "net.slicer, average_size: 65535, for: 1s"]
    events = "".join(f"  - {{at: 1s, do: {{fault: {fault}}}}}\n" for fault in faults)
    assert len(load_scenario(write(tmp_path, f"{MINIMAL}events:\n{events}")).scenario.events) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [("# c\n[twin]\nruns = 'x'\n", "2:1: unknown key 'twin'"), ("a = ", "is no TOML")],
)
def test_a_project_file_that_says_something_is_refused(
    text: str, message: str, tmp_path: Path
) -> None:
    """twin.toml marks a folder; a key in it would seem to do what it does not."""
    (tmp_path / "twin.toml").write_text(text)
    file = write(tmp_path, MINIMAL)
    with pytest.raises(InputError, match=message):
        load_scenario(file)
    (tmp_path / "twin.toml").write_text("# only a mark\n")
    assert load_scenario(file).scenario.name == "tiny"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("message.poison, stream: QIKI_RADARS, kind: binary", "there is no stream 'QIKI_RADARS'"),
        ("message.poison, stream: QIKI_RADAR_V1, kind: bad", "invalid_json"),
        ("message.skew, stream: QIKI_RADAR_V1", "give either `ahead` or `behind`"),
        ("message.oversize, stream: QIKI_RADAR_V1, size: 100", "100 must be more than 524288"),
        ("message.replay, stream: QIKI_RADAR_V1, count: 0", "0 must be at least 1"),
        ("registrar.slow, share: 1, for: 1s", "1 must be at most 0.99"),
    ],
)
def test_impossible_faults_of_messages_are_found(tmp_path: Path, fault: str, told: str) -> None:
    """Streams that are not there and values that make no sense are named with their place."""
    [found] = problems(tmp_path, f"{MINIMAL}events:\n  - {{at: 1s, do: {{fault: {fault}}}}}\n")
    assert told in found
