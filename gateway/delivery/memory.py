"""Facts about other servers that are worth remembering for a while.

Owns when they are forgotten: after their time, when somebody knows better, or all at once when
there are too many.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from gateway.core.ports.clock import Timers

MOST = 1000

_Value = TypeVar("_Value")


class Memory(Generic[_Value]):
    """Values by key.

    Args:
        seconds: how long each is kept.
    """

    __slots__ = ("_kept", "_seconds", "_timers")

    def __init__(self, timers: Timers, seconds: float) -> None:
        self._timers = timers
        self._seconds = seconds
        self._kept: dict[Hashable, tuple[float, _Value]] = {}

    def put(self, key: Hashable, value: _Value) -> None:
        if len(self._kept) >= MOST:
            self._kept.clear()  # cheaper to learn anew than to keep in order
        self._kept[key] = (self._timers.seconds() + self._seconds, value)

    def get(self, key: Hashable) -> _Value | None:
        if not self._kept:
            return None
        until, value = self._kept.get(key, (0.0, None))
        if value is not None and until <= self._timers.seconds():
            del self._kept[key]
            return None
        return value

    def forget(self, key: Hashable) -> None:
        self._kept.pop(key, None)
