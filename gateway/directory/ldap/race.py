"""One question and several servers: the first usable answer is the one that counts.

Owns the order in time: the next server is asked when one fails, and beside the first one when that
has been silent for ``hedge_s``, where the question may be asked twice. A server that is silent for
so long is told to be suspect in any case. What still runs at the end is cancelled.

Never judges an answer: what ``ask`` returns is one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from gateway.core.ports.clock import Timer, Timers
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.member import Member

T = TypeVar("T")

MOST_REASONS = 5


@dataclass(frozen=True, slots=True)
class Patience:
    """Args:
    deadline_s: for all of it.
    hedge_s: of one server's silence.
    hedged: then the next one is asked as well.
    """

    deadline_s: float
    hedge_s: float
    hedged: bool


class Race(Generic[T]):
    """One question.

    Args:
        following: the best server that is not among these; None: there is none.
        ask: one server, within so many seconds.
        goes_on: whether another server may be asked after this failure.
    """

    def __init__(
        self,
        timers: Timers,
        patience: Patience,
        following: Callable[[Sequence[Member]], Member | None],
        ask: Callable[[Member, float], Coroutine[Deferred[Any], Any, T]],
        goes_on: Callable[[LdapFailed], bool],
    ) -> None:
        self._timers = timers
        self._patience = patience
        self._following = following
        self._ask = ask
        self._goes_on = goes_on
        self._end = timers.seconds() + patience.deadline_s
        self._tried: list[Member] = []
        self._running: dict[Member, Deferred[T]] = {}
        self._alarms: list[Timer] = []
        self._deadline: Timer | None = None
        self._reasons: list[str] = []
        self._done: Deferred[T] = Deferred()

    async def run(self) -> T:
        """Raises: LdapFailed, with what each server said."""
        try:
            if not self._begin_next():
                self._give_up()
            return await self._done
        finally:
            for alarm in self._alarms:
                if alarm.active():
                    alarm.cancel()
            for running in list(self._running.values()):
                running.cancel()

    def _begin_next(self) -> bool:
        left_s = self._end - self._timers.seconds()
        member = self._following(self._tried) if left_s > 0 else None
        if member is None:
            return False
        self._tried.append(member)
        asking = Deferred.fromCoroutine(self._ask(member, left_s))
        self._running[member] = asking
        if not asking.called:
            self._await(member, left_s)
        asking.addCallbacks(self._won, self._lost, callbackArgs=(member,), errbackArgs=(member,))
        return True

    def _await(self, member: Member, left_s: float) -> None:
        """One alarm is enough for nearly all answers: only silence needs that of the end."""
        if left_s > self._patience.hedge_s:
            alarm = self._timers.callLater(self._patience.hedge_s, self._silent, member)
            self._alarms.append(alarm)
        else:
            self._await_end(left_s)

    def _await_end(self, left_s: float) -> None:
        if self._deadline is None:
            self._deadline = self._timers.callLater(max(0.0, left_s), self._expired)
            self._alarms.append(self._deadline)

    def _won(self, answer: T, member: Member) -> None:
        self._running.pop(member, None)
        if not self._done.called:
            self._done.callback(answer)

    def _lost(self, failure: Failure, member: Member) -> None:
        self._running.pop(member, None)
        if self._done.called:
            return
        error = failure.value
        if not isinstance(error, LdapFailed):
            if not isinstance(error, CancelledError):
                self._done.errback(failure)
            return
        self._reasons.append(error.reason)
        if self._running:
            return
        if not self._goes_on(error) or not self._begin_next():
            self._give_up()

    def _silent(self, member: Member) -> None:
        if member not in self._running:
            return
        self._await_end(self._end - self._timers.seconds())
        member.suspect(f"{member.name}: no answer in {self._patience.hedge_s:.1f} s")
        if self._patience.hedged:
            self._begin_next()

    def _expired(self) -> None:
        names = ", ".join(member.name for member in self._running)
        self._reasons.append(f"{names}: no answer in {self._patience.deadline_s:g} s")
        self._give_up()

    def _give_up(self) -> None:
        if not self._done.called:
            reasons = dict.fromkeys(self._reasons[-MOST_REASONS:])
            self._done.errback(LdapFailed("; ".join(reasons) or "no server can be asked"))
