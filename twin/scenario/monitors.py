"""What watches a run while it lasts: lag samples, advisories, a page of metrics."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson
from prometheus_client import CollectorRegistry, start_http_server

from twin.events.topology import ConsumerDecl
from twin.jetstream.advisories import Advisories, Advisory
from twin.jetstream.connection import Connection
from twin.lag.metrics import LagCollector
from twin.lag.sample import ConsumerSample, Watched
from twin.lag.sampler import LagSampler
from twin.scenario.folder import RunFolder

__all__ = ["Monitors"]

INTERVAL_S = 1.0
