"""How fast mail leaves and when it is tried again, from settings.

Owns which settings make up the pace of a destination. What a destination's text is,
``delivery.destinations`` knows.
"""

from __future__ import annotations

from gateway.core.address import Address
from gateway.core.settings.outbound import DestinationSettings, OutboundSettings
from gateway.delivery.destinations import Destinations, names_servers
from gateway.queue.paces import Pace, Paces
from gateway.queue.schedule import Schedule


def outbound_paces(outbound: OutboundSettings) -> Paces:
    """Of all destinations."""
    default = Pace(
        outbound.connections_per_destination,
        outbound.messages_per_minute,
        Schedule(outbound.retry_after_s, outbound.lifetime_s, outbound.delay_notice_s),
    )
    destination_of = Destinations(outbound)
    domains: dict[str, Pace] = {}
    chains: dict[str, Pace] = {}
    for name, section in outbound.destinations.items():
        pace = domains[name] = _pace(section, default)
        domain = "any" + name[1:] if name.startswith("*.") else name
        text = destination_of(None, Address("x", domain), "")
        if section.next_hop and names_servers(text):
            chains[text] = pace.slower_of(chains[text]) if text in chains else pace
    return Paces(default, domains, chains)


def _pace(section: DestinationSettings, default: Pace) -> Pace:
    return Pace(
        section.connections or default.connections,
        section.messages_per_minute or default.messages_per_minute,
        Schedule(
            section.retry_after_s or default.schedule.delays_s,
            section.lifetime_s or default.schedule.lifetime_s,
            default.schedule.notice_after_s,
        ),
    )
