"""How many files and sockets this process may have open, and how many of them connections may take.

Owns raising the soft limit as far as the settings want it, and keeping SPARE for what serves the
connections: the store's files, deliveries, questions to DNS (SECURITY N3). Children inherit the
limit. Never raises the hard limit: that is the administrator's.
"""

from __future__ import annotations

import contextlib
import resource

SPARE = 1024
"""A process has some 50 open at rest; 300 questions to DNS, deliveries, large messages on their
way."""


def raise_limit(connections: int) -> str:
    """Make room for so many connections; returns what is missing, for the administrator."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return ""
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most == wanted:
        return ""
    return (
        f"{most} open files are allowed, so a process takes {room(most)} connections at most;"
        f" limits.connections = {connections} needs {wanted} (LimitNOFILE= of systemd, ulimit -n)"
    )


def room(soft: int | None = None) -> int:
    """How many connections this process may have open."""
    if soft is None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return 2**31
    # With so few that nothing could be spared, half of them.
    return max(soft - SPARE, soft // 2)
