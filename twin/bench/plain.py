"""A twin as it is usually written: one SimPy process per bot and sensor, a dictionary per event.

It does less than ours: its physics is a battery, a bus and one temperature per bot, its
payloads have the keys of ours but copied values in most of them, and there is no digest.
"""

import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
import simpy

from twin.events.channels import CHANNELS, Cadence
from twin.events.event import Event, SourceTable
from twin.events.subjects import SubjectSpace
from twin.simulation.fleet import FleetGroup
from twin.simulation.world import World
from twin.spec.load import load_spec

__all__ = ["PlainFleet", "Send"]

NS_PER_S = 1_000_000_000
EPOCH_NS = 1_767_225_600 * NS_PER_S
SEEN_S = 7
Send: TypeAlias = Callable[[str, bytes, dict[str, str]], None]
"""Takes subject, payload and headers of one event."""


@dataclass(slots=True)
class _Bot:
    name: str
    soc_pct: float = 80.0
    core_degc: float = 25.0
    bus_v: float = 26.8
    x_m: float = 0.0


class PlainFleet:
    """Bots that send each periodic channel of the platform's at its natural rate.

    `environment` is the caller's to step; its time is in seconds from 0.
    """

    def __init__(self, bots: int, run: str, send: Send) -> None:
        self.environment = simpy.Environment()
        self._run, self._send = run, send
        samples = _sample_payloads()
        for number in range(bots):
            bot = _Bot(f"bench-{number + 1:04d}")
            self.environment.process(self._physics(bot))
            for key, sample in samples.items():
                self.environment.process(self._sensor(bot, key, sample))

    def _physics(self, bot: _Bot) -> Generator[simpy.Event, None, None]:
        """Drain, warm and move one bot, once a second."""
        while True:
            yield self.environment.timeout(1)
            bot.soc_pct = max(0.0, bot.soc_pct - 100 / 3600 / 500 * 100)
            bot.bus_v = 22 + 6 * bot.soc_pct / 100
            bot.core_degc += (28 - 1.4 * (bot.core_degc + 60)) / 800
            bot.x_m += 0.4 + random.gauss(0, 0.01)

    def _sensor(
        self, bot: _Bot, key: str, sample: Mapping[str, Any]
    ) -> Generator[simpy.Event, None, None]:
        """Send one channel of one bot: a dictionary, its JSON, and a dictionary of headers."""
        period_s = CHANNELS[key].period_ns / NS_PER_S
        yield self.environment.timeout(random.random() * period_s)  # noqa: S311 - no secret
        sequence = 0
        while True:
            sequence += 1
            at = EPOCH_NS / NS_PER_S + self.environment.now
            payload = {
                **sample,
                "source": bot.name,
                "ts_epoch": at,
                "battery": round(bot.soc_pct, 2),
                "bus_v": round(bot.bus_v + random.gauss(0, 0.01), 3),
            }
            headers = {
                "ce-specversion": "1.0",
                "ce-id": f"{bot.name}/{key}/{sequence}",
                "ce-source": f"urn:twin:{self._run}:{bot.name}",
                "ce-type": CHANNELS[key].event_type,
                "ce-time": str(at),
                "ce-datacontenttype": "application/json",
                "Nats-Msg-Id": f"{self._run}/{bot.name}/{key}/{sequence}",
            }
            self._send(f"qiki.{key}", orjson.dumps(payload), headers)
            yield self.environment.timeout(period_s)


def _sample_payloads() -> dict[str, dict[str, Any]]:
    """Return one real payload of every periodic channel."""
    events: list[Event] = []
    sources = SourceTable()
    world = World(
        [FleetGroup("bench", load_spec("builtin:BotSpec"), 3)],
        seed=1,
        epoch_ns=EPOCH_NS,
        run_id="bench",
        space=SubjectSpace(),
        sources=sources,
        sink=events.extend,
    )
    world.run_until(SEEN_S * NS_PER_S)
    found = {sources[e.source].subject.removeprefix("qiki."): e.payload for e in events}
    wanted = [k for k, c in CHANNELS.items() if c.cadence in {Cadence.PERIODIC, Cadence.PER_ITEM}]
    return {key: orjson.loads(found[key]) for key in wanted if key in found}
