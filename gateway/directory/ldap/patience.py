"""The end of somebody's patience: a coroutine within a bounded time, by the injected clock.

Owns the timer and the difference between "it took too long" and "whoever asked has gone away".
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from gateway.core.ports.clock import Timers
from gateway.directory.ldap.asking import LdapFailed

T = TypeVar("T")


class OutOfTime(LdapFailed):
    """No answer in the time there was."""


async def within(
    timers: Timers, limit_s: float, doing: Coroutine[Deferred[Any], Any, T], reason: str
) -> T:
    """What the coroutine gives; it is cancelled at the limit.

    Raises:
        OutOfTime: with the reason.
    """
    pending = Deferred.fromCoroutine(doing)
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        pending.cancel()

    timer = timers.callLater(max(0.0, limit_s), expire)
    try:
        return await pending
    except (CancelledError, LdapFailed):
        if not expired:
            raise
    finally:
        if timer.active():
            timer.cancel()
    # Out of the handler: the new error carries no traceback of the old one.
    raise OutOfTime(reason)
