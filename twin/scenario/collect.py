"""After the last event: wait until everything is processed, then gather the evidence."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from twin.errors import InfrastructureError
