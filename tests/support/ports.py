"""Ports that nobody listens on at the moment, and that nobody is given before their server starts.

Two things would take them in between. The kernel's choice for whoever asks for any port: so they
lie outside its range. And other tests: each port is given once before it comes round again, and
processes of pytest-xdist that run side by side have each their own share.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

_LAST = 65_535
_FEW = 500


def share() -> tuple[int, int]:
    """Which of how many processes of one run of tests this is."""
    name = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return (int(name) if name.isdecimal() else 0) % count, count


def beginning_somewhere(of: Sequence[int]) -> Iterator[int]:
    """All of them in turn, for ever; runs of tests beside this one begin elsewhere."""
    start = os.getpid() * 31 % len(of)
    return itertools.cycle([*of[start:], *of[:start]])


def _given_to_nobody() -> Sequence[int]:
    """Behind the kernel's own range, or where it leaves none there, before those of the demos."""
    path = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest, highest = map(int, path.read_text().split()) if path.exists() else (32_768, 60_999)
    behind, before = range(highest + 1, _LAST + 1), range(5_000, min(lowest, 10_000))
    return behind if len(behind) >= _FEW else before


def _shared(ports: Sequence[int]) -> Sequence[int]:
    number, count = share()
    return ports[number::count]


_PORTS = beginning_somewhere(_shared(_given_to_nobody()) or [0])


def free_port() -> int:
    """A port of 127.0.0.1 for a server that starts soon."""
    for port in itertools.islice(_PORTS, _LAST):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise AssertionError("no free port")


def accepts(port: int) -> bool:
    """Whether somebody answers there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
