"""The fleet: ids, shards and start values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.errors import UsageError
from twin.hardware.plane import Range
from twin.simulation.distributions import Choice, Constant, Distribution, Normal, Uniform
from twin.simulation.fleet import FleetGroup, shard, start_values
from twin.spec.bot import BotSpec

PERCENT = Range(0, 100)
KEY = "power.soc_pct"


def some_spec() -> BotSpec:
    """Return the least bot there is."""
    return BotSpec.model_validate(
        {
            "version": 1,
            "kind": "BotSpec",
            "metadata": {"id": "T"},
            "profile": "custom",
            "components": {"hull": {"type": "structure"}},
            "event_bus": {"channels": ["NavState"]},
        }
    )


def group(name: str, count: int, **more: object) -> FleetGroup:
    """Return a group of bots."""
    return FleetGroup(name, some_spec(), count, **more)  # type: ignore[arg-type]  # as given


def test_bots_are_numbered_after_their_group() -> None:
    """Ids are the group and a number from 0001."""
    assert group("hauler", 2).bots == ("hauler-0001", "hauler-0002")


@pytest.mark.parametrize("name", ["", "a b", "x.y", "n" * 60])
def test_a_name_that_makes_no_bot_id_is_refused(name: str) -> None:
    """A group name must lead to ids of letters, digits, _ and -, at most 64 long."""
    if name:
        with pytest.raises(UsageError):
            group(name, 1)
    with pytest.raises(UsageError):
        group("ok", 0)


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=5), st.data())
def test_shards_hold_every_bot_once_and_keep_groups_that_interact_whole(
    sizes: list[tuple[int, bool]], data: st.DataObject
) -> None:
    """Whatever the number of shards, no bot is lost or doubled, and no interacting group cut."""
    groups = [group(f"g{i}", n, interacts=whole) for i, (n, whole) in enumerate(sizes)]
    parts = shard(groups, data.draw(st.integers(1, 9)))
    bots = [bot for part in parts for piece in part for bot in piece.bots]
    assert sorted(bots) == sorted(bot for one in groups for bot in one.bots)
    pieces = [piece for part in parts for piece in part]
    for one in groups:
        mine = [piece for piece in pieces if piece.name == one.name]
        assert not one.interacts or mine == [one]
    assert all(parts)


def test_shards_are_even() -> None:
    """Bots that may be parted are spread evenly."""
    parts = shard([group("a", 10), group("b", 11)], 7)
    assert [sum(piece.count for piece in part) for part in parts] == [3] * 7


@pytest.mark.parametrize(
    "distribution", [Constant(50), Uniform(20, 80), Normal(50, 10), Choice((10, 20, 30))]
)
def test_start_values_belong_to_the_bot(distribution: Distribution) -> None:
    """A bot starts alike whatever shard it lives in, and otherwise under another seed."""
    whole = group("h", 40, start={KEY: distribution})
    values = start_values(whole, 1, KEY, PERCENT)
    parts = [start_values(part, 1, KEY, PERCENT) for [part] in shard([whole], 7)]
    assert np.array_equal(np.concatenate(parts), values)
    if not isinstance(distribution, Constant):
        assert not np.array_equal(start_values(whole, 2, KEY, PERCENT), values)


def test_tails_are_clipped_and_ranges_checked() -> None:
    """A bell curve is clipped to what the quantity takes; anything else outside is an error."""
    wide = start_values(group("h", 200, start={KEY: Normal(95, 20)}), 1, KEY, PERCENT)
    assert wide.max() == 100
    assert wide.min() >= 0
    for outside in (Constant(101), Uniform(-1, 5), Choice((5, 200)), Normal(-5, 1)):
        with pytest.raises(UsageError, match="soc_pct"):
            start_values(group("h", 1, start={KEY: outside}), 1, KEY, PERCENT)
