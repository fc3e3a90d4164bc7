"""The ports to what is kept of logins: hashes for outages, and why people were refused.

Owns values and shapes alone. Times are Unix seconds. Any method may raise StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason


@dataclass(frozen=True, slots=True)
class KeptPassword:
    """The password that the directory last confirmed.

    Args:
        hash: argon2id, in the PHC string format.
        confirmed_at: to a day or so.
    """

    hash: str = field(repr=False)
    confirmed_at: int


class KeptPasswords(Protocol):
    """One for each person at most."""

    async def kept(self, account_id: AccountId) -> KeptPassword | None: ...

    async def keep(self, account_id: AccountId, hashed: str) -> None:
        """Confirmed now; in place of what is kept."""
        ...

    async def confirm(self, account_id: AccountId, hashed: str) -> None:
        """It has worked again; if it is still this one that is kept."""
        ...

    async def forget(self, account_id: AccountId, hashed: str = "") -> None:
        """What is kept of this person, whatever it is; with ``hashed`` only if it is this one."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """A login that was refused.

    Args:
        protocol: ``submission``, ``pop3`` or ``imap``.
    """

    at: int
    reason: LoginReason
    protocol: str
    peer_ip: str


class Refusals(Protocol):
    """The last few of each person, for ``gateway doctor`` and ``gateway user show``."""

    async def note(self, account_id: AccountId, refusal: Refusal) -> None: ...

    async def recent(self, account_id: AccountId) -> Sequence[Refusal]:
        """The newest first."""
        ...
