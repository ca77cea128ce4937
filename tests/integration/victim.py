"""A registrar that is killed at a step of its work: python victim.py STEP NTH SERVE-ARGUMENTS.

It imports once and forks; the child is the real command, except that it kills itself with
SIGKILL the NTH time that it comes to STEP.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from twin.cli.main import run
from twin.jetstream.consumer import PullConsumer
from twin.registrar import archive, store
from twin.registrar.active import Active
from twin.registrar.store import Store

STEPS: dict[str, tuple[Any, str, str]] = {
    "before the write": (Store, "write", "before"),
    "after the write": (Active, "seal", "after"),
    "after the commit": (Store, "write", "after"),
    "before the ack": (PullConsumer, "ack", "before"),
    "after the ack": (PullConsumer, "ack", "after"),
    "before the rotation": (Store, "_roll", "before"),
    "in the rotation, before the next file": (store, "create_segment", "before"),
    "in the rotation, after the next file": (store, "create_segment", "after"),
    "before the tombstone": (Active, "bury", "before"),
    "after the tombstone, before the files go": (archive, "remove", "before"),
    "after the files went": (archive, "remove", "after"),
}
"""Where it is killed: an owner's function, before it begins or after it has ended."""


def deadly(work: Callable[..., Any], when: str, nth: int) -> Callable[..., Any]:
    """Return a function that does the work and does not survive its nth call."""
    calls = 0

    def killed(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = work(*arguments, **named)
        if calls == nth and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return killed


def main() -> None:
    """Take orders from standard input, a step and a number a line; answer how each child ended."""
    for line in sys.stdin:
        step, _, nth = line.strip().rpartition(" ")
        child = os.fork()
        if not child:
            sys.stdin.close()
            if step != "none":
                owner, name, when = STEPS[step]
                setattr(owner, name, deadly(getattr(owner, name), when, int(nth)))
            sys.argv = ["twin", "registrar", "serve", *sys.argv[1:]]
            run()
            os._exit(0)
        sys.stdout.write(f"started {child}\n")
        sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"ended {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
