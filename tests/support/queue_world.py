"""A runner with a queue in memory, a delivery by script and a clock of its own."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from gateway.queue.limits import RunnerLimits
from gateway.queue.paces import Pace, Paces
from gateway.queue.runner import QueueRunner
from gateway.queue.schedule import Schedule
from tests.support.queue_fakes import FakeDelivery, FakeRouter, FakeTime, MemoryQueue

EXACT = Pace(schedule=Schedule(jitter=0.0))


class World:
    def __init__(
        self,
        *,
        start: bool = True,
        wall_s: float = 1_000_000,
        pace: Pace = EXACT,
        domains: Mapping[str, Pace] | None = None,
        **limits: Any,
    ) -> None:
        self.time = FakeTime(wall_s)
        self.queue = MemoryQueue()
        self.delivery = FakeDelivery()
        self.router = FakeRouter()
        self.limits = RunnerLimits(**limits)
        self.paces = Paces(pace, domains)
        self.runner = self.new_runner()
        if start:
            self.runner.start()

    def new_runner(self, **options: Any) -> QueueRunner:
        return QueueRunner(
            self.queue,
            self.delivery,
            self.router,
            hostname="mail.x.example",
            timers=self.time.clock,
            wall_clock=self.time.wall,
            random=Random(1),
            paces=self.paces,
            limits=self.limits,
            **options,
        )

    def add(self, *addresses: str, **fields: Any) -> None:
        self.queue.add(*addresses, at=self.time.now, **fields)

    def pass_time(self, seconds: float, step: float = 10.0) -> None:
        while seconds > 0:
            self.time.clock.advance(min(step, seconds))
            seconds -= step

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.runner.stop())

    @property
    def tried(self) -> list[tuple[str, ...]]:
        return [addresses for _, addresses, _ in self.delivery.attempts]
