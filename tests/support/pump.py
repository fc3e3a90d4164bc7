"""A stand-in for the reactor's thread hand-over: tests wait on coroutines with a deadline.

``pump.call_from_thread`` is what the store and the directory get instead of
``reactor.callFromThread``; ``pump.wait(coroutine)`` runs what arrives until the coroutine ends.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Pump:
    """Runs functions handed over from other threads on the test's own thread."""

    def __init__(self, deadline_s: float = 60.0) -> None:
        self.deadline_s = deadline_s
        self._calls: queue.Queue[Callable[[], object]] = queue.Queue()

    def call_from_thread(self, function: Callable[[], object], /) -> None:
        self._calls.put(function)

    def run_waiting(self) -> None:
        """Run all that has arrived by now."""
        while True:
            try:
                function = self._calls.get_nowait()
            except queue.Empty:
                return
            function()

    def until(self, condition: Callable[[], object]) -> None:
        """Run what arrives until the condition holds; fails the test at the deadline."""
        end = time.monotonic() + self.deadline_s
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"not reached within {self.deadline_s} s")
            try:
                self._calls.get(timeout=min(left, 0.05))()
            except queue.Empty:
                continue

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
