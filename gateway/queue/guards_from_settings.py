"""What is asked before a message is sent, and who hears in place of a sender, from settings.

Owns the meaning of ``outbound.suppression`` and ``outbound.double_bounces_to``.
"""

from __future__ import annotations

from typing import Protocol

from gateway.core.address import Address
from gateway.core.ports.clock import WallClock
from gateway.core.ports.queue_lists import HoldRuleStore, SuppressionStore
from gateway.core.settings.outbound import OutboundSettings
from gateway.queue.guards import Guards
from gateway.queue.hold_rules import HoldRules
from gateway.queue.journal import Journal
from gateway.queue.suppression import SuppressionRules, Suppressions
from gateway.wire.address import parse_mailbox


class Lists(Protocol):
    """Where both are kept."""

    @property
    def suppressions(self) -> SuppressionStore: ...

    @property
    def hold_rules(self) -> HoldRuleStore: ...


def guards_from(
    outbound: OutboundSettings, lists: Lists, journal: Journal, wall_clock: WallClock
) -> Guards:
    section = outbound.suppression
    rules = SuppressionRules(section.after, section.over_s, section.for_s)
    return Guards(
        HoldRules(lists.hold_rules),
        Suppressions(lists.suppressions, rules, journal, wall_clock),
    )


def double_bounces_to(outbound: OutboundSettings) -> Address | None:
    """None: nobody."""
    text = outbound.double_bounces_to
    return parse_mailbox(text) if text else None
