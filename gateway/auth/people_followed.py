"""What logins forget of people as the directory changes: the port PeopleChanged.

Owns that a change ends what is remembered of somebody in all processes, and that whoever is
disabled, locked or gone keeps no password for outages (SECURITY L16). Nothing is forgotten of
people who are merely not listed. Never lets anybody in.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.auth.keeping import Keeper
from gateway.auth.remembered import RememberedLogins
from gateway.core.ports.people import PersonChange


class ForgetsLogins:
    """The process that refreshes the picture tells it."""

    def __init__(self, remembered: RememberedLogins, keeper: Keeper | None) -> None:
        self._remembered = remembered
        self._keeper = keeper

    async def changed(self, changes: Sequence[PersonChange]) -> None:
        for change in changes:
            if change.before is None:
                continue  # nobody has logged in as somebody who has just come
            self._remembered.forget(change.account_id)
            after = change.after
            if self._keeper is not None and (after is None or not after.enabled or after.locked):
                await self._keeper.forget(change.account_id)

    async def listed(self, source: str) -> None:
        """Who is not in the picture cannot log in by it."""
