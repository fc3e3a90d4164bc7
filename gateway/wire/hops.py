"""Where a message has been before, by the Received and Delivered-To fields it carries.

They are a claim, so they serve to end loops and for nothing else. Linear in the octets.
"""

from __future__ import annotations

import re

LOOKED_AT = 65_536
"""Octets of a message's start; twice what a hundred Received fields take."""

_DELIVERED = re.compile(rb"\ndelivered-to[ \t]*+:([^\n]*+)", re.I)
_RESENT = re.compile(rb"\nresent-[a-z-]++[ \t]*+:", re.I)
_RECEIVED = re.compile(rb"^received[ \t]*+:((?:[^\n]*+\n(?=[ \t]))*+[^\n]*+)", re.I | re.M)


def times_through(start: bytes, hostname: str) -> int:
    """How many Received fields of the header say ``by`` this host (RFC 5321 section 4.4).

    Args:
        start: of the message.
    """
    header = start.partition(b"\r\n\r\n")[0]
    by_host = re.compile(rb"\sby\s++" + re.escape(hostname.encode()) + rb"(?![^\s;(])", re.I)
    return sum(by_host.search(value) is not None for value in _RECEIVED.findall(header))


def delivered_to(start: bytes) -> frozenset[str]:
    """Addresses that the message has been delivered for (RFC 9228), folded, since a person sent it
    on last: what stands below their Resent fields (RFC 5322 section 3.6.6) is of its way before.

    Args:
        start: of the message.
    """
    header = b"\r\n" + start.partition(b"\r\n\r\n")[0]
    resent = _RESENT.search(header)
    found = _DELIVERED.findall(header, 0, resent.start() if resent else len(header))
    return frozenset(each.strip(b" \t\r<>").decode("utf-8", "replace").casefold() for each in found)
