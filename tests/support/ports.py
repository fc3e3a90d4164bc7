"""Ports that nobody listens on at the moment."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port of 127.0.0.1 of the kernel's choice."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether somebody answers there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
