"""The port to what the store knows of people's standing: how much they keep, when they were here.

Owns values and shapes alone. Any method may raise StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.core.ids import AccountId
from gateway.core.quota import Usage


@dataclass(frozen=True, slots=True)
class Standing:
    """One person who has mailboxes here, or has logged in with something that is kept here.

    Args:
        usage: None: no mailbox was made yet.
        last_login_at: Unix time of the last login that is known of: of one with the directory's
            password to a day, of one with an app password to a few minutes. 0: none is known.
    """

    usage: Usage | None = None
    last_login_at: int = 0


UNKNOWN = Standing()


class Standings(Protocol):
    async def standings(self, account_ids: Collection[AccountId]) -> Mapping[AccountId, Standing]:
        """Of those of these of whom anything is known."""
        ...
