"""Turns in processes of their own: how one that fails says why."""

import pytest

from twin.bench.children import said_by
from twin.errors import ProcessFailed


async def test_a_turn_that_breaks_down_says_why_without_a_traceback() -> None:
    """What nats-py raises in its turn is nobody's usage error, and nobody's puzzle either."""
    with pytest.raises(ProcessFailed) as failed:
        await said_by("twin.bench.traffic_turn", whose="nats-py fetch(1000)")

    assert str(failed.value).startswith("nats-py fetch(1000): ValueError: not enough values")


async def test_a_turn_has_no_more_time_than_it_is_given() -> None:
    """One that does not come to its end is ended, and said to have taken too long."""
    with pytest.raises(ProcessFailed, match=r"^slow has not finished its turn in 0\.001 s$"):
        await said_by("twin.bench.traffic_turn", whose="slow", most_s=0.001)
