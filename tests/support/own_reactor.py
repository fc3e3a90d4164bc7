"""A reactor of the test's own, turned by the test's own thread, for real sockets.

A pump like the others: ``wait`` runs it until a coroutine ends, ``until`` until a condition holds,
with a deadline. Nothing is global: many tests in one process do not know of each other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.epollreactor import EPollReactor
from twisted.python.failure import Failure

from tests.support.pump import Pump


class OwnReactor(Pump):
    """``reactor`` is what the code under test gets. To be closed."""

    def __init__(self, deadline_s: float = 60.0) -> None:
        super().__init__(deadline_s)
        self.reactor = cast(Any, EPollReactor())
        # A thread still wakes the reactor when what it handed over has been done already.
        self._handing_over = threading.Lock()
        self._closed = False
        self._hand_over = self.reactor.callFromThread
        self.reactor.callFromThread = self._call_from_thread
        self.reactor.startRunning(installSignalHandlers=False)
        self.turn()

    def call_from_thread(self, function: Callable[[], object], /) -> None:
        self._call_from_thread(function)

    def _call_from_thread(self, function: Any, *arguments: Any, **named: Any) -> None:
        with self._handing_over:
            if not self._closed:
                self._hand_over(function, *arguments, **named)

    def run_waiting(self) -> None:
        self.turn()

    def turn(self, most_s: float = 0.0) -> None:
        """One round: what is due, and what sockets have, waiting for it so long at most."""
        self.reactor.runUntilCurrent()
        left = self.reactor.timeout()
        self.reactor.doIteration(most_s if left is None else min(left, most_s))

    def until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + self.deadline_s
        while not condition():
            assert time.monotonic() < end, f"not reached within {self.deadline_s} s"
            self.turn(0.02)

    def close(self) -> None:
        """End it, its threads and its sockets."""
        self.reactor.stop()
        self.until(lambda: not self.reactor.running)
        over = Failure(ConnectionError("the test is over"))
        # Connections that say goodbye may still be open; one that is aborted is neither read nor
        # written any more, and closed by what is due next.
        self.reactor.runUntilCurrent()
        while left := set(self.reactor.removeAll()):
            for each in left:
                each.connectionLost(over)
            self.reactor.runUntilCurrent()
        with self._handing_over:
            self._closed = True
        for each in (self.reactor.waker, *self.reactor._internalReaders):
            each.connectionLost(over)
        self.reactor._poller.close()
