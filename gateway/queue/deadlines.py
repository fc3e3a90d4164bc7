"""The time by which a message is to be delivered (DELIVERBY, RFC 2852). Pure arithmetic.

Now is ``QueueClock.promised`` throughout.
"""

from __future__ import annotations

from gateway.core.queue import QueueItem

OVER = "5.4.7"  # RFC 3463 section 3.5: delivery time expired
OVER_TEXT = "it could not be delivered in the time that its sender has set"


def must_go_back(item: QueueItem, now: int) -> bool:
    """Mode R and the time is over (section 4.1.4.1)."""
    by = item.options.deliver_by
    return by is not None and by.or_return and by.at <= now


def is_late(item: QueueItem, now: int) -> bool:
    """Mode N and the time is over: the sender is to be told, and trying goes on."""
    by = item.options.deliver_by
    return by is not None and not by.or_return and by.at <= now


def no_later(item: QueueItem, wait_s: int, now: int) -> int:
    """The wait for the next attempt, but when the time is over something is done about it."""
    by = item.options.deliver_by
    return min(wait_s, by.at - now) if by is not None and by.at > now else wait_s
