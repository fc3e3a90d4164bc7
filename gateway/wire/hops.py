"""How often a message has come through a host, by the Received fields it carries.

They are a claim, so they serve to end loops and for nothing else. Linear in the octets.
"""

from __future__ import annotations

import re

LOOKED_AT = 65_536
"""Octets of a message's start; twice what a hundred Received fields take."""

_RECEIVED = re.compile(rb"^received[ \t]*+:((?:[^\n]*+\n(?=[ \t]))*+[^\n]*+)", re.I | re.M)


def times_through(start: bytes, hostname: str) -> int:
    """How many Received fields of the header say ``by`` this host (RFC 5321 section 4.4).

    Args:
        start: of the message.
    """
    header = start.partition(b"\r\n\r\n")[0]
    by_host = re.compile(rb"\sby\s++" + re.escape(hostname.encode()) + rb"(?![^\s;(])", re.I)
    return sum(by_host.search(value) is not None for value in _RECEIVED.findall(header))
