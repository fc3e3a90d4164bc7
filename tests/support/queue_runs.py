"""A runner over a real store, with a wall clock that can be set and a delivery by script."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from twisted.internet.task import Clock

from gateway.core.ids import QueueId
from gateway.queue.paces import Paces
from gateway.queue.runner import QueueRunner
from tests.store.house import CAROL, NOW, House
from tests.support.queue_fakes import FakeDelivery, FakeRouter
from tests.support.queue_world import EXACT


class Runs:
    """A runner over a real store with a wall clock that can be set."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.clock = Clock()
        self.offset_s = 0.0
        self.delivery = FakeDelivery()
        self.runner: QueueRunner | None = None

    def wall(self) -> float:
        return NOW + self.offset_s + float(self.clock.seconds())

    def start(self) -> None:
        self.house.now = self.wall()
        self.runner = QueueRunner(
            self.house.store,
            self.delivery,
            FakeRouter(),
            hostname="mail.x.example",
            timers=self.clock,
            wall_clock=self.wall,
            random=Random(1),
            paces=Paces(EXACT),
        )
        self.runner.start()
        self.settle()

    def stop(self) -> None:
        assert self.runner is not None
        self.house.wait(self.runner.stop())

    def accept(self, name: str, **fields: Any) -> None:
        message = replace(self.house.message(name, remote=[CAROL]), **fields)
        self.house.wait(self.house.store.accept(message))
        self.settle()

    def settle(self) -> None:
        """Let everything happen that does not wait for time."""
        nothing = self.house.store.queue.release([QueueId("FFFFFFF")])
        self.house.wait(nothing)  # a write, so that the runner has heard of all before it
        runner = self.runner
        if runner is not None:
            # An attempt that is not answered yet goes on; then it is enough that nothing is taken.
            self.house.pump.until(
                lambda: runner.is_at_rest or (self.delivery.pending and runner._taker.is_idle)
            )

    def pass_time(self, seconds: float) -> None:
        while seconds > 0:
            self.clock.advance(min(seconds, 60))
            seconds -= 60
            self.house.now = self.wall()
            self.settle()

    @property
    def sent(self) -> int:
        return len(self.delivery.attempts)
