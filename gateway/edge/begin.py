"""Coroutines of which most wait for nothing: begun at once, and made a Deferred only if they wait.

Owns nothing but the passing on of what comes. A Deferred for a coroutine costs fifteen times as
much as running it, most of it for what only generators need.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

Begun = Coroutine[Deferred[Any], Any, None]


def begin(coroutine: Begun) -> Deferred[None] | None:
    """Run it up to where it has to wait; None: it came to its end. Raises: as the coroutine."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    return _Rest(coroutine, waits_for)


class _Rest(Deferred[None]):
    """The end of a coroutine that waits."""

    def __init__(self, coroutine: Begun, waits_for: Deferred[Any]) -> None:
        super().__init__()
        self._coroutine = coroutine
        self._waits_for = waits_for
        waits_for.addBoth(self._go_on)

    def cancel(self) -> None:
        """What is waited for is cancelled; what becomes of that is the coroutine's decision."""
        if not self.called:
            self._waits_for.cancel()

    def _go_on(self, result: Any) -> None:
        try:
            if isinstance(result, Failure):
                waits_for = result.throwExceptionIntoGenerator(self._coroutine)
            else:
                waits_for = self._coroutine.send(result)
        except StopIteration:
            self.callback(None)
        except BaseException:
            self.errback(Failure())
        else:
            self._waits_for = waits_for
            waits_for.addBoth(self._go_on)
