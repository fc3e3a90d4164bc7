"""The ports to what outlives a restart of TLS to other servers: policies, and counts for reports.

Owns values and shapes alone. Times are Unix seconds, days are days since 1970 in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """A domain's MTA-STS policy as it was fetched (RFC 8461).

    Args:
        policy_id: the id of its DNS record then.
        text: as the policy host sent it.
        expires_at: when it may no longer be used.
        used_at: when mail last went by it, to a day or so.
    """

    domain: str
    policy_id: str
    text: str
    fetched_at: int
    expires_at: int
    used_at: int


class StsStore(Protocol):
    """Policies by domain. Any method may raise StoreUnavailable."""

    async def known(self, domain: str) -> KeptPolicy | None:
        """Also one that has expired."""
        ...

    async def keep(self, policy: KeptPolicy) -> None:
        """In place of what is kept of the domain."""
        ...

    async def ageing(
        self, expires_before: int, used_since: int, limit: int
    ) -> Sequence[KeptPolicy]:
        """Policies in use that will soon expire, the next to expire first."""
        ...


@dataclass(frozen=True, slots=True)
class Counted:
    """Sessions of one kind with the servers of a domain (RFC 8460 section 4).

    Args:
        domain: whose mail it was.
        policy_kind: ``sts``, ``tlsa`` or ``no-policy-found``.
        policy_domain: whose policy it is: with TLSA a host.
        policy: its lines, joined by LF.
        result: a result type of section 4.3; empty: TLS as it should be.
        reason: in words, printable.
    """

    day: int
    domain: str
    policy_kind: str
    policy_domain: str
    policy: str = ""
    result: str = ""
    host: str = ""
    receiving_ip: str = ""
    sending_ip: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sessions:
    """How many there were."""

    of: Counted
    sessions: int


class TlsCounts(Protocol):
    """Counts by day and domain, till they are reported. Any method may raise StoreUnavailable."""

    async def add(self, counts: Sequence[Sessions]) -> None:
        """To what is counted; nothing is added to a day that was reported."""
        ...

    async def unreported(self, before_day: int, limit: int) -> Sequence[tuple[int, str]]:
        """Days and domains before this day with counts, the oldest first."""
        ...

    async def counted(self, day: int, domain: str) -> Sequence[Sessions]: ...

    async def reported(self, day: int, domain: str) -> None:
        """It was, or nobody wants it: its counts go."""
        ...
