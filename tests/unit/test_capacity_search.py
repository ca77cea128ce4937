"""The search for a capacity: where it ends, how often it looks, and whose limit it names."""

import random
from collections.abc import Callable

import pytest
from verdict_folder import healthy

from twin.capacity.blame import Limit, Limiter, limit_of
from twin.capacity.scaled import Vary, fit_count, scaled
from twin.capacity.search import Found, Search, Trial
from twin.errors import UsageError
from twin.scenario.language.load import load_scenario
from twin.verdict.criteria import Criteria
from twin.verdict.judge import judge

SLOW = Limit(Limiter.SERVICE, "slow", "too slow")


async def found(passes: Callable[[float], bool], **options: float | int) -> Found:
    """Search where `passes` says which loads do."""

    async def trial(load: float) -> Trial:
        return Trial(load, 100 * load, None if passes(load) else SLOW)

    return await Search(trial, **options).run()


@pytest.mark.parametrize("limit", [0.2, 1.01, 3.0, 7.99, 60.0])
async def test_the_answer_encloses_the_limit_within_the_tolerance(limit: float) -> None:
    """From above and from below the first load; the passing edge has been tried twice."""
    answer = await found(lambda load: load <= limit)
    assert answer.passed is not None
    assert answer.failed is not None
    assert answer.passed <= limit < answer.failed
    assert answer.width <= 0.05
    assert len(answer.at(answer.passed)) >= 2
    assert answer.limit == SLOW
    assert len(answer.trials) < 30


async def test_one_lucky_or_unlucky_run_does_not_decide() -> None:
    """With one run in twenty that goes wrong nearly every answer is that without."""
    answers = []
    for seed in range(40):
        luck = random.Random(seed)  # noqa: S311 - no secret
        answer = await found(
            lambda load, luck=luck: (load <= 5.0) != (luck.random() < 0.05), repeats=5
        )
        answers.append(answer.passed)
    close = [one for one in answers if one == pytest.approx(5.0, rel=0.05)]
    assert len(close) >= 38


async def test_nothing_breaks_or_nothing_passes() -> None:
    """Neither is a capacity: the one has no failing load, the other no passing one."""
    assert (await found(lambda load: True, most=10)).failed is None
    nothing = await found(lambda load: False)
    assert nothing.passed is None
    assert nothing.failed == pytest.approx(1 / 64)


async def test_bots_are_whole() -> None:
    """Loads are fitted to whole bots, and the search ends when no bot is between the two."""
    loaded = load_scenario("builtin:patrol", {"bots": 3})

    async def trial(load: float) -> Trial:
        bots = scaled(loaded, Vary.COUNT, load).scenario.fleet["patrol"].count
        assert bots == pytest.approx(3 * load)
        return Trial(load, bots, None if bots <= 10 else SLOW)

    answer = await Search(trial, fit=lambda load: fit_count(loaded, load)).run()
    assert [round(3 * (edge or 0)) for edge in (answer.passed, answer.failed)] == [10, 11]


async def test_what_was_measured_stays_where_a_scenario_ends() -> None:
    """Beyond 100,000 bots or the highest rate nothing can be tried: that is told, no error."""
    loaded = load_scenario("builtin:patrol", {"bots": 30_000})
    tried = []

    async def trial(load: float) -> Trial:
        tried.append(scaled(loaded, Vary.COUNT, load).groups[0].count)
        return Trial(load, load)

    answer = await Search(trial, fit=lambda load: fit_count(loaded, load)).run()
    assert tried == [30_000, 60_000, 100_000]
    assert (answer.passed, answer.failed) == (pytest.approx(10 / 3), None)
    assert answer.beyond == "the scenario can have no higher load"

    async def limited(load: float) -> Trial:
        if load > 4:
            raise UsageError("no faster than that")
        return Trial(load, load)

    answer = await Search(limited).run()
    assert (answer.passed, answer.beyond) == (4.0, "no faster than that")
    assert [one.load for one in answer.trials] == [1.0, 2.0, 4.0]
    with pytest.raises(UsageError):
        await Search(limited, start=8.0).run()


def test_only_measured_phases_go_faster() -> None:
    """A warm-up stays as it is; beyond what a rate can be is the user's error."""
    loaded = load_scenario("builtin:patrol")
    rates = [phase.load.rate for phase in scaled(loaded, Vary.RATE, 3.0).scenario.phases]
    assert rates == [3.0 if phase.measure else 1.0 for phase in loaded.scenario.phases]
    with pytest.raises(UsageError, match="100000 bots"):
        scaled(loaded, Vary.COUNT, 90_000)


def test_whose_limit_it_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A slow schedule is the generator's, latency the broker's, backlog the consumer's."""
    for name, kind, who in (
        ("publish_latency: p(99)<1ms", Limiter.BROKER, "broker"),
        ("consumer_backlog{consumer:registrar}: max<30", Limiter.SERVICE, "registrar"),
        ("schedule_slip: max<0.1ms", Limiter.GENERATOR, "generator"),
    ):
        selector, _, text = name.rpartition(": ")
        folder = healthy().write(tmp_path_factory.mktemp("run"))
        result = judge(folder, Criteria(thresholds={selector: (text,)}))
        limit = limit_of(result)
        assert limit is not None
        assert (limit.kind, limit.name) == (kind, who)
    folder = healthy()
    folder.attempted["slip_us"] = 400_000
    result = judge(
        folder.write(tmp_path_factory.mktemp("run")),
        Criteria(thresholds={"consumer_backlog": ("max<30",)}),
    )
    limit = limit_of(result)
    assert limit is not None
    assert limit.kind is Limiter.GENERATOR


@pytest.mark.parametrize("statistic", ["p(50)", "p(95)", "p(99.9)", "avg", "max"])
@pytest.mark.parametrize("metric", ["publish_latency", "end_to_end_latency"])
def test_latency_of_a_late_fleet_is_the_generators(
    tmp_path_factory: pytest.TempPathFactory, metric: str, statistic: str
) -> None:
    """What would have kept its limit on time is nobody else's, in or out of a phase."""
    for selector in (metric, f"{metric}{{phase:steady}}"):
        for slip_ms, generator in ((200, True), (100, False), (0, False)):
            folder = healthy()
            folder.attempted["slip_us"] = 1000 * slip_ms
            if metric == "publish_latency":
                folder.outcomes["ack_ns"] += 200_000_000
            else:
                folder.observed["time_ns"] += 200_000_000
            result = judge(
                folder.write(tmp_path_factory.mktemp("run")),
                Criteria(thresholds={selector: (f"{statistic}<80ms",)}),
            )
            limit = limit_of(result)
            assert limit is not None
            assert (limit.kind is Limiter.GENERATOR) is generator
            assert ("slipped 200 ms" in limit.reason) is generator


def test_runs_that_disagree_about_the_limit_name_the_generator() -> None:
    """One run of two that the generator limited is enough for no answer."""
    for first in (True, False):
        late = Limit(Limiter.GENERATOR, "generator", "late")
        broken = [late, SLOW] if first else [SLOW, late]
        answer = Found(1.0, 2.0, [Trial(2.0, 1.0, one) for one in broken])
        assert answer.limit == late
