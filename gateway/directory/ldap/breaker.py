"""Whether one server is asked at all: closed, suspect, open or half-open.

Owns the states, the pauses between tries and what was last wrong. Never connects: ``server`` asks
and tells what came of it. All times but those shown to people are monotonic (SECURITY L12).

- CLOSED: questions go there.
- SUSPECT: it has been silent for a while, or says that it is busy; questions go there only if
  nobody better is left, and a probe is to decide at once.
- OPEN: nobody asks, until the pause is over.
- HALF_OPEN: the pause is over and one probe is under way.

Pauses grow from FIRST_PAUSE_S to LONGEST_PAUSE_S while probes fail, and begin anew only after the
server has stayed closed for STEADY_S: one that comes and goes is not asked at every coming. Where
no other server answers, they end at LONELY_PAUSE_S, as people wait.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from gateway.core.ports.clock import Timers, WallClock

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
LONELY_PAUSE_S = 2.0
STEADY_S = 60.0
BUSY = 3
"""So many answers of "not now" in BUSY_S are as bad as silence."""
BUSY_S = 10.0


class State(Enum):
    CLOSED = "closed"
    SUSPECT = "suspect"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """One server's.

    Args:
        changed: is told each change, with the state before.
        lonely: whether no other server answers at the moment.
    """

    def __init__(
        self,
        timers: Timers,
        wall_clock: WallClock,
        *,
        changed: Callable[[State, State], None],
        lonely: Callable[[], bool],
    ) -> None:
        self._timers = timers
        self._wall_clock = wall_clock
        self._changed = changed
        self._lonely = lonely
        self._state = State.CLOSED
        self._failures = 0
        self._closed_at = timers.seconds()
        self._tried_at = timers.seconds()
        self._busy: list[float] = []
        self.since = int(wall_clock())
        self.worked_ever = False
        self.last_error = ""

    @property
    def state(self) -> State:
        return self._state

    @property
    def usable(self) -> bool:
        """Whether questions may go there."""
        return self._state in (State.CLOSED, State.SUSPECT)

    def wait_s(self) -> float:
        """Until the next probe is due; 0: now."""
        if self._state is not State.OPEN:
            return 0.0
        return max(0.0, self._tried_at + self._pause_s() - self._timers.seconds())

    def _pause_s(self) -> float:
        longest = LONELY_PAUSE_S if self._lonely() else LONGEST_PAUSE_S
        # The exponent is bounded as well: 2.0 ** 1100 is an error.
        return min(longest, FIRST_PAUSE_S * 2.0 ** min(max(0, self._failures - 1), 10))

    def probing(self) -> None:
        """A probe begins."""
        if self._state is State.OPEN:
            self._enter(State.HALF_OPEN)

    def worked(self) -> None:
        """It has answered as it should."""
        self.worked_ever = True
        if self._state is State.CLOSED:
            return
        if self._state is State.SUSPECT:
            self._busy.clear()
        self._closed_at = self._timers.seconds()
        self._enter(State.CLOSED)

    def suspected(self, reason: str) -> None:
        """It is silent; whether it is down, a probe shall tell."""
        self.last_error = reason
        if self._state is State.CLOSED:
            self._enter(State.SUSPECT)

    def was_busy(self, reason: str) -> None:
        """It answered that it cannot answer now."""
        now = self._timers.seconds()
        self._busy = [each for each in self._busy if now - each < BUSY_S] + [now]
        if len(self._busy) >= BUSY:
            self._busy.clear()
            self.failed(reason)
        else:
            self.last_error = reason

    def failed(self, reason: str) -> None:
        """It cannot be used. Of one that is open already only a probe counts."""
        if self._state is State.OPEN:
            return
        now = self._timers.seconds()
        self.last_error = reason
        self._tried_at = now
        if self._state in (State.CLOSED, State.SUSPECT) and now - self._closed_at >= STEADY_S:
            self._failures = 0
        self._failures += 1
        self._enter(State.OPEN)

    def _enter(self, state: State) -> None:
        before, self._state = self._state, state
        if {before, state} != {State.OPEN, State.HALF_OPEN}:
            self.since = int(self._wall_clock())
        self._changed(before, state)
