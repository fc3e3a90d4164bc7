"""What a host must prove, where the configuration and the domain's own policy both have a word.

Owns the stricter of the two, and what is demanded where no policy is known. The settings' ``none``
for a domain is an order, which no policy overrides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.core.next_hop import TlsLevel
from gateway.core.queue import Verdict
from gateway.delivery.targets import MailHost, NoRoute, Protection, TlsDemand

_ORDER = tuple(Protection)


def demand_of(level: TlsLevel) -> TlsDemand:
    return TlsDemand(Protection(level))


def at_least(demand: TlsDemand, level: TlsLevel) -> TlsDemand:
    """The demand, raised to what the settings ask of all."""
    wanted = Protection(level)
    if demand.testing and _rank(wanted) >= _rank(Protection.REQUIRED):
        # RFC 8461 section 5: a policy on trial lets mail go unprotected; the settings do not.
        return TlsDemand(wanted)
    if demand.protection is Protection.DANE and not demand.tlsa and wanted is Protection.VERIFIED:
        return replace(demand, protection=wanted)  # encrypted, and nothing to prove it by
    if _rank(demand.protection) >= _rank(wanted):
        return demand
    return replace(demand, protection=wanted)


def _rank(protection: Protection) -> int:
    return _ORDER.index(protection)


class NoPolicies:
    """Implements ``TlsPolicies`` where nobody looks for any: what DNS says is proven by nothing."""

    async def demands(
        self, domain: str, hosts: Sequence[MailHost], *, secure: bool, require_tls: bool
    ) -> Sequence[tuple[MailHost, TlsDemand]]:
        """See the port. With REQUIRETLS only a host that the certificate proves to be the domain's
        (RFC 8689 section 4.2.1)."""
        if not require_tls:
            return [(host, TlsDemand()) for host in hosts]
        named = [host for host in hosts if host.name == domain or domain.startswith("[")]
        if not named:
            text = (
                f"the sender wants TLS with the right server (REQUIRETLS), and that {hosts[0].name}"
                f" is the one for {domain} is said by an MX record alone, which anybody may forge"
            )
            raise NoRoute(Verdict.FAILED, "5.7.30", text)
        return [(host, TlsDemand(Protection.VERIFIED)) for host in named]
