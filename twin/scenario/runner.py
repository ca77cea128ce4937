"""Carries a scenario out on a real broker and leaves a sealed run folder; judges nothing.

Reading order: `run_scenario` opens the folder, the broker, the registrar and the monitors;
`_Run.drive` lets simulated time pass; `_Run.collect` drains and gathers the evidence.
"""

import asyncio
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
import yaml

from twin.errors import UsageError
from twin.events.event import Event, SourceTable
from twin.events.streams import build_topology
from twin.events.subjects import SubjectSpace
from twin.events.topology import Topology
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.publisher import Publisher, PublisherSettings
from twin.jetstream.reconcile import reconcile, stream_state
from twin.jetstream.server import NatsServer
from twin.scenario.collect import collect
from twin.scenario.drive import Timeline, drive
from twin.scenario.facts import machine, versions
from twin.scenario.faults import FaultRunner
from twin.scenario.folder import RunFolder, new_run_id
from twin.scenario.load import LoadedScenario
from twin.scenario.model import Pace, Scenario
from twin.scenario.monitors import Monitors
from twin.scenario.services import DEFAULT_COMMAND, RegistrarProcess
from twin.simulation.pacing import Pacer
from twin.simulation.world import World
from twin.verdict.journal import FileJournal
from twin.verdict.manifest import Criteria, Manifest, PhaseWindow, ScenarioFacts
