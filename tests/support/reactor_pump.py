"""A pump that turns a reactor of its own: for tests of what talks over real sockets.

``reactor`` is given to whatever connects; ``wait`` turns it until a coroutine ends. Timers run in
real time, unless a test gives a ``Clock`` where timers are asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gateway.cli.loop import Loop
from tests.support.pump import Pump


class ReactorPump(Pump):
    """To be closed."""

    def __init__(self, deadline_s: float = 30.0) -> None:
        super().__init__(deadline_s)
        self._loop = Loop()

    @property
    def reactor(self) -> Any:
        return self._loop.reactor

    def call_from_thread(self, function: Callable[[], object], /) -> None:
        self._loop.call_from_thread(function)

    def run_waiting(self) -> None:
        """Serve what is there by now."""
        reactor = self.reactor
        reactor.runUntilCurrent()
        reactor.doIteration(0)
        reactor.runUntilCurrent()

    def until(self, condition: Callable[[], object]) -> None:
        """Turn until the condition holds; fails the test at the deadline."""
        end = time.monotonic() + self.deadline_s
        reactor = self.reactor
        while not condition():
            assert time.monotonic() < end, f"not reached within {self.deadline_s} s"
            reactor.runUntilCurrent()
            if condition():
                return
            due_s = reactor.timeout()
            reactor.doIteration(0.05 if due_s is None else min(due_s, 0.05))

    def close(self) -> None:
        self._loop.close()
