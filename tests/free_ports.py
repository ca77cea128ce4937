"""Ports for programs that have to be told theirs before they start."""

import itertools
import os
import random
import socket
from collections.abc import Iterator

FIRST, LAST, WORKERS = 10_000, 32_000, 20
"""Below those that the system gives to whoever asks for any: a port stays free until it is used."""


def _own() -> Iterator[int]:
    """Yield ports for ever, others in each of the processes that run tests side by side."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    share = range(FIRST + worker, LAST, WORKERS)
    start = random.randrange(len(share))  # noqa: S311 - no secret
    return itertools.islice(itertools.cycle(share), start, None)


_PORTS = _own()


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, and that nobody else is given."""
    return list(itertools.islice(filter(_is_free, _PORTS), count))


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
