"""Who waits for which answer on one connection, and what comes to them.

Owns the requests under way, their deadlines, the bounds of their answers, and whose answers nobody
wants any more. An answer of the wrong kind, one that nobody asked for and one that is too long are
the connection's end (SECURITY F4, L15). Never touches a transport (``Link`` does).

Limits: MOST_PENDING requests; after MOST_ABANDONED that were given up nothing more is asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.core.ports.clock import Timer, Timers
from gateway.directory.ldap.asking import BindAnswer, Found, Heard, LdapFailed
from gateway.wire.ldap.controls import NOTICE_OF_DISCONNECTION
from gateway.wire.ldap.messages import (
    BindResponse,
    Control,
    ExtendedResponse,
    IntermediateResponse,
    Received,
    SearchDone,
    SearchEntry,
    SearchReference,
)

MOST_PENDING = 1000
MOST_ABANDONED = 100

_PARTS = (SearchEntry, SearchReference, IntermediateResponse)
"""What may come to a search before its end."""


class Link(Protocol):
    """The connection, as the answers see it."""

    def fail(self, reason: str) -> None:
        """It ends now; everything pending fails."""
        ...

    def abandon(self, message_id: int) -> None:
        """Tell the server that nobody waits."""
        ...

    def retire(self) -> None:
        """Nothing more is asked on it."""
        ...

    def failure(self, reason: str) -> LdapFailed: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Pending:
    """A request whose answer is not complete.

    Args:
        doing: in words, for reasons.
        wanted: the kind of response that ends it.
        octets_left: that the answer may have; None: no bound on all of it.
    """

    __slots__ = (
        *("deadline_s", "doing", "done", "entries", "heard"),
        *("octets_left", "timer", "wanted"),
    )

    def __init__(
        self,
        doing: str,
        wanted: type,
        deadline_s: float,
        octets_left: int | None = None,
        heard: Heard | None = None,
    ) -> None:
        self.doing = doing
        self.wanted = wanted
        self.deadline_s = deadline_s
        self.octets_left = octets_left
        self.heard = heard
        self.done: Deferred[Any] = Deferred()
        self.entries: list[SearchEntry] = []
        self.timer: Timer | None = None


class Answers:
    """The requests under way.

    Args:
        finished: called when an answer is complete or nobody waits for it any more.
    """

    def __init__(self, link: Link, timers: Timers, finished: Callable[[], None]) -> None:
        self._link = link
        self._timers = timers
        self._finished = finished
        self._pending: dict[int, Pending] = {}
        self._abandoned: set[int] = set()
        self._held: deque[Received] = deque()
        self._listener: Deferred[None] | None = None
        self._taking = False

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def holds_some(self) -> bool:
        """Something has come that was not looked at yet, or that somebody takes time for."""
        return bool(self._held) or self._listener is not None

    def expect(self, message_id: int, pending: Pending) -> Deferred[Any]:
        """The answer to the request that is written now."""
        pending.done = Deferred(lambda _: self._cancelled(message_id))
        self._pending[message_id] = pending
        self._start_timer(message_id, pending)
        return pending.done

    def fail_all(self, failed: Callable[[str], LdapFailed], reason: str) -> None:
        """Nothing comes any more."""
        self._held.clear()
        for message_id in list(self._pending):
            pending = self._drop(message_id)
            pending.done.errback(failed(f"{pending.doing}: {reason}"))

    # -- what comes

    def take(self, received: list[Received]) -> None:
        """In the order in which they came."""
        self._held.extend(received)
        if self._taking:
            return  # by who is done with an entry at once; the loop below goes on
        self._taking = True
        try:
            while self._held and self._listener is None:
                self._take(self._held.popleft())
        finally:
            self._taking = False

    def _take(self, message: Received) -> None:
        response = message.response
        pending = self._pending.get(message.message_id)
        if pending is None:
            self._take_stray(message)
            return
        if pending.octets_left is not None:
            pending.octets_left -= message.size_octets
            if pending.octets_left < 0:
                self._link.fail("an answer longer than is taken")
                return
        kind = type(response)
        if kind is pending.wanted:
            self._finish(pending, message)
        elif pending.wanted is SearchDone and kind in _PARTS:
            self._take_part(pending, message)
        elif kind is not IntermediateResponse:
            # An intermediate response may come to any request and be left unread (section 4.13).
            self._link.fail(f"{kind.__name__} is no answer to {pending.doing}")

    def _take_stray(self, message: Received) -> None:
        """Said without being asked (RFC 4511 section 4.4), or too late."""
        message_id, response = message.message_id, message.response
        if message_id == 0 and isinstance(response, ExtendedResponse):
            # Other notices are for those who know them.
            if response.oid in (NOTICE_OF_DISCONNECTION, ""):
                result = response.result
                self._link.fail(f"the server disconnects: {result.code} {result.diagnostic}")
        elif message_id not in self._abandoned:
            self._link.fail(f"an answer to message {message_id}, which nobody waits for")
        elif not isinstance(response, _PARTS):
            self._abandoned.discard(message_id)

    def _take_part(self, pending: Pending, message: Received) -> None:
        response, controls, heard = message.response, message.controls, pending.heard
        if isinstance(response, SearchReference):
            return  # part of what is wanted is elsewhere, where we do not go (SECURITY L6)
        if isinstance(response, SearchEntry):
            if heard is None:
                pending.entries.append(response)
                return
            entry = response
        elif isinstance(response, IntermediateResponse) and heard is not None:
            controls = (Control(response.oid, False, response.value), *controls)
            entry = SearchEntry("", {})
        else:
            return
        assert pending.timer is not None
        pending.timer.reset(pending.deadline_s)
        try:
            waiting = heard(entry, controls)
        except Exception:
            self.forget(message.message_id, Failure())
            return
        if waiting is not None:
            self._wait_for(message.message_id, pending, waiting)

    def _finish(self, pending: Pending, message: Received) -> None:
        response = message.response
        answer: object = response
        if isinstance(response, SearchDone):
            answer = Found(response.result, tuple(pending.entries), message.controls)
        elif isinstance(response, BindResponse):
            answer = BindAnswer(response.result, message.controls)
        self._drop(message.message_id)
        self._finished()
        pending.done.callback(answer)

    def _wait_for(self, message_id: int, pending: Pending, waiting: Deferred[None]) -> None:
        """Nothing is read, and no silence counted, until it is done."""
        self._listener = waiting
        self._stop_timer(pending)
        self._link.pause()

        def over(outcome: object) -> None:
            self._listener = None
            if message_id in self._pending:
                if isinstance(outcome, Failure):
                    self.forget(message_id, outcome)
                else:
                    self._start_timer(message_id, pending)
            self._link.resume()

        waiting.addBoth(over)

    # -- what does not come

    def _overdue(self, message_id: int) -> None:
        pending = self._pending[message_id]
        pending.timer = None
        reason = f"{pending.doing}: no answer in {pending.deadline_s:g} s"
        self.forget(message_id, Failure(self._link.failure(reason)), overdue=True)

    def _cancelled(self, message_id: int) -> None:
        if message_id in self._pending:
            self.forget(message_id, None)

    def forget(self, message_id: int, outcome: Failure | None, *, overdue: bool = False) -> None:
        """Nobody waits for this answer any more.

        Args:
            outcome: for who waited; None: they know.
            overdue: the connection may have died without a word.
        """
        pending = self._drop(message_id)
        if pending.wanted is not SearchDone:
            # Binds and StartTLS cannot be abandoned (RFC 4511 section 4.11).
            self._link.fail(f"{pending.doing}: nobody waits for the answer any more")
        else:
            self._abandoned.add(message_id)
            self._link.abandon(message_id)
        # Most servers say nothing more of what was abandoned, and it would be remembered for ever.
        if overdue or len(self._abandoned) >= MOST_ABANDONED:
            self._link.retire()
        self._finished()
        if outcome is not None:
            pending.done.errback(outcome)

    def _drop(self, message_id: int) -> Pending:
        pending = self._pending.pop(message_id)
        self._stop_timer(pending)
        return pending

    def _start_timer(self, message_id: int, pending: Pending) -> None:
        seconds = max(0.0, pending.deadline_s)
        pending.timer = self._timers.callLater(seconds, self._overdue, message_id)

    def _stop_timer(self, pending: Pending) -> None:
        if pending.timer is not None and pending.timer.active():
            pending.timer.cancel()
        pending.timer = None
