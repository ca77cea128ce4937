"""What a run is going to be: streams and readers for whatever bots the fleet has."""

from pathlib import Path

import pytest

from twin.errors import UsageError
from twin.scenario.load import load_scenario
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
