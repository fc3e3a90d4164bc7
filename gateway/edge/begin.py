"""Coroutines of which most wait for nothing: begun at once, and made a Deferred only if they wait.

Owns nothing but the passing on of what comes. A Deferred for a coroutine costs fifteen times as
much as running it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any

from twisted.internet.defer import Deferred

Begun = Coroutine[Deferred[Any], Any, None]


def begin(coroutine: Begun) -> Deferred[None] | None:
    """Run it up to where it has to wait; None: it came to its end. Raises: as the coroutine."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    return Deferred.fromCoroutine(_rest_of(coroutine, waits_for))


def _rest_of(coroutine: Begun, waits_for: Deferred[Any]) -> Generator[Deferred[Any], Any, None]:
    try:
        while True:
            try:
                result = yield waits_for
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:
                waits_for = coroutine.throw(error)
            else:
                waits_for = coroutine.send(result)
    except StopIteration:
        return
