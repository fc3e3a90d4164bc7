"""Waiting without a thread. Owns nothing: the timer goes with whoever waits."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from gateway.core.ports.clock import Timers


def pause(timers: Timers, seconds: float) -> Deferred[None]:
    """Fires after so many seconds, at once if there are none; cancelling it drops the timer."""
    if seconds <= 0:
        return succeed(None)
    waiting: Deferred[None] = Deferred(lambda _: timer.cancel())
    timer = timers.callLater(seconds, waiting.callback, None)
    return waiting
