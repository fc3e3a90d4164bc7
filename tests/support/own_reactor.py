"""A reactor of the test's own, turned by the test's own thread, for real sockets.

``wait`` runs it until a coroutine or Deferred ends, ``until`` until a condition holds; both have a
deadline. Nothing is global, so that many tests in one process do not know of each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor
from twisted.python.failure import Failure

T = TypeVar("T")


class OwnReactor:
    """``reactor`` is what the code under test gets."""

    def __init__(self, deadline_s: float = 30.0) -> None:
        self.deadline_s = deadline_s
        self.reactor: Any = EPollReactor()
        self.reactor.startRunning(installSignalHandlers=False)
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

    def start(self, coroutine: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        return Deferred.fromCoroutine(coroutine)

    def wait_for(self, deferred: Deferred[T]) -> T:
        outcome: list[T | Failure] = []
        deferred.addBoth(outcome.append)
        self.until(lambda: outcome)
        result = outcome[0]
        if isinstance(result, Failure):
            result.raiseException()
        return result

    def wait(self, coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
        """The coroutine's result, or its exception."""
        return self.wait_for(self.start(coroutine))

    def close(self) -> None:
        """End it, its threads and its sockets."""
        self.reactor.stop()
        self.until(lambda: not self.reactor.running)
        self.reactor.removeAll()
        for reader in (self.reactor.waker, *self.reactor._internalReaders):
            reader.connectionLost(Failure(ConnectionError("the test is over")))
        self.reactor._poller.close()
