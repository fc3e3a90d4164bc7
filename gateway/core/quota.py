"""How much an account may keep, and how much it keeps.

Values only. The store counts and enforces; the directory or the settings say how much.
"""

from __future__ import annotations

from dataclasses import dataclass

WARN_PERCENT = 90
"""Who keeps so much of a bound is warned, once."""

CALM_PERCENT = 80
"""Below this of both bounds the next warning is due again; the store's schema says it too."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Bounds of one account; 0 means no bound."""

    octets: int = 0
    messages: int = 0

    @property
    def is_bounded(self) -> bool:
        return bool(self.octets or self.messages)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the directory says about one person; what it does not say is the settings' default.

    Args:
        octets, messages: None: nothing said; 0: no bound.
        unreadable: the value that was no quota, fit for a line of the log; empty if there was none.
    """

    octets: int | None = None
    messages: int | None = None
    unreadable: str = ""

    def or_else(self, default: Quota) -> Quota:
        return Quota(
            default.octets if self.octets is None else self.octets,
            default.messages if self.messages is None else self.messages,
        )


NOTHING_SAID = Allowance()


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account keeps, counted in the transaction that changed it.

    A message in two mailboxes counts twice, as clients see it. What waits in the vault does not
    count.
    """

    octets: int
    messages: int
    quota: Quota

    def has_room_for(self, octets: int, messages: int = 1) -> bool:
        """Whether so much more may be kept."""
        quota = self.quota
        return not (
            (quota.octets and self.octets + octets > quota.octets)
            or (quota.messages and self.messages + messages > quota.messages)
        )

    @property
    def percent(self) -> int:
        """Of the tighter bound, rounded down; 0 without one."""
        shares = [0]
        if self.quota.octets:
            shares.append(100 * self.octets // self.quota.octets)
        if self.quota.messages:
            shares.append(100 * self.messages // self.quota.messages)
        return max(shares)
