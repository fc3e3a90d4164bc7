"""Sessions that end with what opened them, and looking whether that is still good.

Owns the list of those of one process by a key, the timer, and the end: a session is told to end in
order, and is cut off LEAVE_S later. What is good is the subclass's to find out.
Nothing is looked at while there are no such sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.ports.clock import Timer, Timers

LOOK_EVERY_S = 20.0
LEAVE_S = 20.0

K = TypeVar("K", int, str)


class Session(Protocol):
    """A connection that somebody has logged in on."""

    @property
    def connection_id(self) -> str: ...

    def dismiss(self) -> None:
        """Finish what is in flight, say that this login is not valid any more, close."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class WatchedSessions(Generic[K]):
    """Those that are open, by what opened them.

    Args:
        every_s: how often to look.
    """

    log = Logger()

    def __init__(
        self, timers: Timers, *, every_s: float = LOOK_EVERY_S, leave_s: float = LEAVE_S
    ) -> None:
        self._timers = timers
        self._every_s = every_s
        self._leave_s = leave_s
        self._open: dict[K, list[Session]] = {}
        self._timer: Timer | None = None
        self._looking: Deferred[None] | None = None
        self._closed = False

    def opened(self, key: K, session: Session) -> Callable[[], None]:
        """Somebody logged in with this; call what is returned when the session has ended."""
        self._open.setdefault(key, []).append(session)
        self._look_later()

        def ended() -> None:
            sessions = self._open.get(key, [])
            if session in sessions:
                sessions.remove(session)
            if not sessions:
                self._open.pop(key, None)

        return ended

    async def look(self) -> None:
        """End those whose key is good no more."""
        raise NotImplementedError

    def close(self) -> None:
        self._closed = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.addErrback(lambda _: None)
            looking.cancel()

    def _look_later(self) -> None:
        if self._timer is None and self._open and not self._closed:
            self._timer = self._timers.callLater(self._every_s, self._look_now)

    def _look_now(self) -> None:
        def looked(_: object) -> None:
            self._looking = self._timer = None
            self._look_later()

        def failed(failure: Failure) -> None:
            if not self._closed:
                self.log.failure("sessions not looked at", failure)

        looking: Deferred[None] = Deferred.fromCoroutine(self.look())
        self._looking = looking
        looking.addErrback(failed)
        looking.addBoth(looked)

    def _end_all(self, key: K, why: str) -> None:
        for session in tuple(self._open.get(key, ())):
            self._end(key, session, why)

    def _end(self, key: K, session: Session, why: str) -> None:
        self.log.info("{id} ends: {why}", id=session.connection_id, why=why)
        self._timers.callLater(self._leave_s, self._cut_off, key, session)
        try:
            session.dismiss()
        except Exception:
            # One faulty session must not keep the others.
            self.log.failure("{id} cannot end in order", id=session.connection_id)
            session.abort()

    def _cut_off(self, key: K, session: Session) -> None:
        if session in self._open.get(key, ()):
            session.abort()
