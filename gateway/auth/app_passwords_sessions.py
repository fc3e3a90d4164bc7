"""Sessions that were opened with an app password, and their end when it is revoked or expires.

Owns looking every LOOK_EVERY_S whether their passwords are still there; whoever revokes in this
process has it looked at once. How they end is ``watched_sessions``'. Never decides about a login.
A store that cannot be read ends none.
"""

from __future__ import annotations

from gateway.auth.watched_sessions import LEAVE_S, LOOK_EVERY_S, Session, WatchedSessions
from gateway.core.errors import GatewayError
from gateway.core.ports.app_passwords import AppPasswordStore
from gateway.core.ports.clock import Timers

__all__ = ["LEAVE_S", "LOOK_EVERY_S", "AppPasswordSessions", "Session"]


class AppPasswordSessions(WatchedSessions[int]):
    """Those that are open, by the password's number."""

    def __init__(self, store: AppPasswordStore, timers: Timers) -> None:
        super().__init__(timers)
        self._store = store

    async def look(self) -> None:
        """End those whose password is gone."""
        if not self._open:
            return
        try:
            live = await self._store.live(tuple(self._open))
        except GatewayError as error:
            self.log.warn("not known which app passwords are revoked: {error}", error=str(error))
            return
        for number in [each for each in self._open if each not in live]:
            self._end_all(number, f"its app password {number} is revoked or has expired")
