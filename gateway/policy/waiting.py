"""Waiting no longer than a bound, for answers that several may wait for.

Owns the pattern: each who waits has a Deferred of their own, so that one who gives up, because the
client is gone, takes nothing from the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred

from gateway.core.ports.clock import Timers

T = TypeVar("T")


def bounded(
    waiting: Deferred[T], seconds: float, timers: Timers, otherwise: Callable[[], T]
) -> Deferred[T]:
    """The same Deferred, called with ``otherwise()`` if nothing has come by then."""
    if waiting.called:
        return waiting

    def late() -> None:
        if not waiting.called:
            waiting.callback(otherwise())

    timer = timers.callLater(seconds, late)

    def in_time(result: T) -> T:
        if timer.active():
            timer.cancel()
        return result

    return waiting.addBoth(in_time)
