"""The kept connections to one server, all bound as the service account and never as anybody else.

Owns how many there are and which one a search takes: a few, each with many searches under way. One
that has been idle for ``idle_s`` is closed and, should its timer be late, not used again: Active
Directory and firewalls drop them from 300 s on, without a word (SECURITY L9). A search whose kept
connection dies is asked once more on a fresh one; on a fresh one it is not asked again.

Never chooses a server and never binds as a person. Limits: ``PoolLimits``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredSemaphore

from gateway.core.ports.clock import Timer, Timers
from gateway.directory.ldap.asking import BindAnswer, Found, Heard, LdapFailed
from gateway.wire.ldap.messages import BindRequest, Control, SearchRequest


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bounds with their reasons.

    Args:
        connections: a server's work for one connection may be done one after the other; more than
            a few are as many threads or descriptors there, for each of our processes.
        pipelined: searches under way on one connection before another one is opened.
        running: searches under way in all; a server that is slow gets no more.
        waiting: how many more wait for that (SECURITY N4).
        idle_s: see above.
        reply_octets: of one answer.
        listing_octets: of one message on connections that list everybody (SECURITY F4).
    """

    connections: int = 4
    pipelined: int = 8
    running: int = 128
    waiting: int = 256
    idle_s: float = 240.0
    reply_octets: int = 1024 * 1024
    listing_octets: int = 1024 * 1024


class Link(Protocol):
    """A connection, as ``dialogue`` has it."""

    @property
    def pending(self) -> int: ...

    @property
    def usable(self) -> bool: ...

    @property
    def last_used_at(self) -> float: ...

    def search(
        self,
        request: SearchRequest,
        controls: Sequence[Control] = (),
        *,
        deadline_s: float,
        reply_limit_octets: int,
        heard: Heard | None = None,
    ) -> Deferred[Found]: ...

    def bind(
        self, request: BindRequest, controls: Sequence[Control] = (), *, deadline_s: float
    ) -> Deferred[BindAnswer]: ...

    def close(self) -> None: ...


class Pool:
    """Of one server.

    Args:
        open_link: a fresh connection, bound; raises LdapFailed.
        usable: False: the server is known to be down, so that nothing is asked once more.
    """

    def __init__(
        self,
        open_link: Callable[[], Coroutine[Deferred[Any], Any, Link]],
        timers: Timers,
        limits: PoolLimits,
        *,
        usable: Callable[[], bool],
    ) -> None:
        self._open_link = open_link
        self._timers = timers
        self._limits = limits
        self._usable = usable
        self._links: list[Link] = []
        self._opening: list[Deferred[Link]] | None = None
        self._closings = 0
        self._turns = DeferredSemaphore(limits.running)
        self._sweeping: Timer | None = None

    async def search(
        self, request: SearchRequest, controls: Sequence[Control], *, deadline_s: float
    ) -> Found:
        """Args:
            deadline_s: for all of it.

        Raises: LdapFailed.
        """
        end = self._timers.seconds() + deadline_s
        turns = self._turns
        if not turns.tokens and len(turns.waiting) >= self._limits.waiting:
            raise LdapFailed("too many requests are waiting")
        await turns.acquire()
        try:
            link = self._best()
            if link is not None:
                try:
                    return await self._search(link, request, controls, end)
                except LdapFailed:
                    if link.usable or not self._usable() or self._timers.seconds() >= end:
                        raise
            return await self._search(await self._fresh(), request, controls, end)
        finally:
            turns.release()

    def add(self, link: Link) -> None:
        """A connection that somebody else has opened, bound and found good."""
        if len(self._links) < self._limits.connections:
            self._keep(link)
        else:
            link.close()

    def close(self) -> None:
        """Close all; searches under way fail."""
        self._closings += 1
        links, self._links = self._links, []
        for each in links:
            each.close()
        if self._sweeping is not None and self._sweeping.active():
            self._sweeping.cancel()
        self._sweeping = None

    def _search(
        self, link: Link, request: SearchRequest, controls: Sequence[Control], end: float
    ) -> Deferred[Found]:
        return link.search(
            request,
            controls,
            deadline_s=end - self._timers.seconds(),
            reply_limit_octets=self._limits.reply_octets,
        )

    def _best(self) -> Link | None:
        """The least busy one that may be used; another one is opened where all are busy."""
        self._sweep()
        if not self._links:
            return None
        best = min(self._links, key=lambda each: each.pending)
        limits = self._limits
        if best.pending >= limits.pipelined and len(self._links) < limits.connections:
            # Beside this search, which need not wait for it; whether it works, a later one tells.
            self._begin_opening()
        return best

    async def _fresh(self) -> Link:
        """A connection that has just been opened; all who need one at once get the same."""
        waiting: Deferred[Link] = Deferred()
        self._begin_opening(waiting)
        return await waiting

    def _begin_opening(self, *waiting: Deferred[Link]) -> None:
        if self._opening is not None:
            self._opening.extend(waiting)
            return
        self._opening = list(waiting)
        Deferred.fromCoroutine(self._open(self._opening))

    async def _open(self, waiting: list[Deferred[Link]]) -> None:
        closings = self._closings
        link: Link | None = None
        trouble: Exception = LdapFailed("the connections to this server were closed")
        try:
            link = await self._open_link()
        except Exception as error:
            trouble = error
        if link is not None and closings != self._closings:
            link.close()
            link = None
        if link is not None:
            self._keep(link)
        self._opening = None
        for each in waiting:
            if each.called:
                continue  # whoever waited has gone away
            if link is not None:
                each.callback(link)
            else:
                each.errback(trouble)

    def _keep(self, link: Link) -> None:
        self._links.append(link)
        if self._sweeping is None:
            self._sweeping = self._timers.callLater(self._limits.idle_s, self._look_again)

    def _look_again(self) -> None:
        self._sweeping = None
        self._sweep()
        if self._links:
            now = self._timers.seconds()
            oldest = min(now if each.pending else each.last_used_at for each in self._links)
            left_s = oldest + self._limits.idle_s - now
            self._sweeping = self._timers.callLater(max(1.0, left_s), self._look_again)

    def _sweep(self) -> None:
        """Let go of what is closed, and close what was idle for too long."""
        now = self._timers.seconds()
        left = []
        for each in self._links:
            if not each.usable:
                continue
            if not each.pending and now - each.last_used_at >= self._limits.idle_s:
                each.close()
            else:
                left.append(each)
        self._links = left
