"""What a run is going to be: streams and readers for whatever bots the fleet has."""

from pathlib import Path

import pytest

from twin.errors import UsageError
from twin.scenario.language.load import load_scenario
from twin.scenario.plan import Plan, Settings

SPEC = """\
version: 1
kind: BotSpec
metadata: {{id: R-1}}
profile: custom
components: {{power: {{type: dc_bus}}}}
event_bus:
  channels:
    - {{name: one, subject: "{subject}", stream: {stream}, payload: {{template: {{a: 1}}}}}}
"""


def plan(folder: Path, **channels: tuple[str, str]) -> Plan:
    """Plan a run of one platform bot and one group for each (subject, stream), prefix `lab`."""
    groups = ["scouts: {count: 1}"]
    for name, (subject, stream) in channels.items():
        (folder / f"{name}.yaml").write_text(SPEC.format(subject=subject, stream=stream))
        groups.append(f"{name}: {{count: 2, spec: {name}.yaml}}")
    lines = ["schema_version: 1", "name: mix", f"fleet: {{{', '.join(groups)}}}"]
    (folder / "mix.yaml").write_text("\n".join([*lines, "phases: [{name: all, duration: 5s}]"]))
    settings = Settings(shared_server=True, prefix="lab")
    return Plan.make(load_scenario(str(folder / "mix.yaml")), settings)


def test_groups_share_a_stream_that_both_use(tmp_path: Path) -> None:
    """Two specs with one stream make one stream of both subjects, read by one consumer."""
    made = plan(tmp_path, a=("fleet.{bot}.gps", "OWN_V1"), b=("other.{bot}.gps", "OWN_V1"))
    [stream] = [one for one in made.topology.streams if one.name == "LAB_OWN_V1"]
    [consumer] = [one for one in made.topology.consumers if one.stream == "LAB_OWN_V1"]
    wanted = ("lab.fleet.*.gps", "lab.other.*.gps")
    assert stream.subjects == consumer.filter_subjects == wanted
    assert consumer.role == "registrar"
    assert made.predicted.by_subject["fleet.a-0001.gps"] > 0


def test_commands_have_a_stream_that_nobody_has_to_read(tmp_path: Path) -> None:
    """The stream of commands exists and does not acknowledge, but holds no events of the run."""
    made = plan(tmp_path, a=("fleet.{bot}.gps", "OWN_V1"))
    [commands] = [one for one in made.topology.streams if "COMMANDS" in one.name]
    assert commands.no_ack
    assert {one.name for one in made.topology.streams} - set(made.recorded) == {commands.name}
    assert {one.stream for one in made.topology.consumers} == set(made.recorded)


@pytest.mark.parametrize(
    ("subject", "stream", "word"),
    [("fleet.{bot}.gps", "OTHER_V1", "overlap"), ("own.{bot}.x", "QIKI_EVENTS_V1", "platform's")],
)
def test_specs_that_contradict_each_other_are_refused_in_plain_words(
    tmp_path: Path, subject: str, stream: str, word: str
) -> None:
    """One subject in two streams, or a stream of the platform's, is a mistake of the files."""
    with pytest.raises(UsageError, match=word):
        plan(tmp_path, a=("fleet.{bot}.gps", "OWN_V1"), b=(subject, stream))


def steps(folder: Path, load: str, fleet: str = "{count: 10}") -> list[tuple[float, float, float]]:
    """Return start, duration and rate of every step of a run whose second phase has this load."""
    file = folder / "shape.yaml"
    phases = f"[{{name: calm, duration: 3s}}, {{name: shaped, duration: 10s, load: {load}}}]"
    file.write_text(f"schema_version: 1\nname: shape\nfleet: {{a: {fleet}}}\nphases: {phases}\n")
    made = Plan.make(load_scenario(str(file)), Settings())
    assert load_scenario(str(file)).scenario.phases[1].load == made.scenario.phases[1].load
    return [(s.start_ns / 1e9, s.duration_ns / 1e9, round(s.rate, 3)) for s in made.steps]


def test_stages_ramp_evenly_and_stay_at_their_target(tmp_path: Path) -> None:
    """From the rate of the phase to each target in steps of one second, at their mean."""
    load = "{rate: 1x, stages: [{duration: 4s, target: 5x}, {duration: 1s, target: 1x}]}"
    ramp = [(3, 1, 1.5), (4, 1, 2.5), (5, 1, 3.5), (6, 1, 4.5), (7, 1, 3), (8, 5, 1)]
    assert steps(tmp_path, load) == [(0, 3, 1), *ramp]


def test_bursts_come_again_until_the_phase_ends(tmp_path: Path) -> None:
    """A pause, a burst, the rest of the pause, and so on; the end cuts the last one off."""
    load = "{rate: 0.5x, burst: {rate: 8x, every: 4s, for: 3s}}"
    shape = [(3, 4, 0.5), (7, 3, 8), (10, 1, 0.5), (11, 2, 8)]
    assert steps(tmp_path, load) == [(0, 3, 1), *shape]


def test_events_per_second_become_a_multiple(tmp_path: Path) -> None:
    """A rate of the whole fleet is divided by what the bots publish by nature."""
    [calm, shaped] = steps(tmp_path, "{rate: 1k/s}")
    file = tmp_path / "natural.yaml"
    phases = "[{name: boot, duration: 6s}, {name: all, duration: 20s, load: {rate: 1k/s}}]"
    file.write_text(f"schema_version: 1\nname: n\nfleet: {{a: {{count: 10}}}}\nphases: {phases}\n")
    whole = Plan.make(load_scenario(str(file)), Settings()).predicted.total
    file.write_text(file.read_text().replace("duration: 20s", "duration: 10s"))
    half = Plan.make(load_scenario(str(file)), Settings()).predicted.total
    assert calm[2] == 1
    assert shaped[2] > 5
    assert (whole - half) / 10 == pytest.approx(1000, rel=0.02)
