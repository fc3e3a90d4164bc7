"""Sessions that were opened with an app password, and their end when it is revoked or expires.

Owns the list of those of one process, and looking every LOOK_EVERY_S whether their passwords are
still there; whoever revokes in this process has it looked at once. A session is asked to end in
order, as at a stop, and is cut off LEAVE_S later. Never decides about a login.

Nothing is looked at while there are no such sessions. A store that cannot be read ends none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.core.errors import GatewayError
from gateway.core.ports.app_passwords import AppPasswordStore
from gateway.core.ports.clock import Timer, Timers

LOOK_EVERY_S = 20.0
LEAVE_S = 20.0


class Session(Protocol):
    """A connection that somebody has logged in on."""

    @property
    def connection_id(self) -> str: ...

    def drain(self) -> None:
        """Finish what is in flight, say goodbye, close."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class AppPasswordSessions:
    """Those that are open."""

    log = Logger()

    def __init__(self, store: AppPasswordStore, timers: Timers) -> None:
        self._store = store
        self._timers = timers
        self._open: dict[int, list[Session]] = {}
        self._timer: Timer | None = None
        self._closed = False

    def opened(self, number: int, session: Session) -> Callable[[], None]:
        """Somebody logged in with this one; call what is returned when the session has ended."""
        self._open.setdefault(number, []).append(session)
        self._look_later()

        def ended() -> None:
            sessions = self._open.get(number, [])
            if session in sessions:
                sessions.remove(session)
            if not sessions:
                self._open.pop(number, None)

        return ended

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
            for session in tuple(self._open.get(number, ())):
                self._end(number, session)

    def close(self) -> None:
        self._closed = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _look_later(self) -> None:
        if self._timer is None and self._open and not self._closed:
            self._timer = self._timers.callLater(LOOK_EVERY_S, self._look_now)

    def _look_now(self) -> None:
        def looked(_: object) -> None:
            self._timer = None
            self._look_later()

        looking: Deferred[None] = Deferred.fromCoroutine(self.look())
        looking.addErrback(lambda failure: self.log.failure("sessions not looked at", failure))
        looking.addBoth(looked)

    def _end(self, number: int, session: Session) -> None:
        self.log.info(
            "{id} ends: its app password {number} is revoked or has expired",
            id=session.connection_id,
            number=number,
        )
        self._timers.callLater(LEAVE_S, self._cut_off, number, session)
        try:
            session.drain()
        except Exception:
            # One faulty session must not keep the others.
            self.log.failure("{id} cannot end in order", id=session.connection_id)
            session.abort()

    def _cut_off(self, number: int, session: Session) -> None:
        if session in self._open.get(number, ()):
            session.abort()
