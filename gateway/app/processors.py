"""How many workers ``workers = "auto"`` means: one a processor that we may use.

Owns asking the machine: the processors this process may run on, or fewer where a container may use
only a share of their time (cgroup v2 ``cpu.max``).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from gateway.core.settings.checks import MAX_WORKERS

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def worker_count(
    workers: Literal["auto"] | int,
    *,
    processors: Callable[[], int] | None = None,
    cpu_max: Path = _CPU_MAX,
) -> int:
    """The number of processes that serve."""
    if workers != "auto":
        return workers
    found = (processors or _processors)()
    try:
        quota, period = cpu_max.read_text("ascii").split()
        found = min(found, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        pass  # no container, or "max": all of them
    return max(1, min(found, MAX_WORKERS))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
