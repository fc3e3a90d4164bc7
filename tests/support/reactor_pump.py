"""A pump that turns a reactor of its own: suites that were written for pumps, on real sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.own_reactor import OwnReactor
from tests.support.pump import Pump


class ReactorPump(Pump):
    """``reactor`` is given to whatever connects. To be closed."""

    def __init__(self, deadline_s: float = 60.0) -> None:
        super().__init__(deadline_s)
        self._own = OwnReactor(deadline_s)
        self.reactor: Any = self._own.reactor

    def call_from_thread(self, function: Callable[[], object], /) -> None:
        self.reactor.callFromThread(function)

    def run_waiting(self) -> None:
        self._own.turn()

    def until(self, condition: Callable[[], object]) -> None:
        self._own.until(condition)

    def close(self) -> None:
        self._own.close()
