"""Sessions end with the account that opened them: disabled, or gone from the directory.

Owns looking at everybody who has a session in this process, every LOOK_EVERY_S, at all doors and
however they logged in (SECURITY L16, L21). With the picture that costs microseconds each; without
one every question is the servers', so a look takes LOOK_FOR_S at most, and the next one goes on
with whoever has waited longest. Directory trouble ends nobody's session (L15), nor does being
locked, which strangers can bring about by guessing. Somebody who is not found is looked for once
more; when many are not found at once, it is not believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from gateway.auth.watched_sessions import WatchedSessions
from gateway.core.account import Account
from gateway.core.errors import DirectoryUnavailable
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped
from gateway.core.pause import pause
from gateway.core.ports.clock import Timers

LOOK_EVERY_S = 10.0
LOOK_FOR_S = 8.0
LEAVE_S = 5.0
SLICE = 50
BREATH_S = 0.0005
FEW = 10


class FindsById(Protocol):
    async def find_by_id(self, account_id: AccountId) -> Account | None: ...


class AccountSessions(WatchedSessions[str]):
    """Those that are open, by account."""

    def __init__(self, directory: FindsById, timers: Timers) -> None:
        super().__init__(timers, every_s=LOOK_EVERY_S, leave_s=LEAVE_S)
        self._directory = directory
        self._missing: set[str] = set()
        self._looked_at: dict[str, float] = {}

    async def look(self) -> None:
        """End those of people who are disabled or gone."""
        looked_at = self._looked_at = {
            each: at for each, at in self._looked_at.items() if each in self._open
        }
        waiting = sorted(self._open, key=lambda each: looked_at.get(each, 0.0))
        missing: list[str] = []
        seen = 0
        end_at = self._timers.seconds() + LOOK_FOR_S
        for each in waiting:
            if self._closed or self._timers.seconds() > end_at:
                break
            if seen % SLICE == SLICE - 1:
                breath: Deferred[None] = pause(self._timers, BREATH_S)
                await breath
            try:
                account = await self._directory.find_by_id(AccountId(each))
            except DirectoryUnavailable:
                account = None  # nobody knows: neither good nor missing
                self._missing.discard(each)
            else:
                seen += 1
                if account is None:
                    missing.append(each)
                else:
                    self._missing.discard(each)
            self._looked_at[each] = self._timers.seconds()
            if account is not None and not account.enabled:
                why = f" ({escaped(account.condition)})" if account.condition else ""
                self._end_all(each, f"{escaped(account.login)} is disabled{why}")
        self._end_missing(missing, seen)

    def _end_missing(self, missing: Sequence[str], seen: int) -> None:
        if len(missing) > FEW and 2 * len(missing) > seen:
            self._missing.clear()
            self.log.error(
                "{count} of {seen} people with open sessions are not found in the directory any"
                " more, which is not believed: look at base_dn, the filters, and what the service"
                " account may read",
                count=len(missing),
                seen=seen,
            )
            return
        for each in missing:
            if each in self._missing:
                self._missing.discard(each)
                self._end_all(each, f"id:{escaped(each)} is gone from the directory")
            else:
                self._missing.add(each)
