"""How fast mail may go to a destination, and when it is tried again, by the configuration.

Owns the look-up. A destination is a domain or a chain of servers; what is configured for a domain
counts for the mail that goes to its own servers, and its waits and lifetime wherever its mail goes.
For a chain counts what is configured for the domains that are sent there, the slowest of them.
Never learns: what a destination can take in fact is ``sites``'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gateway.core.messages import LOCAL
from gateway.delivery.by_domain import ByDomain
from gateway.queue.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Pace:
    """Args:
    connections: at once, at most.
    messages_per_minute: 0: as many as are taken.
    """

    connections: int = 20
    messages_per_minute: int = 0
    schedule: Schedule = field(default_factory=Schedule)

    def slower_of(self, other: Pace) -> Pace:
        """For servers that take the mail of both."""
        rates = [each for each in (self.messages_per_minute, other.messages_per_minute) if each]
        return replace(
            self,
            connections=min(self.connections, other.connections),
            messages_per_minute=min(rates, default=0),
        )


class Paces:
    """Answers for any destination, from memory.

    Args:
        default: for all that is not named.
        domains: by domain, or ``*.domain`` for all below it.
        chains: by chain of servers.
    """

    def __init__(
        self,
        default: Pace | None = None,
        domains: Mapping[str, Pace] | None = None,
        chains: Mapping[str, Pace] | None = None,
    ) -> None:
        self._default = default or Pace()
        self._local = replace(self._default, messages_per_minute=0)
        self._domains = ByDomain(domains or {})
        self._chains = dict(chains or {})

    @property
    def longest_delay_s(self) -> int:
        """No wait between attempts is longer."""
        paces = (self._default, *self._domains.entries.values(), *self._chains.values())
        return max(each.schedule.longest_delay_s for each in paces)

    def of(self, destination: str) -> Pace:
        if destination == LOCAL:
            return self._local
        return self._chains.get(destination) or self._domains.get(destination) or self._default

    def schedule(self, destination: str, domain: str) -> Schedule:
        """Args:
        domain: of the recipient.
        """
        if not self._domains:
            return self._default.schedule
        return (self._domains.get(domain) or self.of(destination)).schedule
