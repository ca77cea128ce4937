"""Where a run took place: versions and machine, so that results are compared with their like."""

import os
import platform
from importlib.metadata import version

import numpy as np

from twin.events.digest import PAYLOAD_HASH

__all__ = ["machine", "versions"]

PACKAGES = ("twin", "numpy", "simpy", "nats-py", "pydantic", "orjson", "apsw")


def versions(nats_server: str) -> dict[str, str]:
    """Return the versions that results depend on."""
    return {
        "python": platform.python_version(),
        "nats-server": nats_server,
        "payload_hash": PAYLOAD_HASH,
        **{name: version(name) for name in PACKAGES},
    }


def machine() -> dict[str, str | int | float]:
    """Return the machine's fingerprint; bit-exact replay needs equal numpy and SIMD features."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    features = sorted({*simd.get("baseline", ()), *simd.get("found", ())})
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 0,
        "processor": _processor(),
        "simd": " ".join(features),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - no path of ours
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
