"""IDLE (RFC 2177): changes of the selected mailbox are told as they happen.

Owns the waiting: for a change, for the client's DONE, or for the next line that keeps middle boxes
from forgetting the connection. How long a client may idle is the connection's deadline.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.edge.imap.errors import Reply, bad, ok
from gateway.edge.imap.session import Session
from gateway.wire.imap.commands import Idle
from gateway.wire.imap.replies import continuation, untagged_status

MAX_DONE_OCTETS = 64


class _Wait:
    """What can end a wait: a change, the client's line, or the time for another sign of life.

    A call of ``wake`` that comes while nobody waits is not lost.
    """

    def __init__(self, session: Session) -> None:
        self.line: bytes | Failure | None = None
        self._peer = session.peer
        self._timers = session.peer.door.timers
        self._interval_s = session.services.limits.idle_keep_alive_s
        self._timer = self._timers.callLater(self._interval_s, self._sign_of_life)
        self._woken = False
        self._waiting: Deferred[None] | None = None

    def wake(self) -> None:
        self._woken = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def line_came(self, line: bytes | Failure) -> None:
        self.line = line
        self.wake()

    async def over(self) -> None:
        """Return when woken."""
        if not self._woken:
            self._waiting = Deferred()
            await self._waiting
        self._woken = False

    def stop(self) -> None:
        if self._timer.active():
            self._timer.cancel()

    def _sign_of_life(self) -> None:
        self._timer = self._timers.callLater(self._interval_s, self._sign_of_life)
        self._peer.send(untagged_status("OK", "Still here"))
        self.wake()


async def idle(session: Session, command: Idle) -> Reply:
    peer = session.peer
    wait = _Wait(session)
    session.changed = wait.wake
    try:
        peer.send(continuation("idling"))
        peer.next_line(MAX_DONE_OCTETS).addBoth(wait.line_came)
        await session.refresh(now=True)
        while True:
            await session.tell(may_expunge=True)
            await peer.writable()
            if wait.line is not None:
                break
            await wait.over()
            await session.refresh()
    finally:
        session.changed = None
        wait.stop()
    if isinstance(wait.line, Failure) or wait.line.upper() != b"DONE":
        return bad("Only DONE ends IDLE")
    return ok("Idling ended")
