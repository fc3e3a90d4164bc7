"""The port to what DNS says of a service: the servers of a domain (RFC 2782).

Owns values and shapes alone. What nobody knows is never taken for what does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ServiceHost:
    """One SRV record.

    Args:
        priority: lower ones are tried first.
        weight: the share among those of equal priority.
        host: lower case, without the final dot; empty: the root, "decidedly not available".
    """

    priority: int
    weight: int
    port: int
    host: str


@dataclass(frozen=True, slots=True)
class Services:
    """What was said.

    Args:
        known: False: nobody could say; True and no hosts: there are none.
        ttl_s: how long it may be kept.
        why: nobody could say, in words for people.
    """

    known: bool
    hosts: tuple[ServiceHost, ...] = ()
    ttl_s: int = 0
    why: str = ""


class FindsServices(Protocol):
    """Asks DNS."""

    async def services(self, name: str) -> Services:
        """Args:
        name: such as ``_ldap._tcp.example.com``, lower case. Never raises for what DNS says.
        """
        ...
