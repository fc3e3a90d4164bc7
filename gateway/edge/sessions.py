"""Who is connected: counting for limits and status, and the orderly end of all.

Owns the set of open connections of one process. Limits themselves are policy's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.core.ports.clock import Timers
from gateway.edge.connection import MailConnection


class Limits(Protocol):
    """Kept by ``policy.connections``: may this address open one more connection?"""

    def admit(self, ip: str) -> str:
        """Empty text, or why not."""
        ...

    def release(self, ip: str) -> None: ...


class Sessions:
    """The open connections.

    Args:
        room: so many fit into this process, whatever the limits say.
    """

    log = Logger()

    def __init__(self, limits: Limits, new_id: Callable[[], str], room: int = 2**31) -> None:
        self._limits = limits
        self._room = room
        self.new_id = new_id
        self._open: set[MailConnection] = set()
        self._draining = False
        self._emptied: Deferred[None] | None = None
        self._cut = 0

    def add(self, connection: MailConnection) -> str:
        """Count a connection in; returns why it is refused, or empty text."""
        if self._draining:  # one that a proxy has announced only now
            return "shutting down"
        if len(self._open) >= self._room:
            return "too many connections"
        reason = self._limits.admit(connection.peer_ip)
        if not reason:
            self._open.add(connection)
        return reason

    def remove(self, connection: MailConnection) -> None:
        """Count a connection out; those that were refused have never been in."""
        if connection in self._open:
            self._open.remove(connection)
            self._limits.release(connection.peer_ip)
        if self._emptied is not None and not self._open:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)

    def objection(self, ip: str) -> str:
        """Why a connection from this address would be refused now, or empty text."""
        reason = self._limits.admit(ip)
        if not reason:
            self._limits.release(ip)
        return reason

    def count_by_protocol(self) -> Mapping[str, int]:
        """Open connections by protocol, for status."""
        return Counter(connection.door.protocol for connection in self._open)

    async def drain(self, timers: Timers, limit_s: float) -> int:
        """Ask every session to finish; returns how many had to be cut off at the limit."""
        self._draining = True
        for connection in tuple(self._open):
            try:
                connection.drain()
            except Exception:
                # One faulty session must keep neither the others from ending nor the store open.
                self.log.failure("{id} cannot end in order", id=connection.connection_id)
                connection.abort()
        if not self._open:
            return 0
        self._emptied = Deferred()
        timer = timers.callLater(limit_s, self._cut_off)
        await self._emptied
        if timer.active():
            timer.cancel()
        return self._cut

    def _cut_off(self) -> None:
        self._cut = len(self._open)
        for connection in tuple(self._open):
            connection.abort()
