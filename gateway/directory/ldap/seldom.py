"""Troubles of single questions in the log, the same one seldom.

Owns the rest between two equal lines: in an outage every message and every login meets the same
trouble, and what there is to know of it is told once with the server's change of state.

Limits: MOST texts are remembered, each for REST_S.
"""

from __future__ import annotations

from twisted.logger import Logger

from gateway.core.ports.clock import Timers

REST_S = 30.0
MOST = 200


class Seldom:
    """Of one directory."""

    log = Logger()

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._told: dict[str, tuple[float, int]] = {}

    def tell(self, text: str) -> None:
        """As an error, with how often it was kept back."""
        now = self._timers.seconds()
        until, kept_back = self._told.pop(text, (now, 0))
        if now < until:
            self._told[text] = until, kept_back + 1
            return
        more = f" ({kept_back} times more since it was last told)" if kept_back else ""
        self.log.error("{text}{more}", text=text, more=more)
        if len(self._told) >= MOST:
            self._told.pop(next(iter(self._told)))
        self._told[text] = now + REST_S, 0
