"""The queue's idea of now: the wall clock, kept from going backwards (SECURITY D7).

Owns two numbers. While the gateway runs, monotonic time carries on from the highest wall time seen,
so that a clock set back delays nothing; one set forward makes mail due early, which does no harm.
After a restart a queue whose earliest mail is due further ahead than any wait can be proves that
the clock was set back meanwhile; that due time is then taken as now.

Times that a sender has set (DELIVERBY, FUTURERELEASE) were reckoned by the wall clock, and go by
``promised``: after a clock has jumped forward and was set right, time that never passed must not
end them.
"""

from __future__ import annotations

from gateway.core.ports.clock import Timers, WallClock


class QueueClock:
    """Whole Unix seconds that never go back.

    Args:
        longest_wait_s: no recipient is ever put off, nor leased, for longer.
    """

    def __init__(self, wall_clock: WallClock, timers: Timers, longest_wait_s: int) -> None:
        self._wall_clock = wall_clock
        self._timers = timers
        self._longest_wait_s = longest_wait_s
        self._base_s = self._first_base_s = wall_clock() - timers.seconds()

    def now(self) -> int:
        wall_s = self._wall_clock()
        self._base_s = max(self._base_s, wall_s - self._timers.seconds())
        return int(self._base_s + self._timers.seconds())

    def promised(self) -> int:
        """The wall clock's time, or, when that was set back, what has passed since the start."""
        return int(max(self._wall_clock(), self._first_base_s + self._timers.seconds()))

    def observe(self, due_at: int | None) -> int | None:
        """Learn from when the earliest mail is said to be due; returns it."""
        if due_at is not None and due_at > self.now() + self._longest_wait_s:
            self._base_s = due_at - self._timers.seconds()
        return due_at
