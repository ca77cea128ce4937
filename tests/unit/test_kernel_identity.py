"""Identity of events: ids, keys, and the tables that number sources."""

from twin.events.event import SourceTable, split_event_id
from twin.events.subjects import Layout, SubjectSpace


def test_event_name_is_the_same_in_both_layouts() -> None:
    """A source's name depends on bot and channel, not on the subject layout."""
    platform, fleet = SubjectSpace(), SubjectSpace(Layout.FLEET)
    subjects = [space.subject("bot-1", "qiki.events.v1.nav") for space in (platform, fleet)]
    assert subjects == ["qiki.events.v1.nav", "qiki.fleet.v1.bot-1.events.v1.nav"]
    names = []
    for subject in subjects:
        table = SourceTable()
        names.append(table[table.add("bot-1", subject)].name)
    assert names == ["bot-1/events.v1.nav"] * 2


def test_split_event_id_rejects_what_is_not_ours() -> None:
    """Only `<name>/<positive number>` without leading zeros is an event id."""
    assert split_event_id("b/telemetry/12") == ("b/telemetry", 12)
    for strange in ("", "12", "/12", "b/telemetry/", "b/telemetry/0", "b/telemetry/012", "b/x/-1"):
        assert split_event_id(strange) is None, strange


def test_prefix_is_added_and_removed() -> None:
    """A wire subject carries the prefix and leads back to its logical subject."""
    space = SubjectSpace(prefix="twin")
    wire = space.wire("qiki.telemetry")
    assert (wire, space.logical(wire)) == ("twin.qiki.telemetry", "qiki.telemetry")
    assert space.stream("QIKI_EVENTS_V1") == "TWIN_QIKI_EVENTS_V1"
