"""The port to the app passwords that are kept: one row for each, by the person's immutable id.

Any method may raise StoreUnavailable. What is removed is gone for all processes at once, as each
login reads the rows anew.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from gateway.core.app_passwords import AppPassword, Place
from gateway.core.ids import AccountId


class AppPasswordStore(Protocol):
    async def of(self, account_id: AccountId) -> Sequence[AppPassword]:
        """All of this person's, also those that have expired, by number."""
        ...

    async def add(self, new: AppPassword, *, most: int) -> AppPassword | None:
        """As it is kept: with its number. Durable when this returns.

        None, and nothing is kept: the person has ``most`` that have not expired, or it does not
        fit beside the others: the handle is taken, or they have another salt or iterations.
        """
        ...

    async def remove(
        self, account_id: AccountId, numbers: Collection[int] | None = None
    ) -> Sequence[AppPassword]:
        """These of the person's, or all; returns what was there. Durable when this returns."""
        ...

    async def used(self, number: int, at: int, place: Place) -> None:
        """It has just let somebody in."""
        ...

    async def live(self, numbers: Collection[int]) -> frozenset[int]:
        """Those of these that are there and have not expired."""
        ...
