"""Lets groups that declare a policy follow the latency of acknowledgements, once a second."""

import math
import time

from twin.jetstream.publisher import Publisher
from twin.scenario.language.model import Scenario
from twin.simulation.inputs import Throttle
from twin.simulation.policy import PressureGauge
from twin.simulation.world import World

__all__ = ["Policies"]


class Policies:
    """The policies of all groups of a run. Decisions are inputs of the world."""

    def __init__(self, scenario: Scenario, world: World, publisher: Publisher) -> None:
        self._gauges = {
            name: PressureGauge(fleet.policy.as_policy())
            for name, fleet in scenario.fleet.items()
            if fleet.policy is not None
        }
        self._world = world
        self._publisher = publisher
        self._acknowledged = 0
        self._total_ns = 0
        self._since = time.monotonic()

    def look(self) -> list[dict[str, object]]:
        """Give new decisions to the world; return them as they are logged."""
        if not self._gauges:
            return []
        latency_s = self._latency_s()
        changed: list[dict[str, object]] = []
        for group, gauge in self._gauges.items():
            decision = gauge.look(latency_s)
            if decision is not None:
                self._world.apply(Throttle(group, decision))
                rate = decision.rate_per_s if math.isfinite(decision.rate_per_s) else None
                changed.append(
                    {
                        "group": group,
                        "rate_per_s": rate,
                        "sample_down": decision.sample_down,
                        "latency_ms": None if latency_s is None else round(latency_s * 1e3, 1),
                    }
                )
        return changed

    def _latency_s(self) -> float | None:
        """Return the mean latency since the last look, or for how long nothing came back.

        None when nothing was sent that could have come back.
        """
        now, counts = time.monotonic(), self._publisher.counts
        total_ns = self._publisher.latency_sum_ns
        acknowledged = counts.acknowledged - self._acknowledged
        took_ns = total_ns - self._total_ns
        self._acknowledged, self._total_ns = counts.acknowledged, total_ns
        if acknowledged or not counts.in_flight:
            self._since = now
        if acknowledged:
            return took_ns / acknowledged / 1e9
        return now - self._since if counts.in_flight else None
