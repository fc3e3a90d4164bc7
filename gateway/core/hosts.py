"""Hosts as text, by IP address or name: reading an address, and telling this machine from others.

Owns the one answer to "is that ourselves?", on which clear text is allowed or not. Never asks DNS.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_PEERS = 1024  # who connects often; each connection asks several times


@lru_cache(maxsize=_PEERS)
def parse_ip(text: str) -> IpAddress | None:
    """The address, unmapped; None for what is none, such as a name or a Unix socket's path."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: 127.0.0.0/8, ::1 or localhost (RFC 6761 section 6.3)."""
    address = parse_ip(host)
    return address.is_loopback if address is not None else host.lower() == "localhost"
