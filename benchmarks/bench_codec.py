"""The CloudEvents codec beside the SDK and the standard library's header parser.

`python benchmarks/bench_codec.py` prints microseconds per message, medians of alternating
rounds in CPU time; the same cases run under pytest-benchmark
(`make bench`).
"""

import email.parser
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Final

import pytest
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent as SdkEvent

from twin.events.cloudevents import CloudEvent, decode, encode_binary, parse_headers
from twin.events.encode import Roster, bus_encoder
from twin.events.samples import sample_views

EVENT: Final = bus_encoder(Roster("run-1", 1_767_225_600 * 10**9, ("bot-00001",))).encode(
    [0], sample_views(1).power, 10**9
)[0]
BLOCK: Final = EVENT.headers + b"\r\n"
HEADERS: Final = parse_headers(BLOCK)
SDK_HEADERS: Final = {
    **{name: value for name, value in HEADERS.items() if name != "ce-datacontenttype"},
    "content-type": "application/json",
}


def decoded() -> CloudEvent:
    """Return the event of the block, which is known to be one."""
    found = decode(BLOCK, EVENT.payload)
    assert isinstance(found, CloudEvent)
    return found


OURS: Final = decoded()
THEIRS: Final = http.from_binary_event(http.HTTPMessage(SDK_HEADERS, EVENT.payload))
assert isinstance(THEIRS, SdkEvent)

TASKS: Final[dict[str, dict[str, Callable[[], object]]]] = {
    "parse the header block": {
        "twin parse_headers": lambda: parse_headers(BLOCK),
        "email.parser": lambda: dict(email.parser.BytesParser().parsebytes(BLOCK[10:]).items()),
    },
    "read a message as an event": {
        "twin decode": lambda: decode(BLOCK, EVENT.payload),
        "twin decode + json": lambda: json.loads(decoded().data),
        "SDK from_binary (ready headers)": lambda: http.from_binary_event(
            http.HTTPMessage(SDK_HEADERS, EVENT.payload)
        ),
    },
    "write the headers of an event": {
        "twin encode_binary": lambda: encode_binary(OURS),
        "SDK to_binary": lambda: http.to_binary_event(THEIRS),
    },
}
CASES: Final = [(task, way) for task, ways in TASKS.items() for way in ways]


@pytest.mark.parametrize(("task", "way"), CASES)
def test_codec(benchmark: Callable[..., object], task: str, way: str) -> None:
    """One message with seven attributes."""
    assert benchmark(TASKS[task][way])


def main(rounds: int = 9, each: int = 2000) -> None:
    """Print the table."""
    taken: dict[tuple[str, str], list[float]] = {case: [] for case in CASES}
    for _ in range(rounds):
        for task, way in CASES:
            run, start = TASKS[task][way], time.process_time()
            for _ in range(each):
                run()
            taken[task, way].append((time.process_time() - start) / each)
    for task, ways in TASKS.items():
        print(task)
        for way in ways:
            print(f"  {way:32}{statistics.median(taken[task, way]) * 1e6:8.2f} us")


if __name__ == "__main__":
    sys.exit(main())
