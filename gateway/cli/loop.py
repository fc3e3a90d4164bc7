"""A command's own reactor: connections, timers and what threads hand over, on the main thread.

Owns a reactor that is nobody else's and never the process's: it turns only while somebody waits for
something, so that a command stays a sequence of steps. Never handles a signal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.selectreactor import SelectReactor
from twisted.python.failure import Failure

T = TypeVar("T")


class Loop:
    """Turns while ``run_until`` or ``run`` waits."""

    def __init__(self) -> None:
        self._reactor: Any = SelectReactor()  # Any: mypy does not see zope's methods
        # What is to be done at the start, such as starting the threads that look names up, is done.
        self._reactor.startRunning(installSignalHandlers=False)
        self._closed = False
        # Whoever hands something over still wakes the reactor when it has been done already: the
        # pipe for that is not closed under a thread. A signal may come while it is held.
        self._handing_over = threading.RLock()

    @property
    def reactor(self) -> Any:
        """For whoever connects."""
        return self._reactor

    def call_from_thread(self, function: Callable[[], object], /) -> None:
        """Also from a signal handler: it only appends, and writes to a pipe. At the end, when
        nobody turns any more, threads that were left behind may still call."""
        with self._handing_over:
            if not self._closed:
                self._reactor.callFromThread(function)

    def run_until(self, is_done: Callable[[], bool], limit_s: float = float("inf")) -> None:
        """Serve until the condition holds, which something handed over makes true."""
        end = time.monotonic() + limit_s
        reactor = self._reactor
        while not is_done():
            reactor.runUntilCurrent()
            now = time.monotonic()
            # Also a timer makes it true, and then there may be nothing more to wait for.
            if is_done() or now >= end:
                return
            due_s = reactor.timeout()
            left_s = end - now
            if due_s is None:
                wait_s = None if left_s == float("inf") else left_s
            else:
                wait_s = min(due_s, left_s)
            reactor.doIteration(wait_s)

    def run(self, coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
        """The coroutine's result or its exception."""
        outcome: list[T | Failure] = []
        Deferred.fromCoroutine(coroutine).addBoth(outcome.append)
        self.run_until(lambda: bool(outcome))
        result = outcome[0]
        if isinstance(result, Failure):
            result.raiseException()
        return result

    def close(self) -> None:
        """End its threads and connections; it cannot be used again."""
        with self._handing_over:
            if self._closed:
                return
            self._closed = True
        reactor = self._reactor
        reactor.fireSystemEvent("shutdown")
        reactor.runUntilCurrent()
        reactor.disconnectAll()
        reactor.waker.connectionLost(Failure(ConnectionDone()))
