"""Random draws: they belong to a bot and a plane, whatever shard the bot is in."""

import numpy as np
import pytest

from twin.hardware.draws import BLOCK_TICKS, Draws, generator

BOTS = tuple(f"bot-{i}" for i in range(70))
TICKS = 3 * BLOCK_TICKS + 5


def record(bots: tuple[str, ...], plane: str = "imu", seed: int = 5) -> np.ndarray:
    """Draw for some ticks; (ticks, bots, values)."""
    draws = Draws(seed, bots, plane, normals=3, uniforms=2)
    rows = []
    for _ in range(TICKS):
        draw = draws.next()
        rows.append(np.concatenate((draw.normals, draw.uniforms), axis=1))
    return np.array(rows)


@pytest.mark.parametrize("shards", [2, 7, len(BOTS)])
def test_draws_do_not_depend_on_how_bots_are_split(shards: int) -> None:
    """A bot draws the same values in any shard, also alone."""
    whole = record(BOTS)
    parts = [record(tuple(part)) for part in np.array_split(np.array(BOTS), shards)]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


def test_draws_do_not_depend_on_the_other_bots() -> None:
    """Replacing every other bot leaves a bot's values as they are."""
    strangers = tuple(f"stranger-{i}" for i in range(40))
    mixed = record((*strangers, BOTS[3]))
    assert np.array_equal(mixed[:, -1], record(BOTS)[:, 3])


def test_draws_differ_between_bots_planes_and_seeds() -> None:
    """Bot, plane and seed each select another stream."""
    base = record(BOTS[:2])
    assert not np.array_equal(base[:, 0], base[:, 1])
    assert not np.array_equal(base, record(BOTS[:2], plane="radar"))
    assert not np.array_equal(base, record(BOTS[:2], seed=6))


def test_a_name_cannot_be_shifted_into_the_next_one() -> None:
    """Names are told apart where one ends and the next begins."""
    assert generator(1, "ab", "c").random() != generator(1, "a", "bc").random()


def test_draws_have_the_promised_distribution() -> None:
    """Normals have mean 0 and variance 1, uniforms fill [0, 1), and ticks do not repeat."""
    values = record(BOTS)
    normals, uniforms = values[..., :3], values[..., 3:]
    spread = 4 / np.sqrt(normals.size)
    assert abs(normals.mean()) < spread
    assert abs(normals.var() - 1) < 2 * spread
    assert abs(uniforms.mean() - 0.5) < spread
    assert uniforms.min() >= 0
    assert uniforms.max() < 1
    assert len(np.unique(normals)) > 0.999 * normals.size
