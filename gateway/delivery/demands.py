"""What a host must prove, where the configuration and the domain's own policy both have a word.

Owns the stricter of the two. The settings' ``none`` is an order, which ``routes`` obeys before any
policy is asked for.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.core.next_hop import TlsLevel
from gateway.delivery.targets import Protection, TlsDemand

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
