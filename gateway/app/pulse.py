"""Notices processes that live and do not answer: stopped, or in an endless loop.

Owns asking and counting; who is asked how, and what becomes of one that is silent, is the owner's
affair. Counted are questions without an answer, not seconds: when the machine sleeps or we are the
ones who were stopped, one question goes unanswered and not an hour's worth.

Reactor thread only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.ports.clock import Timer, Timers

BEAT_S = 10.0


@dataclass(slots=True)
class _Asked:
    limit: int
    unanswered: int = 0


class Pulse:
    """Asks each process every BEAT_S.

    Args:
        ask: sends the question to a process.
        silent: called with the process and for how long it has been silent, again with each beat.
    """

    def __init__(
        self,
        timers: Timers,
        ask: Callable[[int], None],
        silent: Callable[[int, float], None],
    ) -> None:
        self._timers = timers
        self._ask = ask
        self._silent = silent
        self._asked: dict[int, _Asked] = {}
        self._timer: Timer | None = None

    def watch(self, number: int, limit_s: float) -> None:
        """From now on it is silent when it has not been heard for so long."""
        self._asked[number] = _Asked(round(limit_s / BEAT_S))
        if self._timer is None:
            self._timer = self._timers.callLater(BEAT_S, self._beat)

    def heard(self, number: int) -> None:
        """It lives."""
        asked = self._asked.get(number)
        if asked is not None:
            asked.unanswered = 0

    def forget(self, number: int) -> None:
        """It is gone, or expected to go."""
        self._asked.pop(number, None)

    def stop(self) -> None:
        """Watch nobody any more."""
        self._asked.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        self._timer = self._timers.callLater(BEAT_S, self._beat)
        for number, asked in tuple(self._asked.items()):
            if asked.unanswered >= asked.limit:
                self._silent(number, asked.unanswered * BEAT_S)
            asked.unanswered += 1
            self._ask(number)
