"""How many connections may be open: in all, and from one network address.

Owns the counts and the verdict with its reason; the doors' registry asks once per connection. In
memory only: a restart closes every connection anyway. For one process; ``shared_connections``
counts over several. An IPv6 address counts with its /64, as one customer holds at least that many
(RFC 6177), and an IPv4-mapped one as the IPv4 address it is.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from gateway.core.hosts import parse_ip

TOO_MANY = "too many connections"
TOO_MANY_FROM_ADDRESS = "too many connections from your address"


@lru_cache(maxsize=1024)  # as for parse_ip
def counting_key(text: str) -> str:
    """Who is counted together: one IPv4 address, one IPv6 /64."""
    address = parse_ip(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(address), 64), strict=False))
    return str(address) if address is not None else text


class ConnectionLimits:
    """Counts connections.

    Args:
        total: open at the same time, from anywhere.
        per_address: open at the same time from one address (IPv6 /64), loopback included.
    """

    def __init__(self, total: int, per_address: int) -> None:
        self.total = total
        self.per_address = per_address
        self._open = 0
        self._by_key: dict[str, int] = {}

    @property
    def open_connections(self) -> int:
        return self._open

    def admit(self, ip: str) -> str:
        """Count a connection in; returns why it is refused (and then is not counted), or ''."""
        if self._open >= self.total:
            return TOO_MANY
        key = counting_key(ip)
        count = self._by_key.get(key, 0)
        if count >= self.per_address:
            return TOO_MANY_FROM_ADDRESS
        self._open += 1
        self._by_key[key] = count + 1
        return ""

    def release(self, ip: str) -> None:
        """Count out a connection that was admitted."""
        key = counting_key(ip)
        count = self._by_key.get(key, 0)
        assert count > 0, "released more often than admitted"
        self._open -= 1
        # Keys go with their last connection, so the table is never larger than ``total``.
        if count > 1:
            self._by_key[key] = count - 1
        else:
            del self._by_key[key]
