"""Time, injected everywhere: wall time for records, monotonic time and timers for deadlines.

Owns the shapes alone; ``app`` gives the reactor, tests a ``task.Clock``. Wall time may jump, so no
deadline is ever counted in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class WallClock(Protocol):
    """Unix time in seconds, as ``time.time``."""

    def __call__(self) -> float: ...


class Timer(Protocol):
    """A pending call, as Twisted's IDelayedCall."""

    def active(self) -> bool: ...

    def cancel(self) -> None: ...

    def reset(self, secondsFromNow: float) -> None: ...

    def getTime(self) -> float: ...


class Timers(Protocol):
    """Monotonic time and timers, as Twisted's IReactorTime (a reactor, or task.Clock in tests)."""

    def seconds(self) -> float: ...

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kw: object
    ) -> Timer: ...


class CallFromThread(Protocol):
    """Runs a function on the reactor thread soon, as ``reactor.callFromThread``."""

    def __call__(self, function: Callable[[], object], /) -> None: ...
