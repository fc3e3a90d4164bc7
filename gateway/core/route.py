"""Where an address leads.

Values only; ``routing`` decides, and the doors and the queue act on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.account import Account


@dataclass(frozen=True, slots=True)
class LocalMailbox:
    """A person here."""

    account: Account


@dataclass(frozen=True, slots=True)
class Outbound:
    """Leaves by SMTP; ``next_hop`` empty: the smart host or MX records decide."""

    next_hop: str = ""


Route = LocalMailbox | Outbound
