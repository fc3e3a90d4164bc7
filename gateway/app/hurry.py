"""ETRN across processes: a destination that somebody asks for is taken up again, whoever hears it.

Owns the order: whoever runs the queue is told first, then the mail is made due. So mail that was
put off, as nobody at its destination could be talked to, is not put off once more on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.core.ports.queue import QueueStarter
from gateway.core.queue import Start

Hurry = Callable[[Sequence[str]], None]
"""Has these destinations tried now, in this process or another."""

MOST_DESTINATIONS = 100
"""Of one ETRN; those behind them come at their time."""


class Reviving(Protocol):
    """Who runs the queue."""

    def revive(self, destination: str | None) -> None: ...


class Office(QueueStarter, Protocol):
    """The store's side."""

    async def destinations_of(self, name: str, limit: int) -> Sequence[str]:
        """Where mail goes that waits for what ``start`` would mean by the name."""
        ...


class Starter:
    """The port QueueStarter."""

    def __init__(self, office: Office, hurry: Hurry) -> None:
        self._office = office
        self._hurry = hurry

    async def start(self, name: str) -> Start:
        destinations = await self._office.destinations_of(name, MOST_DESTINATIONS)
        if destinations:
            self._hurry(destinations)
        return await self._office.start(name)


def revive(queue: Reviving, destinations: Sequence[str]) -> None:
    """In the process that runs the queue."""
    for each in destinations:
        queue.revive(each)
